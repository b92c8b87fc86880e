"""The command `facecraft`, also `python -m handler`: the subcommands and their arguments."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from handler import __version__
from handler.cli import commands
from handler.cli.replay import NOT_DONE, Selection
from handler.config.load import SettingsError, in_lambda
from handler.http.server import ServerError
from pipeline.errors import ModelError
from pipeline.reasons import REASONS
from sources.stores.aws import AwsSettingsError


class _Command(NamedTuple):
    help: str
    example: str


_COMMANDS: Final = {
    "watch": _Command(
        "process photos as they appear in the inbox, until stopped",
        "FACECRAFT_INBOX=photos FACECRAFT_OUTBOX=portraits facecraft watch",
    ),
    "once": _Command("process the photos that are in a folder, then exit", "facecraft once photos portraits"),
    "check": _Command("check settings and models, and say how to fix each fault", "facecraft check"),
    "doctor": _Command(
        "say what will happen to a file, or why nothing happens",
        "FACECRAFT_INBOX=photos FACECRAFT_OUTBOX=portraits facecraft doctor anna.jpg",
    ),
    "replay": _Command(
        "process rejected and failed photos again; give at least one option",
        "FACECRAFT_INBOX=photos FACECRAFT_OUTBOX=portraits facecraft replay --reason too_large",
    ),
    "models": _Command("fetch, verify or list the models", "facecraft models fetch"),
}
_DESCRIPTION: Final = "Turns photos of people into finished portraits."
_EPILOG: Final = """
Settings come from FACECRAFT_ variables, for example FACECRAFT_INBOX=/photos/in; handler/README.md lists them all.
In AWS Lambda (AWS_LAMBDA_RUNTIME_API is set) `watch`, a function's name or no command at all answers Lambda's calls.
Exit codes: 0 all is well, 1 at least one photo was rejected or failed (once) or a model is wrong (check, models),
2 wrong use or settings.
"""


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="facecraft",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"facecraft {__version__}")
    subparsers = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    added = {
        name: subparsers.add_parser(
            name, help=each.help, description=each.help.capitalize() + ".", epilog=f"Example: {each.example}"
        )
        for name, each in _COMMANDS.items()
    }
    once = added["once"]
    once.add_argument("inbox", metavar="IN", help="folder with photos, or s3://bucket/prefix")
    once.add_argument(
        "outbox", metavar="OUT", help="folder for portraits and reports, created if missing, or s3://bucket/prefix"
    )
    once.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE.html",
        help="then write a contact sheet of all photos in IN: one HTML page with each photo before and after",
    )
    added["doctor"].add_argument("files", nargs="+", metavar="FILE", help="path, from here or from the inbox")
    replay = added["replay"]
    replay.add_argument("--all", action="store_true", help="all rejected and failed photos")
    replay.add_argument(
        "--name", metavar="NAME", help="this photo: its path or name, or a pattern such as 'sales/*.jpg'"
    )
    replay.add_argument(
        "--reason", choices=sorted(REASONS), metavar="REASON", help="rejected or failed for this reason"
    )
    replay.add_argument(
        "--outcome", choices=("rejected", "failed", "done"), help="only these; done: make their portraits again"
    )
    replay.add_argument(
        "--recipe",
        action="store_true",
        help="photos, done ones too, whose options have changed since they were processed",
    )
    replay.set_defaults(wrong_use=replay.error)
    models = added["models"]
    models.add_argument("action", choices=("fetch", "verify", "list"), help="what to do")
    models.add_argument("names", nargs="*", metavar="NAME", help="only these models; `models list` shows the names")
    return root


def overview() -> str:
    """Each command with an example: what someone sees who types `facecraft` alone."""
    lines = [_DESCRIPTION, ""]
    for name, each in _COMMANDS.items():
        lines += [f"  {name:<8} {each.help}", f"           {each.example}", ""]
    return "\n".join([*lines, "`facecraft COMMAND --help` says more."])


def run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "watch":
            return commands.watch()
        case "once":
            return commands.once(arguments.inbox, arguments.outbox, arguments.sheet)
        case "check":
            return commands.check()
        case "doctor":
            return commands.doctor(arguments.files)
        case "replay":
            return commands.replay(_selection(arguments))
        case _:
            return commands.models(arguments.action, arguments.names)


def _selection(arguments: argparse.Namespace) -> Selection:
    """Exits with the usage if no option says which photos: it takes an explicit `--all` to put all of them back."""
    if not any((arguments.all, arguments.name, arguments.reason, arguments.outcome, arguments.recipe)):
        arguments.wrong_use("say which photos, for example --reason no_face_detected, --name anna.jpg or --all")
    default = NOT_DONE | {"done"} if arguments.recipe else NOT_DONE
    outcomes = frozenset({arguments.outcome}) if arguments.outcome else default
    return Selection(outcomes, arguments.name, arguments.reason, arguments.recipe)


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments and os.isatty(0) and os.isatty(1):  # 0 is stdin, 1 is stdout; either may be closed
        print(overview(), file=sys.stderr)
        return commands.WRONG_USE
    try:
        return run(parser().parse_args(arguments))
    except (SettingsError, ServerError, ModelError, AwsSettingsError) as error:
        print(f"facecraft: {error}", file=sys.stderr)
        return commands.WRONG_USE


def wants_function(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> bool:
    """Whether Lambda starts this process as its function.

    Lambda passes the image's own command, none, or a function's dotted name, as Lambda images are usually given. There
    is only one function, so the name is not read.
    """
    is_function = not arguments or (len(arguments) == 1 and (arguments[0] == "watch" or "." in arguments[0]))
    return in_lambda(environ) and is_function


if __name__ == "__main__":
    if wants_function(sys.argv[1:]):
        commands.function()
    sys.exit(main())
