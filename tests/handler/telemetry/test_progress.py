"""Progress of downloads: lines for a log, a bar for a terminal."""

import io

from rich.console import Console

from handler.telemetry.progress import MEGABYTE, Bar, Lines


def test_lines_are_printed_at_most_once_per_interval_and_at_the_end():
    now = iter([0.0, 1.0, 5.0, 6.0, 7.0])
    stream = io.StringIO()
    lines = Lines(stream, every=5, clock=lambda: next(now))
    for done in (1, 10, 57, 60, 95):
        lines.move("landmarks_68", done * MEGABYTE, 95 * MEGABYTE)
    assert stream.getvalue().splitlines() == ["landmarks_68: 57 of 95 MB", "landmarks_68: 95 of 95 MB"]


def test_lines_with_unknown_total_show_only_what_is_done():
    stream = io.StringIO()
    Lines(stream, every=0).move("tiny", 3 * MEGABYTE, 0)
    assert stream.getvalue() == "tiny: 3 MB\n"


def test_bar_after_the_end_leaves_only_its_lines():
    stream = io.StringIO()
    bar = Bar(Console(file=stream, force_terminal=True, width=100))
    bar.move("tiny", 5 * MEGABYTE, 10 * MEGABYTE)
    bar.end()
    bar.end()
    bar.say("tiny: [here]")
    assert "tiny" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith("tiny: [here]")
