"""The loop between a source and the process: slots, order, and each event settled exactly once."""

import logging
import threading
from collections import Counter
from dataclasses import replace

import pytest

from handler.outbox.photo_version import UNREAD
from handler.processing.slots import Workers
from handler.telemetry.log import Tail
from handler.workers.outcome import Done, Failed, Rejected, Skipped, Vanished
from sources.events import Event
from sources.memory import MemorySource

SOON = 10.0


def events(number):
    return [Event(f"file:///in/{index}.jpg", f"{index}.jpg", "v1") for index in range(number)]


class Hall:
    """A process whose photos stay until they are let go; counts who is in."""

    def __init__(self):
        self.inside = self.most = 0
        self._let = 0
        self._changed = threading.Condition()

    def __call__(self, event):
        with self._changed:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._let > 0, SOON)
            self._let -= 1
            self.inside -= 1
            self._changed.notify_all()
        return Skipped()

    def let(self, number):
        with self._changed:
            self._let += number
            self._changed.notify_all()

    def has(self, number):
        with self._changed:
            return self._changed.wait_for(lambda: self.inside == number, SOON)


class Heard:
    """Remembers what became of each photo."""

    def __init__(self):
        self.taken_paths, self.settled_paths = [], []

    def taken(self, event):
        self.taken_paths.append(event.path)

    def settled(self, event, outcome):
        self.settled_paths.append(event.path)


def started(source, process, slots=1, heard=None):
    workers = Workers(source, process, heard or Heard(), slots)
    workers.start()
    return workers


@pytest.mark.parametrize("slots", [1, 3])
def test_never_more_in_hand_than_slots(slots):
    source, hall = MemorySource(events(10)), Hall()
    workers = started(source, hall, slots)

    assert hall.has(slots)
    assert len(source.held()) == slots
    hall.let(10)

    assert workers.wait(SOON)
    assert hall.most == slots
    assert len(source.acked) == 10


def test_an_event_is_pulled_only_when_a_slot_is_free():
    source, hall = MemorySource(events(2)), Hall()
    workers = started(source, hall)

    assert hall.has(1)
    assert [event.path for event in source.held()] == ["0.jpg"]
    hall.let(2)
    assert workers.wait(SOON)


def test_a_stop_settles_what_runs_and_takes_nothing_more():
    source, hall = MemorySource(events(5)), Hall()
    workers = started(source, hall, 2)
    assert hall.has(2)

    source.stop()
    assert not workers.wait(0)
    hall.let(2)

    assert workers.wait(SOON)
    assert (len(source.acked), source.held(), hall.most) == (2, [], 2)


def test_a_slot_that_waits_for_an_event_ends_with_the_source():
    source = MemorySource(endless=True)
    workers = started(source, Hall(), 3)

    source.stop()

    assert workers.wait(SOON)
    assert workers.lost() == 0


def test_every_event_is_settled_exactly_once_and_told_of():
    tries, lock, heard, source = Counter(), threading.Lock(), Heard(), MemorySource(events(60))

    def flaky(event):
        with lock:
            tries[event.path] += 1
        return Failed("changed", "again", 1.0) if tries[event.path] < 3 else Done(())

    assert started(source, flaky, 4, heard).wait(SOON)

    assert Counter(event.path for event in source.acked) == {event.path: 1 for event in events(60)}
    assert len(source.retried) == 120
    assert sorted(heard.taken_paths) == sorted(heard.settled_paths)
    assert len(heard.taken_paths) == 180


def test_what_slots_log_belongs_to_the_call_that_made_them(caplog):
    caplog.set_level(logging.INFO)
    with Tail() as tail:
        assert started(MemorySource(events(2)), lambda _: Skipped(), 2).wait(SOON)
    assert started(MemorySource(events(1)), lambda _: Skipped()).wait(SOON)

    assert tail.text().count("photo.skipped") == 2


@pytest.mark.parametrize(
    ("outcome", "line", "level"),
    [
        (Done((), {"decode": 1.0}), "photo.done", logging.INFO),
        (Skipped(seen=replace(UNREAD, etags=("v2",))), "photo.skipped", logging.INFO),
        (Vanished(), "photo.vanished", logging.INFO),
        (Rejected("no_face_detected", "send another"), "photo.rejected", logging.WARNING),
    ],
)
def test_what_is_final_is_acknowledged_with_one_line_in_the_log(caplog, outcome, line, level):
    caplog.set_level(logging.INFO)
    source = MemorySource(events(1))

    assert started(source, lambda _: outcome).wait(SOON)

    assert (source.acked, source.retried) == (events(1), [])
    assert [(record.message, record.levelno) for record in caplog.records] == [(line, level)]
    assert caplog.records[0].reason == getattr(outcome, "reason", None)
    assert caplog.records[0].version == (getattr(outcome, "version", None) or "v1")


def test_a_photo_whose_attempts_are_used_up_is_given_up(caplog):
    source = MemorySource(events(1))

    assert started(source, lambda _: Failed("unreadable", "I/O error")).wait(SOON)

    assert (source.given_up, source.acked, source.retried) == (events(1), [], [])
    assert [(record.message, record.reason) for record in caplog.records] == [("photo.failed", "unreadable")]


def test_what_may_work_later_is_given_back_with_its_pause():
    answers = [Failed("unreadable", "I/O error", 4.0), Done(())]
    source = MemorySource(events(1))

    assert started(source, lambda _: answers.pop(0)).wait(SOON)

    assert source.retried == [(events(1)[0], "I/O error", 4.0)]
    assert source.acked[0].attempt == 2


class Broken(MemorySource):
    """A source whose thread ended unexpectedly."""

    def __iter__(self):
        yield from events(1)
        raise RuntimeError("the scan ended unexpectedly")

    def ack(self, event):
        pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_slot_that_ends_before_its_source_is_lost():
    workers = started(Broken(), lambda _: Done(()))

    assert workers.wait(SOON)
    assert workers.lost() == 1


def test_nothing_is_pulled_before_the_gate_opens():
    source, opened = MemorySource(events(1)), threading.Event()
    workers = Workers(source, lambda event: Skipped(), Heard(), 1, lambda: opened.wait(SOON))
    workers.start()

    assert not workers.wait(0.1)
    assert source.held() == []
    opened.set()
    assert workers.wait(SOON)
