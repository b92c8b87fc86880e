"""What `once` prints for names and texts that strangers choose."""

import pytest

from handler.cli.console import Console
from handler.workers.outcome import Done, Rejected
from sources.events import Event


def settled(capsys, path, outcome):
    with Console() as console:
        event = Event(f"file:///in/{path}", path, "1")
        console.taken(event)
        console.settled(event, outcome)
    return capsys.readouterr().out


@pytest.mark.parametrize("path", ["x[/b].jpg", "[bold]x[/]", "[/]", "[link=evil]a"])
def test_console_markup_in_a_name_is_shown_as_it_is(capsys, monkeypatch, path):
    monkeypatch.setenv("FORCE_COLOR", "1")  # the bar is shown, as on a terminal
    assert settled(capsys, path, Done(("a.png",))) == f"done      {path} -> a.png\n"


def test_console_control_characters_are_escaped(capsys):
    hint = "the sidecar says \x1b]0;title\x07\ndone      forged.jpg"
    line = settled(capsys, "a\x1b[2Jb.jpg", Rejected("invalid_options", hint))
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert "\\x1b]0;title" in line
