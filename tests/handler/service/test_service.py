"""The whole service as a process of its own, on real portraits and with real models."""

import json
import signal
import subprocess
import sys

import pytest
from PIL import Image

from pipeline.models.catalog import REGISTRY
from tests.handler.service_runner import ROOT, Watch, environment, run

SMALL, HOPPER, CAT, TWO = "sally_ride_small.jpg", "grace_hopper.jpg", "no_face_cat.png", "two_people_award.jpg"


@pytest.fixture(scope="module")
def portraits(pytestconfig):
    return pytestconfig.rootpath / "tests" / "portraits"


@pytest.fixture(scope="module")
def service(tmp_path_factory, models_dir):
    """A ready service with a preset of its own, for tests that leave it running and use photos of their own."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "presets.toml").write_text("[badge]\nwidth = 200\nheight = 300\nbackground = '#FF0000'\n")
    with Watch(folder, models_dir, PRESETS=folder / "presets.toml", DEFAULT_DPI=200) as watch:
        yield watch.ready()


@pytest.fixture(scope="module")
def line(service, portraits):
    """The closing line of a photo that is done."""
    return service.settled(service.drop(portraits / HOPPER, "hopper.jpg"))


def _processed_again(service, uri):
    """The photo's next closing line. Not `skipped`: a rescan may check a photo again that was read just after it was
    written."""
    return next(line for line in iter(lambda: service.settled(uri), None) if line["outcome"] != "skipped")


def test_ready_while_models_load_answers_503(tmp_path, models_dir):
    with Watch(tmp_path, models_dir) as watch:
        status, answer = watch.ask("/ready")

    assert (status, answer["ready"]) == (503, False)
    assert any("models are loading" in reason for reason in answer["reasons"])


def test_photo_done_gets_png_jpeg_and_report(service, line):
    assert (line["event"], line["outcome"], line["attempt"]) == ("photo.done", "done", 1)
    assert {"decode", "detect", "cutout", "encode"} <= set(line["stages_ms"])
    report = service.report("hopper.jpg")
    assert [file["name"] for file in report["outputs"]] == ["hopper.png", "hopper.jpg"]
    with Image.open(service.outbox / "hopper.png") as png, Image.open(service.outbox / "hopper.jpg") as jpg:
        assert (png.format, png.mode, png.size) == ("PNG", "RGBA", (648, 648))
        assert (jpg.format, jpg.mode, jpg.size, jpg.info["dpi"]) == ("JPEG", "RGB", (648, 648), (200, 200))
    assert (service.outbox / "hopper.jpg").stat().st_size <= 99 * 1024


def test_subfolder_named_as_a_preset_is_mirrored_and_sets_options(service, portraits):
    service.settled(service.drop(portraits / SMALL, "sales/badge/anna maría.jpg"))

    report = service.report("sales/badge/anna maría.jpg")
    assert report["outputs"][0]["name"] == "sales/badge/anna maría.png"
    assert (report["outputs"][0]["width"], report["outputs"][0]["height"]) == (200, 300)
    with Image.open(service.outbox / "sales/badge/anna maría.jpg") as jpg:
        red, green, _ = jpg.getpixel((2, 2))
    assert (red > 240, green < 20) == (True, True)


def test_sidecar_overrides_preset_and_settings_and_report_names_origins(service, portraits):
    service.settled(service.drop(portraits / SMALL, "badge/otto.jpg", sidecar="height = 250\noval_mask = false"))

    recipe = service.report("badge/otto.jpg")["recipe"]
    assert (recipe["width"], recipe["height"], recipe["dpi"], recipe["oval_mask"]) == (200, 250, 200, False)
    origins = {name: recipe["from"][name] for name in ("width", "height", "dpi", "face_margin")}
    assert origins == {"width": "preset:badge", "height": "sidecar", "dpi": "settings", "face_margin": "default"}


def test_photos_with_same_stem_keep_separate_results(service, portraits, tmp_path):
    with Image.open(portraits / HOPPER) as image:
        image.save(tmp_path / "hopper.png")
    uris = [service.drop(portraits / SMALL, "same.jpg"), service.drop(tmp_path / "hopper.png", "same.png")]
    for uri in uris:
        assert service.settled(uri)["outcome"] == "done"

    names = [[file["name"] for file in service.report(path)["outputs"]] for path in ("same.jpg", "same.png")]
    assert len({*names[0], *names[1]}) == 4
    assert ["same.png", "same.jpg"] in names


def test_photo_without_face_is_rejected_without_outputs(service, portraits):
    line = service.settled(service.drop(portraits / CAT, "cat.png"))

    assert (line["event"], line["reason"], line["level"]) == ("photo.rejected", "no_face_detected", "WARNING")
    report = service.report("cat.png")
    assert (report["outcome"], report["outputs"], report["faces"]["count"]) == ("rejected", [], 0)
    assert not (service.outbox / "cat.png").exists()


def test_replay_of_rejected_photo_is_processed_by_running_service(service, portraits):
    uri = service.drop(portraits / CAT, "again/cat.png")
    service.settled(uri)
    folders = environment("none", INBOX=service.inbox, OUTBOX=service.outbox)

    before = run("doctor", "again/cat.png", environ=folders)
    put_back = run("replay", "--name", "again/cat.png", environ=folders)
    line = _processed_again(service, uri)

    assert (before.returncode, put_back.returncode) == (1, 0)
    assert before.stdout.startswith("again/cat.png was rejected: no_face_detected: No face was found")
    assert put_back.stdout.startswith("replay    again/cat.png: no_face_detected\n1 put back to work")
    assert (line["event"], "replay" in service.report("again/cat.png")) == ("photo.rejected", False)


def test_face_policy_all_makes_one_portrait_per_face(service, portraits):
    service.settled(service.drop(portraits / TWO, "team/two.jpg", sidecar="face_policy = 'all'"))

    report = service.report("team/two.jpg")
    assert [file["name"] for file in report["outputs"]] == ["team/two-1.png", "team/two-1.jpg"]
    assert [file["name"] for more in report["more"] for file in more["outputs"]] == ["team/two-2.png", "team/two-2.jpg"]
    assert report["faces"]["box"][0] < report["more"][0]["faces"]["box"][0]


def test_photo_touched_is_skipped_and_changed_is_processed_again(service, portraits):
    uri = service.drop(portraits / SMALL, "twice.jpg")
    service.settled(uri)
    first = service.report("twice.jpg")

    service.drop(portraits / SMALL, "twice.jpg")
    assert service.settled(uri)["outcome"] == "skipped"
    service.drop(portraits / CAT, "twice.jpg")
    assert _processed_again(service, uri)["outcome"] == "rejected"

    assert service.report("twice.jpg")["source"]["sha256"] != first["source"]["sha256"]
    assert not (service.outbox / "twice.png").exists()


def test_status_after_a_photo_shows_models_counts_and_source(service, line):
    code, status = service.ask("/status")

    assert (code, status["ready"], status["device"]["type"], status["worker_deaths"]) == (200, True, "cpu", 0)
    assert status["counts"]["done"] >= 1
    assert status["source"] == {"kind": "folder", "inbox": str(service.inbox), "mode": "events"}
    assert status["outbox"] == {"place": str(service.outbox), "conditional": None}
    known = {card.name: card.sha256 for card in REGISTRY}
    assert {model["name"]: model["sha256"] for model in status["model_files"]}.items() <= known.items()
    assert {"version", "uptime_seconds", "pending", "inflight"} <= set(status)
    assert status["restoration"] in ("available", "unavailable")
    assert ("restoration_why" in status) == (status["restoration"] == "unavailable")


def test_metrics_after_a_photo_count_events_models_and_stages(service, line):
    text = service.get("/metrics")[1]

    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values['facecraft_events_total{outcome="done",source="folder"}']) >= 1
    assert float(values['facecraft_source_up{source="folder"}']) == 1
    assert float(values["facecraft_model_load_seconds"]) > 0
    assert float(values['facecraft_processing_seconds_count{stage="detect"}']) >= 1
    assert float(values["facecraft_queue_wait_seconds_count"]) >= 1
    assert 'facecraft_model_info{licence="non-commercial (iBUG 300-W)",name="landmarks_68"' in text


def test_stop_during_work_finishes_it_and_exits_with_0(tmp_path, models_dir, portraits):
    with Watch(tmp_path, models_dir) as watch:
        watch.ready()
        photos = [f"{number}.jpg" for number in range(4)]
        for path in photos:
            watch.drop(portraits / SMALL, path)
        watch.until("/status", lambda _, status: status["inflight"])
        assert watch.stop() == 0
        lines = watch.closing_lines()

    reports = sorted(report.stem for report in (watch.outbox / "reports").iterdir())
    assert 1 <= len(reports) < len(photos)
    assert sorted(line["uri"].rpartition("/")[2] for line in lines) == reports
    assert not list((watch.outbox / ".facecraft" / "attempts").iterdir())


def test_ready_with_missing_model_names_it_until_it_arrives(tmp_path, models_dir):
    some = tmp_path / "models"
    some.mkdir()
    for model in models_dir.glob("*.onnx"):
        (some / model.name).symlink_to(model)
    name = "shape_predictor_5_face_landmarks.dat"

    with Watch(tmp_path, some, LANDMARKS="5") as watch:
        _, answer = watch.until("/ready", lambda _, answer: any(name in reason for reason in answer["reasons"]))
        assert any("models fetch landmarks_5" in reason for reason in answer["reasons"])
        assert watch.ask("/health") == (200, {"status": "healthy"})
        (some / name).symlink_to(models_dir / name)
        watch.ready()
        assert watch.stop() == 0


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in", tmp_path / "out"


def test_once_after_a_killed_service_finishes_and_repeats_nothing(folders, tmp_path, models_dir, portraits):
    inbox, outbox = folders
    photos = ["0.jpg", "1.jpg", "2.jpg"]
    with Watch(tmp_path, models_dir) as watch:
        for path in photos:
            watch.drop(portraits / SMALL, path)
        watch.until("/status", lambda _, status: status["inflight"])
        watch.process.kill()

    environ = environment(models_dir, PORT="1", HOST="203.0.113.7")  # where nothing could listen
    finished = run("once", inbox, outbox, environ=environ)

    assert (finished.returncode, finished.stderr) == (0, "")
    assert "done      2.jpg -> 2.png, 2.jpg" in finished.stdout
    assert finished.stdout.splitlines()[-1].endswith("0 rejected, 0 failed")
    assert _reported(outbox) == photos

    (inbox / "cat.png").write_bytes((portraits / CAT).read_bytes())
    again = run("once", inbox, outbox, environ=environ)

    assert again.returncode == 1
    assert again.stdout.startswith("rejected  cat.png: no_face_detected: No face was found")
    assert "0 done" in again.stdout


def _reported(outbox):
    """The photos, each with one report of a first attempt, that own all the images there are."""
    reports = [json.loads(report.read_bytes()) for report in (outbox / "reports").iterdir()]
    assert {(report["outcome"], report["attempt"]) for report in reports} == {("done", 1)}
    files = [file["name"] for report in reports for file in report["outputs"]]
    assert sorted(files) == sorted(path.name for path in outbox.iterdir() if path.is_file())
    return sorted(report["source"]["uri"].rpartition("/")[2] for report in reports)


def test_once_stopped_finishes_work_and_exits_with_1(folders, models_dir, portraits):
    for number in range(5):
        (folders[0] / f"{number}.jpg").write_bytes((portraits / HOPPER).read_bytes())
    command = [sys.executable, "-m", "handler", "once", *folders]
    with subprocess.Popen(command, cwd=ROOT, env=environment(models_dir), stdout=subprocess.PIPE, text=True) as once:
        assert once.stdout.readline().startswith("done ")
        once.send_signal(signal.SIGTERM)
        said = once.stdout.read()

    done = len(list((folders[1] / "reports").iterdir()))
    assert (once.returncode, done < 5) == (1, True)
    assert f"{done} done, 0 skipped, 0 rejected, 0 failed" in said


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("| head -n 1", ""),
        (">/dev/full", "stdout: [Errno 28] No space left on device; results are no longer printed\n"),
    ],
)
def test_once_with_closed_or_full_stdout_processes_all_photos(folders, models_dir, portraits, to, said):
    for number in range(3):
        (folders[0] / f"{number}.jpg").write_bytes((portraits / SMALL).read_bytes())
    command = f'set -o pipefail; "$0" -m handler once "$1" "$2" {to}'
    ended = subprocess.run(
        ["bash", "-c", command, sys.executable, *folders],
        cwd=ROOT, env=environment(models_dir), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert ended.stderr == said
    assert (ended.returncode, _reported(folders[1])) == (0, ["0.jpg", "1.jpg", "2.jpg"])


@pytest.mark.parametrize(("inbox", "outbox", "said"), [
    ("in", "in/out", "overlap"),
    ("nowhere", "out", "nowhere is not a folder; name one that contains photos"),
    ("in", "/proc/facecraft", "cannot be created"),
    ("in", "/proc/self", "make it writable"),
])  # fmt: skip
def test_once_with_wrong_folders_names_them_and_exits_with_2(folders, tmp_path, models_dir, inbox, outbox, said):
    ended = run("once", tmp_path / inbox, tmp_path / outbox, environ=environment(models_dir))

    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_once_without_models_says_how_to_fetch_them(folders, tmp_path):
    ended = run("once", *folders, environ=environment(tmp_path / "none"))

    assert ended.returncode == 2
    assert "run `facecraft models fetch" in ended.stderr
    assert "Traceback" not in ended.stderr
