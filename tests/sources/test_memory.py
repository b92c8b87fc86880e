"""The source in memory behaves as the others do."""

import threading

import pytest

from sources.events import Event
from sources.memory import MemorySource

A = Event("file:///a.jpg", "a.jpg", "1")


def test_it_yields_what_it_was_given_and_ends_when_all_is_settled():
    source = MemorySource([A])
    for event in source:
        source.ack(event)
    assert source.acked == [A]
    assert source.held() == []


def test_what_is_given_up_does_not_come_again():
    source = MemorySource([A])
    for event in source:
        source.give_up(event)
    assert (source.given_up, source.acked, source.held()) == ([A], [], [])


def test_a_retry_comes_again_with_its_attempt():
    source = MemorySource([A])
    attempts = []
    for event in source:
        attempts.append(event.attempt)
        source.retry(event, "why", 5.0) if event.attempt < 3 else source.ack(event)
    assert attempts == [1, 2, 3]
    assert source.retried[0] == (A, "why", 5.0)


def test_an_endless_source_waits_for_more_until_it_is_stopped():
    source, seen = MemorySource(endless=True), []
    thread = threading.Thread(target=lambda: [(seen.append(event), source.stop()) for event in source])
    thread.start()
    source.add(A)
    thread.join(10)
    assert seen == [A]


def test_settling_twice_is_an_error():
    source = MemorySource([A])
    source.ack(next(iter(source)))
    with pytest.raises(ValueError, match="not in list"):
        source.ack(A)
