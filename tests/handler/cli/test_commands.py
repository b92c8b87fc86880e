"""The command line: its output and exit codes."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handler import __version__
from handler.__main__ import main, parser, wants_function
from tests.handler.service_runner import ROOT, SOON, environment, run

COMMANDS = ("watch", "once", "check", "doctor", "replay", "models")


@pytest.fixture
def environ(tmp_path):
    """A models folder that is not there."""
    return environment(tmp_path / "none")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["wach"],
        ["once"],
        ["once", "in"],
        ["models"],
        ["models", "steal"],
        ["watch", "in"],
        ["--port=1"],
        ["doctor"],
    ],
)
def test_main_with_wrong_arguments_prints_usage_and_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("usage: facecraft")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], True),
        (["watch"], True),
        (["app.lambda_handler"], True),
        (["handler.aws.lambda_handler"], True),
        (["once", "photos.in", "out"], False),
        (["check"], False),
        (["--help"], False),
    ],
)
def test_wants_function_only_in_lambda_with_its_command(arguments, wanted):
    assert wants_function(arguments, {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}) == wanted
    assert not wants_function(arguments, {})


def test_help_names_commands_exit_codes_and_settings(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])

    said = capsys.readouterr().out
    assert end.value.code == 0
    assert [
        name for name in (*COMMANDS, "Exit codes: 0", ", 1 ", "2 wrong use", "FACECRAFT_INBOX") if name not in said
    ] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_usage_and_example(command, capsys):
    with pytest.raises(SystemExit) as end:
        parser().parse_args([command, "--help"])

    said = capsys.readouterr().out
    assert (end.value.code, said.split("\n")[0].startswith(f"usage: facecraft {command}")) == (0, True)
    assert "\nExample: " in said


def test_no_command_in_a_terminal_prints_overview(environ):
    terminal, end = pty.openpty()
    alone = subprocess.run(
        [sys.executable, "-m", "handler"],
        cwd=ROOT,
        env=environ,
        stdin=end,
        stdout=end,
        stderr=end,
        timeout=SOON,
        check=False,
    )
    os.close(end)
    with os.fdopen(terminal, "rb") as screen:
        said = screen.read1().decode()

    assert alone.returncode == 2
    assert "usage:" not in said
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\w.*\n +.*facecraft {command}\b", said.replace("\r", ""), re.MULTILINE), (
            command
        )


def test_no_command_without_a_terminal_prints_usage(environ):
    ended = run(environ=environ)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("usage: facecraft")


def test_facecraft_script_runs_the_checkout_of_its_environment(tmp_path):
    """`make install` puts it there. Folders of our names where it is called from are not the code."""
    folder, elsewhere = tmp_path / "check out" / ".venv" / "bin", tmp_path / "elsewhere"
    folder.mkdir(parents=True)
    for name in ("handler", "sources", "pipeline"):
        (folder.parents[1] / name).symlink_to(ROOT / name)
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "__init__.py").write_text("raise AssertionError")
    shutil.copy(ROOT / "docker" / "facecraft", folder)
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "python").chmod(0o755)
    (elsewhere / "linked").symlink_to(folder / "facecraft")

    for command in (folder / "facecraft", "./linked"):
        said = subprocess.run([command, "--version"], cwd=elsewhere, capture_output=True, text=True, check=True).stdout
        assert said == f"facecraft {__version__}\n"


def test_make_install_copies_the_facecraft_script():
    assert (Path(sys.prefix) / "bin" / "facecraft").read_bytes() == (ROOT / "docker" / "facecraft").read_bytes()


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])

    assert (end.value.code, capsys.readouterr().out) == (0, f"facecraft {__version__}\n")


@pytest.mark.parametrize(
    "command",
    [["watch"], ["once", "in", "out"], ["check"], ["models", "list"], ["doctor", "a.jpg"], ["replay", "--all"]],
)
def test_invalid_settings_are_listed_in_one_block(environ, command):
    folders = {"FACECRAFT_INBOX": "/in", "FACECRAFT_OUTBOX": "/out"}
    ended = run(*command, environ=environ | folders | {"FACECRAFT_WIDHT": "3", "FACECRAFT_PORT": "x"})

    assert (ended.returncode, ended.stdout) == (2, "")
    first, *faults = ended.stderr.splitlines()
    assert first == "facecraft: Invalid settings:"
    assert len(faults) == 2
    assert "FACECRAFT_WIDHT is not a setting" in ended.stderr
    assert "FACECRAFT_PORT: 'x' is not a whole number" in ended.stderr


def test_watch_without_folders_names_both_settings(environ):
    ended = run("watch", environ=environ)

    assert ended.returncode == 2
    for name in ("FACECRAFT_INBOX", "FACECRAFT_OUTBOX"):
        assert f"{name} is required; for example {name}=/" in ended.stderr


QUEUE = {"FACECRAFT_SQS_QUEUE_URL": "http://queues.invalid:9324/photos"}


@pytest.mark.parametrize(
    ("variables", "variable", "example"),
    [
        (QUEUE, "AWS_DEFAULT_REGION", "for example AWS_DEFAULT_REGION=eu-central-1"),
        ({"AWS_REGION": "eu central"}, "AWS_DEFAULT_REGION", "for example AWS_DEFAULT_REGION=eu-central-1"),
        ({"AWS_ENDPOINT_URL": "minio:9000"}, "AWS_ENDPOINT_URL", "for example AWS_ENDPOINT_URL=http://minio:9000"),
        ({"AWS_PROFILE": "nobody"}, "AWS_PROFILE", "for example AWS_PROFILE=default"),
    ],
)
def test_watch_with_invalid_aws_settings_names_the_variable(environ, tmp_path, variables, variable, example):
    ours = {"FACECRAFT_INBOX": "s3://photos/in", "FACECRAFT_OUTBOX": str(tmp_path / "out"), "HOME": str(tmp_path)}
    without = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    ended = run("watch", environ=without | ours | variables)

    assert (ended.returncode, ended.stdout) == (2, "")
    told = ended.stderr.splitlines()[-1]
    assert told.startswith(f"facecraft: {variable}")
    assert example in told
    assert "Traceback" not in ended.stderr


def test_watch_on_a_foreign_address_names_the_setting(environ, tmp_path):
    folders = {"FACECRAFT_INBOX": str(tmp_path / "in"), "FACECRAFT_OUTBOX": str(tmp_path / "out")}
    ended = run("watch", environ=environ | folders | {"FACECRAFT_HOST": "203.0.113.7"})

    assert ended.returncode == 2
    assert "FACECRAFT_HOST must be an address of this machine" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_check_with_missing_models_names_error_and_fix(environ):
    ended = run("check", environ=environ)

    assert ended.returncode == 1
    assert ended.stdout.startswith("error: ")
    assert "run `facecraft models fetch" in ended.stdout
    assert ended.stderr == ""


def test_check_with_damaged_model_names_its_size(environ, tmp_path, models):
    folder = tmp_path / "none"
    folder.mkdir()
    (folder / "shape_predictor_68_face_landmarks.dat").write_bytes(b"not a model")

    ended = run("check", environ=environ)

    assert ended.returncode == 1
    assert "11 bytes instead of 99,693,937" in ended.stdout


def _models(folder, models_dir, *files):
    """A models folder with these files alone."""
    for file in files:
        (folder / file).symlink_to(models_dir / file)
    return environment(folder)


def test_check_with_replaced_and_unavailable_models_names_each_with_its_fix(tmp_path, models_dir):
    ended = run("check", environ=_models(tmp_path, models_dir, "shape_predictor_5_face_landmarks.dat", "u2net.onnx"))

    assert (ended.returncode, ended.stderr) == (0, "")
    fetch = "run `facecraft models fetch"
    assert ended.stdout.splitlines() == [
        f"warning: landmarks_68 is missing, landmarks_5 is used instead: {fetch} landmarks_68`.",
        f"warning: u2net_human_seg is missing, u2net is used instead: {fetch} u2net_human_seg`.",
        f"warning: mmod is missing, faces that the first detector misses are not found: {fetch} mmod`.",
        f"warning: restoration is unavailable: it needs the 68 landmarks (needs_68): {fetch} landmarks_68`.",
        f"ok, with the warnings above: settings, and models in {tmp_path}",
    ]


def test_check_with_models_chosen_by_settings_does_not_warn(tmp_path, models_dir):
    files = ("shape_predictor_5_face_landmarks.dat", "mmod_human_face_detector.dat", "u2net.onnx")
    ours = {"FACECRAFT_LANDMARKS": "5", "FACECRAFT_RESTORE": "off"}
    ended = run("check", environ=_models(tmp_path, models_dir, *files) | ours)

    assert ended.returncode == 0
    assert [line.split()[:2] for line in ended.stdout.splitlines()] == [
        ["warning:", "u2net_human_seg"],
        ["ok,", "with"],
    ]


def test_models_list_shows_missing_models(environ):
    ended = run("models", "list", "u2net", "mmod", environ=environ)

    assert (ended.returncode, ended.stderr) == (0, "")
    head, *rows = ended.stdout.splitlines()
    assert head.split() == ["NAME", "FILE", "MB", "STATE", "LICENCE", "PURPOSE"]
    assert [(row.split()[0], row.split()[3]) for row in rows] == [("u2net", "missing"), ("mmod", "missing")]


def test_models_with_unknown_name_lists_the_models(environ):
    ended = run("models", "verify", "u3net", environ=environ)

    assert ended.returncode == 2
    assert "'u3net' is not a model. Models: landmarks_68," in ended.stderr
