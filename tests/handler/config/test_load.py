import pickle
import re
from pathlib import Path

import pytest

from handler.config.load import (
    CommonSettings,
    Settings,
    SettingsError,
    all_settings,
    init_seconds,
    load,
    load_common,
    settings_table,
)
from pipeline.types import Limits

ROOT = Path(__file__).parents[3]
FOLDERS = {"FACECRAFT_INBOX": "/photos/in", "FACECRAFT_OUTBOX": "/photos/out"}
ORIGINAL = {
    "HOST": "0.0.0.0",  # noqa: S104 - a default of the original
    "PORT": "8000",
    "WORKERS": "1",
    "DEBUG": "false",
    "LOG_LEVEL": "info",
    "DEVICE": "auto",
    "MODELS_DIR": "/app/models",
    "PREDICTOR_PATH": "",
    "CODEFORMER_PATH": "",
    "DEFAULT_WIDTH": "648",
    "DEFAULT_HEIGHT": "648",
    "DEFAULT_BACKGROUND_R": "240",
    "DEFAULT_BACKGROUND_G": "240",
    "DEFAULT_BACKGROUND_B": "240",
    "DEFAULT_FACE_MARGIN": "0.3",
    "DEFAULT_OVAL_MASK": "True",
    "DEFAULT_ENHANCE_FIDELITY": "0.7",
    "UPLOAD_DIR": "/app/uploads",
    "OUTPUT_DIR": "/app/processed",
    "MAX_UPLOAD_SIZE_MB": "20",
    "CLEANUP_AGE_HOURS": "24",
    "MAX_CONCURRENT_JOBS": "4",
    "BATCH_MAX_FILES": "50",
    "CORS_ORIGINS": "*",
    "API_KEY": "secret",
}


def settings(**variables):
    return load(FOLDERS | {f"FACECRAFT_{name}": value for name, value in variables.items()})


def faults(environ, **overrides):
    with pytest.raises(SettingsError) as caught:
        load(environ, **overrides)
    return caught.value.lines


def test_nothing_is_deleted_for_its_age_unless_someone_asks():
    assert settings().cleanup_age_hours is None


def test_two_folders_are_all_that_is_needed():
    given = settings()
    assert (given.inbox, given.outbox) == (Path("/photos/in"), Path("/photos/out"))
    assert (given.port, given.workers, given.rescan_seconds, given.max_attempts) == (8000, 1, 60, 3)
    assert given.recipe().origins.keys() == given.recipe().recipe.as_dict().keys()
    assert set(given.recipe().origins.values()) == {"default"}
    assert given.warnings == ()


def test_the_folders_are_required():
    with pytest.raises(SettingsError) as caught:
        load({}, root=ROOT / "tests")
    assert [line.split(" is required")[0] for line in caught.value.lines] == ["FACECRAFT_INBOX", "FACECRAFT_OUTBOX"]


def test_the_folders_that_the_image_makes_need_no_setting(tmp_path):
    for name in ("inbox", "outbox"):
        (tmp_path / name).mkdir()

    assert (load({}, root=tmp_path).inbox, load({}, root=tmp_path).outbox) == (tmp_path / "inbox", tmp_path / "outbox")
    named = load({"FACECRAFT_INBOX": "/photos/in", "FACECRAFT_OUTBOX": ""}, root=tmp_path)
    assert (named.inbox, named.outbox) == (Path("/photos/in"), tmp_path / "outbox")
    assert load({}, root=tmp_path, inbox="/other").inbox == Path("/other")


def test_a_folder_that_is_not_there_is_no_default(tmp_path):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "outbox").touch()
    with pytest.raises(SettingsError, match="FACECRAFT_OUTBOX is required; for example FACECRAFT_OUTBOX=/outbox"):
        load({}, root=tmp_path)


def test_the_command_line_is_stronger_than_variables():
    given = load(FOLDERS, inbox=Path("/other"), port=9000, host=None)
    assert (given.inbox, given.port, given.host) == (Path("/other"), 9000, "0.0.0.0")  # noqa: S104 - the default


