"""The tables of Compose's profiles, ports and variables are what docker-compose.yml says."""

import re
from pathlib import Path

from tests.support import compose

ROOT = Path(__file__).parents[2]
DOOR = (ROOT / "README.md").read_text("utf-8")
DETAILS = (ROOT / "docker" / "README.md").read_text("utf-8")


def variables():
    """What docker-compose.yml reads from the shell or from `.env`, but for settings, each with its default."""
    used = re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", compose.FILE.read_text("utf-8"))
    return {name: default for name, default in used if not name.startswith("FACECRAFT_")}


def table(text, heading):
    """The rows of the table below that heading line, as lists of cells."""
    lines = text[text.index(heading) :].splitlines()[2:]
    rows = lines[: next((index for index, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def test_every_profile_is_in_the_table():
    rows = table(DOOR, "| Command | Starts | Open on 127.0.0.1 |")
    commands = [re.search(r"`docker compose (?:--profile (\w+) )?up`", row[0]) for row in rows]
    assert [command[1] or "cpu" for command in commands] == list(compose.PROFILES)


def test_ports_in_the_table_are_the_published_ones():
    rows = table(DOOR, "| Command | Starts | Open on 127.0.0.1 |")
    shown = {port for row in rows for port in re.findall(r"\b\d{4}\b", row[2])}
    assert shown == {default for name, default in variables().items() if name.endswith("_PORT")}


def test_every_variable_is_in_the_table_with_its_default():
    shown = {}
    for names, default, _ in table(DETAILS, "| Variable | Default | Meaning |"):
        for position, name in enumerate(re.findall(r"`([A-Z_]+)`", names)):
            shown[name] = default.replace("`", "").split(", ")[position] if ", " in default else default
    assert variables().keys() <= shown.keys()
    plain = {name: default for name, default in variables().items() if name.endswith(("_PORT", "_FOLDER", "_SECRET"))}
    assert {name: shown[name] for name in plain} == plain
