import json
import logging
import threading
import warnings

import numpy as np
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from handler.telemetry import log
from sources.events import Event

EVENT = Event("file:///inbox/anna.jpg", "anna.jpg", "v1", attempt=2)


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]


def test_line_has_time_level_logger_event_and_extras(stream):
    logging.getLogger("facecraft.test").info("source.attached", extra={"source": "folder", "found": 3})
    (line,) = lines(stream)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "facecraft.test",
        "event": "source.attached",
        "source": "folder",
        "found": 3,
    }


def test_line_of_exception_has_traceback_as_one_string(stream):
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("facecraft.test").exception("worker.error")
    (line,) = lines(stream)
    assert line["error"].startswith("Traceback")
    assert line["error"].endswith("ValueError: two\nlines")


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.sampled_from(["\udcff", "a\nb\r\u2028", '"', "\x00"]))
def test_line_with_any_name_is_ascii_and_round_trips(stream, name):
    stream.truncate(stream.seek(0))
    logging.getLogger("facecraft.test").info("photo %s", name, extra={"uri": name})
    assert stream.getvalue().isascii()
    assert len(stream.getvalue().splitlines()) == 1
    assert lines(stream)[0]["uri"] == name


def test_line_with_values_that_json_lacks_has_text(stream):
    odd = {"a": float("nan"), "b": np.float64(1.5), "c": {1: {2}}, "d": b"x", "e": None, "level": "mine"}
    logging.getLogger("facecraft.test").info("odd", extra=odd)
    (line,) = lines(stream)
    assert [line[name] for name in "abcde"] == ["nan", 1.5, {"1": [2]}, "b'x'", None]
    assert (line["level"], line["level_"]) == ("INFO", "mine")


def test_libraries_log_from_warning(stream):
    logging.getLogger("PIL.PngImagePlugin").debug("STREAM IHDR")
    logging.getLogger("PIL.PngImagePlugin").warning("odd chunk")
    assert [line["event"] for line in lines(stream)] == ["odd chunk"]


def test_python_warning_is_logged(stream):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old function", DeprecationWarning, stacklevel=1)
    assert "old function" in lines(stream)[0]["event"]


def test_setup_with_level_hides_lower_levels(stream):
    log.setup("WARNING", stream)
    logging.getLogger("facecraft.test").info("hidden")
    log.photo_line(EVENT, "done")
    assert lines(stream) == []


def test_photo_line_has_all_fields(stream):
    log.photo_line(EVENT, "rejected", reason="no_face_detected", stages_ms={"decode": np.float64(41.04)})
    (line,) = lines(stream)
    del line["time"]
    assert line == {
        "level": "WARNING",
        "logger": "facecraft.photos",
        "event": "photo.rejected",
        "uri": "file:///inbox/anna.jpg",
        "version": "v1",
        "outcome": "rejected",
        "reason": "no_face_detected",
        "attempt": 2,
        "stages_ms": {"decode": 41.0},
    }


def test_photo_line_level_follows_outcome(stream):
    for outcome in ("done", "skipped", "retried", "failed"):
        log.photo_line(EVENT, outcome)
    assert [line["level"] for line in lines(stream)] == ["INFO", "INFO", "WARNING", "ERROR"]


def test_tail_collects_lines_of_its_context(stream):
    logging.getLogger("before").info("before")
    with log.Tail() as tail:
        logging.getLogger("facecraft.test").info("source.attached", extra={"source": "földer"})
    logging.getLogger("after").info("after")

    assert tail.text() == stream.getvalue().splitlines(keepends=True)[1]
    assert tail not in logging.getLogger().handlers


def test_requested_adds_request_id_only_in_its_context(stream):
    with log.requested("id-1"):
        logging.getLogger("call").info("mine")
    logging.getLogger("call").info("nobody's")

    assert [line.get("request_id") for line in lines(stream)] == ["id-1", None]


def test_tail_keeps_the_last_4_kb(stream):
    with log.Tail() as tail:
        for number in range(100):
            logging.getLogger("long").info("%03d%s", number, "x" * 100)

    assert len(tail.text()) == 4096
    assert stream.getvalue().endswith(tail.text())


def test_tail_omits_other_threads(stream):
    with log.Tail() as tail:
        other = threading.Thread(target=logging.getLogger("other").info, args=["other"])
        other.start()
        other.join()

    assert (tail.text(), lines(stream)[0]["event"]) == ("", "other")