def test_all_variables_of_the_original_are_accepted():
    given = load({f"FACECRAFT_{name}": value for name, value in ORIGINAL.items()})
    assert (given.inbox, given.outbox) == (Path("/app/uploads"), Path("/app/processed"))
    assert given.log_level == "INFO"
    assert given.warnings == ()
    assert (given.batch_max_files, given.cors_origins, given.debug) == (50, ("*",), False)
    assert given.cleanup_age_hours == 24
    assert (given.max_concurrent_jobs, given.api_key.get_secret_value()) == (4, "secret")
    assert "secret" not in repr(given) + str(given.warnings)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("WORKERS", "0", "greater than or equal to 1; for example FACECRAFT_WORKERS=2"),
        ("PORT", "http", "'http' is not a whole number; for example FACECRAFT_PORT=8000"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("HOST", "http://x", "is not an address"),
        ("CLEANUP_AGE_HOURS", "0", "greater than 0; for example FACECRAFT_CLEANUP_AGE_HOURS=720"),
        ("DEVICE", "gpu", "'gpu' is not one of auto, cpu, cuda, cuda:N"),
        ("LANDMARKS", "67", "'auto', '68' or '5'"),
        ("LOG_LEVEL", "loud", "'DEBUG', 'INFO'"),
        ("SETTLE_SECONDS", "nan", "finite number"),
        ("RESCAN_SECONDS", "0", "greater than or equal to 1"),
        ("PHOTO_TIMEOUT_SECONDS", "long", "is not a number"),
        ("MAX_PIXELS_MP", "0", "greater than or equal to 1"),
        ("DEFAULT_WIDTH", "9999", "'9999' is not a whole number from 64 to 4096; for example 648"),
        ("DEFAULT_OVAL_MASK", "maybe", "'maybe' is not true or false"),
        ("DEFAULT_BACKGROUND_R", "256", "less than or equal to 255"),
        ("FACE_POLICY", "first", "one of largest, center, all, reject"),
        ("RESTORE", "always", "one of auto, on, off"),
        ("AFTER", "burn", "'tag', 'move' or 'delete'; for example FACECRAFT_AFTER=move"),
        (
            "SOURCES",
            "folder,ftp",
            "'ftp' is not one of folder, sqs, webhook, poll; for example FACECRAFT_SOURCES=sqs,webhook",
        ),
        ("SOURCES", "folder,sqs", "sqs announces objects of a bucket, and FACECRAFT_INBOX is a folder"),
        (
            "SQS_QUEUE_URL",
            "https://sqs.here/1/photos",
            "announces objects of a bucket, and FACECRAFT_INBOX is a folder",
        ),
        ("SQS_QUEUE_URL", "photos", "is not the URL of a queue; for example FACECRAFT_SQS_QUEUE_URL=https://"),
        ("INBOX", "s3://bucket/..", "for example s3://photos/in"),
        ("PRESETS", "/nowhere.toml", "/nowhere.toml cannot be read"),
        ("WEBHOOK_TOKEN", "three secret words", "its value is not one word of printable ASCII, or two"),
        ("API_KEY", "a secret", "its value is not one word of printable ASCII"),
        ("API_KEY", "s\u00e9cret", "its value is not one word of printable ASCII"),
        ("MAX_CONCURRENT_JOBS", "0", "greater than or equal to 1; for example FACECRAFT_MAX_CONCURRENT_JOBS=4"),
        ("IDENTITY_LIMIT", "-1", "greater than or equal to 0"),
        ("INBX", "/in", "is not a setting; did you mean FACECRAFT_INBOX?"),
        ("DEFAULT_WITDH", "1", "did you mean FACECRAFT_DEFAULT_WIDTH?"),
        ("port", "1", "did you mean FACECRAFT_PORT?"),
    ],
)
def test_a_fault_names_variable_value_and_fix(name, value, words):
    (line,) = faults(FOLDERS | {f"FACECRAFT_{name}": value})
    assert line.startswith(f"FACECRAFT_{name}")
    assert words in line


