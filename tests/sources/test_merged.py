"""Several sources as one: who is asked when, and who hears of the end of an event."""

import itertools
import queue
import threading

import pytest

from sources.events import Event
from sources.memory import MemorySource
from sources.merged import MergedSource
from tests.sources.folder.folder_helpers import until

SOON = 10.0


class Member(MemorySource):
    """Counts what it was asked for."""

    def __init__(self, *paths, name="m", endless=True):
        super().__init__([Event(f"s3://b/{path}", path, name) for path in paths], endless=endless)
        self.trouble = None

    def attached(self):
        return self.trouble

    def pending(self):
        return len(self._waiting)

    def close(self):
        self.stop()


class Broken(Member):
    def __iter__(self):
        raise RuntimeError("our own fault")


@pytest.fixture
def several():
    made = []

    def make(*members):
        made.append(MergedSource(members))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_each_event_is_settled_at_its_own_source(several):
    one, two = Member("a"), Member("b")
    source = several(one, two)
    events = iter(source)
    a, b = sorted((next(events), next(events)), key=lambda event: event.path)
    source.ack(a)
    source.retry(b, "no luck", 5.0)
    assert (one.acked, one.retried, two.acked, two.retried) == ([a], [], [], [(b, "no luck", 5.0)])


def test_what_is_given_up_is_so_at_its_own_source(several):
    one, two = Member("a"), Member()
    source = several(one, two)
    event = next(iter(source))
    source.give_up(event)
    assert (one.given_up, two.given_up) == ([event], [])


class Flood(Member):
    """Always has another event."""

    def __iter__(self):
        return (Event(f"s3://b/{number}", f"flood{number}", "m") for number in itertools.count())

    def retry(self, event, error, delay):
        """Nothing of it was counted as held."""


def test_a_source_that_always_has_more_does_not_keep_another_waiting(several):
    source = several(Flood(), Member("a", "b", "c"))
    quiet = (event.path for event in itertools.islice(source, 100_000) if not event.path.startswith("flood"))
    assert list(itertools.islice(quiet, 3)) == ["a", "b", "c"]


def test_a_photo_that_two_sources_told_of_is_in_one_pair_of_hands(several):
    one, two = Member("same"), Member("same", "other")
    source = several(one, two)
    events = iter(source)
    taken = [next(events), next(events)]
    assert {event.path for event in taken} == {"same", "other"}
    for event in taken:
        source.ack(event)
    again = next(events)
    assert again.path == "same"
    source.ack(again)
    assert len(one.acked) + len(two.acked) == 3


def test_the_same_event_a_hundred_times_is_in_one_pair_of_hands_and_few_of_them_wait(several):
    one, two = Member(*["same"] * 50), Member(*["same"] * 50)
    source = several(one, two)
    events, taken = iter(source), queue.Queue()
    first = next(events)
    thread = threading.Thread(target=lambda: [taken.put(next(events)) for _ in range(99)], daemon=True)
    thread.start()
    until(lambda: len(one.held()) + len(two.held()) == 1 + 10 + 10)
    assert taken.empty()
    source.ack(first)
    for _ in range(99):
        source.ack(taken.get(timeout=SOON))
    assert len(one.acked) + len(two.acked) == 100


def test_no_source_is_asked_while_nobody_waits(several):
    one = Member("a", "b", "c")
    source = several(one)
    first = next(iter(source))
    until(lambda: len(one.held()) <= 2)
    assert one.held()[0] == first
    assert len(one.held()) == 1


def test_what_nobody_has_taken_is_given_back_at_the_end(several):
    one, two = Member("a"), Member("a", "x")
    source = several(one, two)
    events, ended = iter(source), queue.Queue()
    taken = {next(events).path, next(events).path}
    thread = threading.Thread(target=lambda: ended.put(next(events, "over")), daemon=True)
    thread.start()
    until(lambda: len(one.held()) + len(two.held()) == 3)
    source.stop()
    assert taken == {"a", "x"}
    assert [each[0].path for each in one.retried + two.retried] == ["a"]
    assert ended.get(timeout=SOON) == "over"


def test_whoever_waits_is_woken_by_the_end(several):
    source, ended = several(Member(), Member()), queue.Queue()
    thread = threading.Thread(target=lambda: ended.put(next(iter(source), "over")), daemon=True)
    thread.start()
    source.stop()
    assert ended.get(timeout=SOON) == "over"


def test_it_ends_when_all_sources_have(several):
    source = several(Member("a", endless=False), Member("b", endless=False))
    seen = []
    for event in source:
        seen.append(event.path)
        source.ack(event)
    assert sorted(seen) == ["a", "b"]


def test_it_is_attached_when_all_are(several):
    one, two = Member("a"), Member("b", "c")
    source = several(one, two)
    assert (source.attached(), source.pending()) == (None, 3)
    two.trouble = "no queue"
    assert source.attached() == "no queue"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_source_that_ends_by_a_fault_of_ours_ends_the_iteration_loudly(several):
    with pytest.raises(RuntimeError, match="A source ended unexpectedly"):
        next(iter(several(Broken(), Member())))
