"""What handler/README.md says of options, presets, commands and reports is what the code does."""

import json
import re
from pathlib import Path

import pytest

from handler.__main__ import parser
from handler.config.options import built_in_presets
from pipeline.recipe import OPTIONS

README = (Path(__file__).parents[2] / "handler" / "README.md").read_text("utf-8")
DOOR = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def section(title):
    """The text below the heading, up to the next heading of that rank."""
    (body,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    return body


def test_options_table_has_every_option_with_its_range():
    rows = re.findall(r"^\| (`.*?`) \| (.*?) \|$", section("Options of one photo"), re.MULTILINE)
    values = {name: text for names, text in rows for name in re.findall(r"`(\w+)`", names)}
    assert values.keys() == OPTIONS.keys()
    for name, option in OPTIONS.items():
        words = option.choices or ((str(option.low), str(option.high)) if option.high else ())
        assert [word for word in words if word not in re.split(r"[ ,;]+", values[name])] == [], name


def test_presets_are_named():
    named = set(re.findall(r"`([a-z-]+)`", section("Options of one photo")))
    assert built_in_presets().keys() <= named


@pytest.mark.parametrize(
    "line", sorted(set(re.findall(r"facecraft ((?:watch|once|check|doctor|replay|models)\b[^`\n#]*)", README + DOOR)))
)
def test_commands_are_accepted_by_the_parser(line):
    words = [word.strip("'\"") for word in line.replace("...", "").split()]
    if words == ["replay"]:
        words.append("--all")
    parser().parse_args(words)


def test_report_example_has_the_fields_of_a_report():
    example = json.loads(re.search(r"```json\n(.*?)```", section("The report"), re.DOTALL)[1])
    assert example["outcome"] == "done"
    assert {"source", "recipe", "faces", "geometry", "outputs", "models", "attempt", "stages_ms"} <= example.keys()
