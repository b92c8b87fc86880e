"""`python -m handler`: the commands and their arguments."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from handler import __version__
from handler.cli import commands
from handler.cli.pid1 import leave_pid_1
from handler.cli.replay import NOT_DONE, Selection
from handler.config.load import SettingsError, in_lambda
from handler.http.server import ServerError
from pipeline.errors import ModelError
from pipeline.reasons import REASONS
from sources.stores.aws import AwsSettingsError

_EPILOG = """
Settings come from FACECRAFT_ variables, for example FACECRAFT_INBOX=/photos/in; README.md lists them all.
In Lambda (AWS_LAMBDA_RUNTIME_API is set) `watch`, a function's name or no command at all answers Lambda's calls.
Exit codes: 0 all well, 1 at least one photo was rejected or failed (once) or a model is wrong (check, models),
2 wrong use or settings.
"""


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="python -m handler",
        description="Turns photos of people into finished portraits.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"facecraft {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("watch", help="process photos as they appear in the inbox, until stopped")
    once = commands.add_parser("once", help="process what is in a folder, and exit")
    once.add_argument("inbox", metavar="IN", help="folder with photos, or s3://bucket/prefix")
    once.add_argument(
        "outbox", metavar="OUT", help="folder for portraits and reports, made if need be, or s3://bucket/prefix"
    )
    once.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE.html",
        help="then write a contact sheet of all photos in IN: one HTML page with each photo before and after",
    )
    commands.add_parser("check", help="check settings and models, and name the fix for each fault")
    doctor = commands.add_parser("doctor", help="say what will happen to a file, or why nothing does")
    doctor.add_argument("files", nargs="+", metavar="FILE", help="its path, from here or from the inbox")
    replay = commands.add_parser("replay", help="put rejected and failed photos back to work; give at least one option")
    replay.add_argument("--all", action="store_true", help="all rejected and failed photos")
    replay.add_argument(
        "--name", metavar="NAME", help="this photo: its path or name, or a pattern such as 'sales/*.jpg'"
    )
    replay.add_argument(
        "--reason", choices=sorted(REASONS), metavar="REASON", help="rejected or failed for this reason"
    )
    replay.add_argument("--outcome", choices=("rejected", "failed", "done"), help="only those; done: portraits anew")
    replay.add_argument(
        "--recipe",
        action="store_true",
        help="photos, done ones too, whose options have changed since they were settled",
    )
    models = commands.add_parser("models", help="bring, verify or list the models")
    models.add_argument("action", choices=("fetch", "verify", "list"), help="what to do")
    models.add_argument("names", nargs="*", metavar="NAME", help="only these models; `models list` shows the names")
    return root


def run(arguments: argparse.Namespace) -> int:
    if arguments.command == "once":
        return commands.once(arguments.inbox, arguments.outbox, arguments.sheet)
    if arguments.command == "models":
        return commands.models(arguments.action, arguments.names)
    if arguments.command == "doctor":
        return commands.doctor(arguments.files)
    if arguments.command == "replay":
        return commands.replay(_selection(arguments))
    return commands.watch() if arguments.command == "watch" else commands.check()


def _selection(arguments: argparse.Namespace) -> Selection:
    """Ends with the usage where nothing says which photos: all of them are put back only where that is said."""
    if not any((arguments.all, arguments.name, arguments.reason, arguments.outcome, arguments.recipe)):
        parser().error("replay: say which photos, for example --reason no_face_detected, --name anna.jpg or --all")
    usual = NOT_DONE | {"done"} if arguments.recipe else NOT_DONE
    outcomes = frozenset({arguments.outcome}) if arguments.outcome else usual
    return Selection(outcomes, arguments.name, arguments.reason, arguments.recipe)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        return run(parser().parse_args(arguments))
    except (SettingsError, ServerError, ModelError, AwsSettingsError) as error:
        print(f"facecraft: {error}", file=sys.stderr)
        return commands.WRONG_USE


def wants_function(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> bool:
    """Whether Lambda starts this: with the image's own command, with none, or with a function's dotted name, as images
    for Lambda are usually given one. There is one function only, so the name is not read."""
    named = len(arguments) == 1 and (arguments[0] == "watch" or "." in arguments[0])
    return in_lambda(environ) and (named or not arguments)


if __name__ == "__main__":
    if wants_function(sys.argv[1:]):
        commands.function()
    leave_pid_1()
    sys.exit(main())
