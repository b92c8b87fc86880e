"""Which message answers for which photo, and when a message is answered."""

import math

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sources.bucket.inbox import BucketPhoto
from sources.sqs.in_flight import InFlight, InFlightMessage


def photo(path="anna.jpg", version="1", sequencer=None):
    return BucketPhoto(f"s3://photos/in/{path}", path, version, sequencer)


def message(name="m1", *, attempt=1, receipt=None):
    return InFlightMessage(name, receipt or f"receipt of {name}", attempt, 5.0)


def settled(in_flight):
    return {each.id: each.retry_at for each in in_flight.answerable()}


@pytest.fixture
def in_flight():
    return InFlight()


def test_an_event_carries_its_message_and_attempt(in_flight):
    in_flight.add(message(attempt=3), [photo()])
    event = in_flight.take()
    assert (event.uri, event.path, event.version) == ("s3://photos/in/anna.jpg", "anna.jpg", "1")
    assert (event.attempt, event.receipt, event.queued_at) == (3, "m1", 5.0)
    assert in_flight.take() is None


def test_a_message_without_photos_is_answered_at_once(in_flight):
    in_flight.add(message())
    assert settled(in_flight) == {"m1": None}
    in_flight.answered("m1", "receipt of m1")
    assert (settled(in_flight), len(in_flight)) == ({}, 0)


def test_a_message_is_settled_with_the_last_of_its_photos(in_flight):
    in_flight.add(message(), [photo("a.jpg"), photo("b.jpg")])
    first, second = in_flight.take(), in_flight.take()
    in_flight.settle(first.path)
    assert settled(in_flight) == {}
    in_flight.settle(second.path)
    assert settled(in_flight) == {"m1": None}


def test_one_photo_that_is_retried_keeps_the_message(in_flight):
    in_flight.add(message(), [photo("a.jpg"), photo("b.jpg"), photo("c.jpg")])
    paths = [in_flight.take().path for _ in range(3)]
    in_flight.settle(paths[0], retry_at=7.0)
    in_flight.settle(paths[1], retry_at=9.0)
    in_flight.settle(paths[2])
    assert settled(in_flight) == {"m1": 9.0}


def test_the_same_photo_twice_in_a_message_is_one(in_flight):
    in_flight.add(message(), [photo(), photo()])
    in_flight.settle(in_flight.take().path)
    assert in_flight.take() is None
    assert settled(in_flight) == {"m1": None}


def test_a_second_message_about_a_waiting_photo_has_nothing_left_to_do(in_flight):
    in_flight.add(message("m1"), [photo(version="1")])
    in_flight.add(message("m2"), [photo(version="2")])
    assert settled(in_flight) == {"m2": None}
    assert in_flight.take().version == "2"
    assert in_flight.take() is None


def test_an_older_event_that_comes_late_does_not_change_the_version(in_flight):
    in_flight.add(message("m1"), [photo(version="new", sequencer="0B")])
    in_flight.add(message("m2"), [photo(version="old", sequencer="A")])
    in_flight.add(message("m3"), [photo(version="")])
    assert in_flight.take().version == "new"


@pytest.mark.parametrize("again", [photo(version="1"), photo(version="0", sequencer="A")], ids=["same", "older"])
def test_what_a_photo_in_hand_covers_is_settled_at_once(in_flight, again):
    in_flight.add(message("m1"), [photo(version="1", sequencer="B")])
    event = in_flight.take()
    in_flight.add(message("m2"), [again])
    assert settled(in_flight) == {"m2": None}
    in_flight.settle(event.path)
    assert in_flight.take() is None


@pytest.mark.parametrize(
    "again",
    [photo(version="2"), photo(version=""), photo(version="2", sequencer="B"), photo(version="2", sequencer="C")],
    ids=["other", "unknown", "same sequencer", "newer"],
)
def test_news_of_a_photo_in_hand_waits_until_it_is_settled(in_flight, again):
    in_flight.add(message("m1"), [photo(version="1", sequencer="B")])
    event = in_flight.take()
    in_flight.add(message("m2"), [again])
    in_flight.add(message("m3"), [photo(version="3", sequencer="D")])
    assert in_flight.take() is None
    in_flight.settle(event.path)
    assert (in_flight.take().receipt, list(settled(in_flight))) == ("m2", ["m3", "m1"])


def test_a_message_that_comes_again_while_it_is_held_has_a_new_receipt_only(in_flight):
    in_flight.add(message(receipt="old"), [photo()])
    event = in_flight.take()
    assert in_flight.refresh(message(receipt="new", attempt=2))
    assert in_flight.take() is None
    in_flight.settle(event.path)
    assert [each.receipt for each in in_flight.answerable()] == ["new"]