def test_token_and_key_are_never_shown():
    given = settings(WEBHOOK_TOKEN="hush-hush", API_KEY="hush")  # noqa: S106 - of the tests
    assert (given.webhook_token.get_secret_value(), given.api_key.get_secret_value()) == ("hush-hush", "hush")
    (line,) = faults(FOLDERS | {"FACECRAFT_WEBHOOK_TOKEN": "hush-hush hush-hush hush-hush"})
    assert given.warnings == ("FACECRAFT_WEBHOOK_TOKEN has no effect: webhook is not among the sources (folder)",)
    assert "hush" not in f"{given!r} {given} {given.model_dump()} {given.model_dump_json()} {line}"


def test_all_faults_come_at_once_in_one_block():
    environ = {"FACECRAFT_PORT": "x", "FACECRAFT_WORKERS": "x", "FACECRAFT_TYPO": "x"}
    with pytest.raises(SettingsError) as caught:
        load(environ)
    assert len(caught.value.lines) == 5
    assert str(caught.value).splitlines()[1:] == [f"  {line}" for line in caught.value.lines]


def test_every_line_of_a_bad_presets_file_is_told(tmp_path):
    file = tmp_path / "presets.toml"
    file.write_text("[a]\nwidth = 1\n[b]\nheight = 1\n")
    lines = faults(FOLDERS | {"FACECRAFT_PRESETS": str(file)})
    assert [re.search(r"\[(\w)\] (\w+)", line).groups() for line in lines] == [("a", "width"), ("b", "height")]


def test_an_empty_value_is_no_value():
    given = settings(PORT="", DEVICE="  ", API_KEY="", TYPO="")
    assert (given.port, given.device, given.api_key) == (8000, "auto", None)


@pytest.mark.parametrize("word", ["true", "1", "yes", "on", "TRUE", "y", "t"])
def test_yes_in_the_originals_spellings(word):
    assert settings(DEFAULT_OVAL_MASK=word).default_oval_mask is True
    assert settings(DEFAULT_PHOTO_ENHANCE={"true": "false", "1": "0"}.get(word, "off")).default_photo_enhance is False


def test_set_options_make_the_recipe_and_say_so():
    resolved = settings(DEFAULT_WIDTH="648", DEFAULT_BACKGROUND_B="0", FACE_POLICY="centre", RESTORE="OFF").recipe()
    assert resolved.recipe.background_rgb == (240, 240, 0)
    assert (resolved.recipe.face_policy, resolved.recipe.restore) == ("center", "off")
    changed = {name for name, origin in resolved.origins.items() if origin == "settings"}
    assert changed == {"width", "background", "face_policy", "restore"}


@pytest.mark.parametrize(
    ("inbox", "outbox"), [("p", "p"), ("p", "p/out"), ("p/in", "p"), ("p", "link"), ("p", "q/../p")]
)
def test_overlapping_folders_are_refused(tmp_path, inbox, outbox):
    (tmp_path / "p").mkdir()
    (tmp_path / "q").mkdir()
    (tmp_path / "link").symlink_to("p")
    (line,) = faults({"FACECRAFT_INBOX": f"{tmp_path}/{inbox}", "FACECRAFT_OUTBOX": f"{tmp_path}/{outbox}"})
    assert "overlap" in line


def test_folders_side_by_side_are_fine_whatever_their_names(tmp_path):
    given = load({}, inbox=tmp_path / "photos", outbox=tmp_path / "photos-out")
    assert given.inbox == tmp_path.resolve() / "photos"


def test_load_relative_paths_become_absolute_and_links_stay(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    given = load({"FACECRAFT_OUTBOX": "out"}, inbox=tmp_path / "link")
    assert (given.inbox, given.outbox) == (tmp_path / "link", Path.cwd() / "out")
    assert given.models_dir == (Path.cwd() / "models").resolve()


def test_a_link_that_leads_nowhere_is_a_fault(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (line,) = faults(FOLDERS, inbox=tmp_path / "loop")
    assert line.startswith("inbox: ")
    assert "cannot be resolved" in line


def test_the_older_names_serve_and_contradictions_are_refused():
    older = {"FACECRAFT_UPLOAD_DIR": "/up", "FACECRAFT_OUTPUT_DIR": "/done"}
    assert load(older).inbox == Path("/up")
    assert load(older | {"FACECRAFT_INBOX": "/up"}).outbox == Path("/done")
    (line,) = faults(older | {"FACECRAFT_INBOX": "/in"})
    assert line.startswith("FACECRAFT_UPLOAD_DIR='/up' is the older name of FACECRAFT_INBOX='/in'")
    assert load(older | {"FACECRAFT_INBOX": "/in"}, inbox="/here").inbox == Path("/here")


def test_what_kubernetes_injects_for_a_service_of_our_name_is_no_setting():
    injected = {
        "FACECRAFT_SERVICE_HOST": "10.0.0.1",
        "FACECRAFT_SERVICE_PORT_HTTP": "80",
        "FACECRAFT_PORT": "tcp://10.0.0.1:80",
        "FACECRAFT_PORT_80_TCP": "tcp://10.0.0.1:80",
        "FACECRAFT_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert load(FOLDERS | injected).port == 8000


def test_limits_and_model_files_follow_the_settings():
    given = settings(MAX_UPLOAD_SIZE_MB="2", MAX_PIXELS_MP="3", PREDICTOR_PATH="/m/68.dat", CODEFORMER_PATH="/m/c.pth")
    assert given.limits() == Limits(max_bytes=2 * 1024 * 1024, max_pixels=3_000_000)
    assert given.model_files() == {"landmarks_68": Path("/m/68.dat"), "codeformer": Path("/m/c.pth")}
    assert given.warnings == ()


def test_commands_without_folders_do_not_ask_for_them():
    given = load_common({"FACECRAFT_MODELS_DIR": "/m", "FACECRAFT_INBOX": "s3://b"})
    assert type(given) is CommonSettings
    assert given.models_dir == Path("/m")


def test_settings_are_frozen_and_travel_to_workers():
    given = settings()
    assert pickle.loads(pickle.dumps(given)) == given  # noqa: S301 - our own bytes
    with pytest.raises(ValueError, match="frozen"):
        given.port = 1


def test_file_names_that_are_not_utf8_are_kept():
    assert settings(INBOX="/in\udcff").inbox == Path("/in\udcff")


def test_every_setting_is_documented_with_its_default():
    rows = {row.name: row for row in all_settings()}
    assert rows.keys() == {f"FACECRAFT_{name.upper()}" for name in [*Settings.model_fields, *ORIGINAL]}
    assert rows["FACECRAFT_DEFAULT_OVAL_MASK"].default == "true"
    assert rows["FACECRAFT_MODELS_DIR"].default == "./models"
    assert all(row.meaning for row in rows.values())


def test_the_readme_holds_the_table_of_settings():
    readme = (ROOT / "handler" / "README.md").read_text("utf-8")
    assert settings_table() in readme, "paste what handler.config.load.settings_table() returns"


def test_only_config_reads_the_environment():
    """And what prepares numba, which takes its settings from nowhere else."""
    readers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("handler", "sources", "pipeline")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\b(environb?|getenvb?)\b\s*[\[.(]|import .*\benviron", path.read_text())
    ]
    assert set(readers) == {"handler/config/load.py", "handler/models/libraries.py", "handler/models/numba_cache.py"}


@pytest.mark.parametrize(("given", "seconds"), [(None, 8), ("", 8), ("300", 8), ("3", 0.75), ("many", 8)])
def test_models_have_as_long_in_the_init_phase_as_lambda_and_its_emulator_give(given, seconds):
    assert init_seconds({"AWS_LAMBDA_FUNCTION_TIMEOUT": given} if given is not None else {}) == seconds