def test_a_message_that_came_again_while_it_was_answered_is_answered_again(in_flight):
    in_flight.add(message(receipt="old"))
    in_flight.refresh(message(receipt="new"))
    in_flight.answered("m1", "old")
    assert [each.receipt for each in in_flight.answerable()] == ["new"]


def test_a_message_that_comes_again_when_it_was_to_is_worked_on_before_that_was_answered(in_flight):
    in_flight.add(message(), [photo()])
    in_flight.settle(in_flight.take().path, retry_at=4.0)
    back = message(attempt=2, receipt="later")

    assert not in_flight.refresh(back)
    in_flight.add(back, [photo()])
    in_flight.answered("m1", "receipt of m1")
    assert (settled(in_flight), in_flight.take().attempt) == ({}, 2)


def test_a_message_that_comes_again_before_it_was_to_is_hidden_again(in_flight):
    in_flight.add(message(), [photo()])
    in_flight.settle(in_flight.take().path, retry_at=60.0)

    assert in_flight.refresh(message(attempt=2, receipt="later"))
    in_flight.answered("m1", "receipt of m1")
    assert (settled(in_flight), in_flight.take()) == ({"m1": 60.0}, None)


def test_what_nobody_has_in_hand_is_released(in_flight):
    in_flight.add(message("m1"), [photo("a.jpg"), photo("b.jpg")])
    in_flight.add(message("m2"), [photo("c.jpg")])
    event = in_flight.take()
    in_flight.add(message("m3"), [photo("a.jpg", "2")])
    in_flight.return_queued()
    assert settled(in_flight) == {"m2": -math.inf, "m3": -math.inf}
    in_flight.settle(event.path)
    assert settled(in_flight)["m1"] == -math.inf
    assert (in_flight.take(), in_flight.queued) == (None, 0)


def test_a_message_that_was_given_up_is_known_when_it_comes_again(in_flight):
    in_flight.add(message(), [photo()])
    in_flight.settle(in_flight.take().path, given_up=True)
    in_flight.answered("m1", "receipt of m1")
    assert in_flight.was_given_up(message(attempt=2))
    assert not in_flight.was_given_up(message(attempt=1))
    assert not in_flight.was_given_up(message("m2", attempt=2))


def test_a_message_with_a_photo_to_retry_is_not_given_up(in_flight):
    in_flight.add(message(), [photo("a.jpg"), photo("b.jpg")])
    in_flight.settle(in_flight.take().path, given_up=True)
    in_flight.settle(in_flight.take().path, retry_at=7.0)
    in_flight.answered("m1", "receipt of m1")
    assert not in_flight.was_given_up(message(attempt=2))


def test_settling_what_is_not_in_hand_changes_nothing(in_flight):
    in_flight.add(message(), [photo()])
    in_flight.settle("anna.jpg")
    assert (settled(in_flight), in_flight.queued) == ({}, 1)


class Held(RuleBasedStateMachine):
    """Whatever comes in whatever order: no path in two hands, and every message is answered in the end."""

    def __init__(self):
        super().__init__()
        self.in_flight = InFlight()
        self.in_hand = []
        self.number = 0

    @rule(paths=st.lists(st.sampled_from("abc"), max_size=4), version=st.sampled_from(["", "1", "2"]))
    def comes(self, paths, version):
        self.number += 1
        self.in_flight.add(message(f"m{self.number}"), [photo(path, version) for path in paths])

    @rule()
    def taken(self):
        if event := self.in_flight.take():
            assert event.path not in self.in_hand
            self.in_hand.append(event.path)

    @rule(again=st.none() | st.just(9.0), given_up=st.booleans())
    def is_settled(self, again, given_up):
        if self.in_hand:
            self.in_flight.settle(self.in_hand.pop(), retry_at=again, given_up=given_up)

    @rule()
    def is_answered(self):
        for each in self.in_flight.answerable():
            self.in_flight.answered(each.id, each.receipt)

    @rule()
    def is_released(self):
        self.in_flight.return_queued()

    @invariant()
    def counts_agree(self):
        assert self.in_flight.in_progress == len(self.in_hand)
        assert self.in_flight.open_messages <= self.in_flight.in_progress + self.in_flight.queued

    def teardown(self):
        while self.in_hand or self.in_flight.queued:
            self.taken()
            self.is_settled(None, given_up=False)
        self.is_answered()
        assert len(self.in_flight) == 0


TestHeld = Held.TestCase
