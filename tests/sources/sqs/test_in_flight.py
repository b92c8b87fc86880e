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


def settled(deliveries):
    return {each.id: each.again for each in deliveries.settled()}


@pytest.fixture
def deliveries():
    return InFlight()


def test_an_event_carries_its_message_and_attempt(deliveries):
    deliveries.add(message(attempt=3), [photo()])
    event = deliveries.take()
    assert (event.uri, event.path, event.version) == ("s3://photos/in/anna.jpg", "anna.jpg", "1")
    assert (event.attempt, event.receipt, event.known) == (3, "m1", 5.0)
    assert deliveries.take() is None


def test_a_message_without_photos_is_answered_at_once(deliveries):
    deliveries.add(message())
    assert settled(deliveries) == {"m1": None}
    deliveries.answered("m1", "receipt of m1")
    assert (settled(deliveries), len(deliveries)) == ({}, 0)


def test_a_message_is_settled_with_the_last_of_its_photos(deliveries):
    deliveries.add(message(), [photo("a.jpg"), photo("b.jpg")])
    first, second = deliveries.take(), deliveries.take()
    deliveries.settle(first.path)
    assert settled(deliveries) == {}
    deliveries.settle(second.path)
    assert settled(deliveries) == {"m1": None}


def test_one_photo_that_is_retried_keeps_the_message(deliveries):
    deliveries.add(message(), [photo("a.jpg"), photo("b.jpg"), photo("c.jpg")])
    paths = [deliveries.take().path for _ in range(3)]
    deliveries.settle(paths[0], again=7.0)
    deliveries.settle(paths[1], again=9.0)
    deliveries.settle(paths[2])
    assert settled(deliveries) == {"m1": 9.0}


def test_the_same_photo_twice_in_a_message_is_one(deliveries):
    deliveries.add(message(), [photo(), photo()])
    deliveries.settle(deliveries.take().path)
    assert deliveries.take() is None
    assert settled(deliveries) == {"m1": None}


def test_a_second_message_about_a_waiting_photo_has_nothing_left_to_do(deliveries):
    deliveries.add(message("m1"), [photo(version="1")])
    deliveries.add(message("m2"), [photo(version="2")])
    assert settled(deliveries) == {"m2": None}
    assert deliveries.take().version == "2"
    assert deliveries.take() is None


def test_an_older_event_that_comes_late_does_not_change_the_version(deliveries):
    deliveries.add(message("m1"), [photo(version="new", sequencer="0B")])
    deliveries.add(message("m2"), [photo(version="old", sequencer="A")])
    deliveries.add(message("m3"), [photo(version="")])
    assert deliveries.take().version == "new"


@pytest.mark.parametrize("again", [photo(version="1"), photo(version="0", sequencer="A")], ids=["same", "older"])
def test_what_a_photo_in_hand_covers_is_settled_at_once(deliveries, again):
    deliveries.add(message("m1"), [photo(version="1", sequencer="B")])
    event = deliveries.take()
    deliveries.add(message("m2"), [again])
    assert settled(deliveries) == {"m2": None}
    deliveries.settle(event.path)
    assert deliveries.take() is None


@pytest.mark.parametrize(
    "again",
    [photo(version="2"), photo(version=""), photo(version="2", sequencer="B"), photo(version="2", sequencer="C")],
    ids=["other", "unknown", "same sequencer", "newer"],
)
def test_news_of_a_photo_in_hand_waits_until_it_is_settled(deliveries, again):
    deliveries.add(message("m1"), [photo(version="1", sequencer="B")])
    event = deliveries.take()
    deliveries.add(message("m2"), [again])
    deliveries.add(message("m3"), [photo(version="3", sequencer="D")])
    assert deliveries.take() is None
    deliveries.settle(event.path)
    assert (deliveries.take().receipt, list(settled(deliveries))) == ("m2", ["m3", "m1"])


def test_a_message_that_comes_again_while_it_is_held_has_a_new_receipt_only(deliveries):
    deliveries.add(message(receipt="old"), [photo()])
    event = deliveries.take()
    assert deliveries.again(message(receipt="new", attempt=2))
    assert deliveries.take() is None
    deliveries.settle(event.path)
    assert [each.receipt for each in deliveries.settled()] == ["new"]


def test_a_message_that_came_again_while_it_was_answered_is_answered_again(deliveries):
    deliveries.add(message(receipt="old"))
    deliveries.again(message(receipt="new"))
    deliveries.answered("m1", "old")
    assert [each.receipt for each in deliveries.settled()] == ["new"]


def test_a_message_that_comes_again_when_it_was_to_is_worked_on_before_that_was_answered(deliveries):
    deliveries.add(message(), [photo()])
    deliveries.settle(deliveries.take().path, again=4.0)
    back = message(attempt=2, receipt="later")

    assert not deliveries.again(back)
    deliveries.add(back, [photo()])
    deliveries.answered("m1", "receipt of m1")
    assert (settled(deliveries), deliveries.take().attempt) == ({}, 2)


def test_a_message_that_comes_again_before_it_was_to_is_hidden_again(deliveries):
    deliveries.add(message(), [photo()])
    deliveries.settle(deliveries.take().path, again=60.0)

    assert deliveries.again(message(attempt=2, receipt="later"))
    deliveries.answered("m1", "receipt of m1")
    assert (settled(deliveries), deliveries.take()) == ({"m1": 60.0}, None)


def test_what_nobody_has_in_hand_is_released(deliveries):
    deliveries.add(message("m1"), [photo("a.jpg"), photo("b.jpg")])
    deliveries.add(message("m2"), [photo("c.jpg")])
    event = deliveries.take()
    deliveries.add(message("m3"), [photo("a.jpg", "2")])
    deliveries.release()
    assert settled(deliveries) == {"m2": -math.inf, "m3": -math.inf}
    deliveries.settle(event.path)
    assert settled(deliveries)["m1"] == -math.inf
    assert (deliveries.take(), deliveries.waiting) == (None, 0)


def test_a_message_that_was_given_up_is_known_when_it_comes_again(deliveries):
    deliveries.add(message(), [photo()])
    deliveries.settle(deliveries.take().path, given_up=True)
    deliveries.answered("m1", "receipt of m1")
    assert deliveries.was_given_up(message(attempt=2))
    assert not deliveries.was_given_up(message(attempt=1))
    assert not deliveries.was_given_up(message("m2", attempt=2))


def test_a_message_with_a_photo_to_retry_is_not_given_up(deliveries):
    deliveries.add(message(), [photo("a.jpg"), photo("b.jpg")])
    deliveries.settle(deliveries.take().path, given_up=True)
    deliveries.settle(deliveries.take().path, again=7.0)
    deliveries.answered("m1", "receipt of m1")
    assert not deliveries.was_given_up(message(attempt=2))


def test_settling_what_is_not_in_hand_changes_nothing(deliveries):
    deliveries.add(message(), [photo()])
    deliveries.settle("anna.jpg")
    assert (settled(deliveries), deliveries.waiting) == ({}, 1)


class Held(RuleBasedStateMachine):
    """Whatever comes in whatever order: no path in two hands, and every message is answered in the end."""

    def __init__(self):
        super().__init__()
        self.deliveries = InFlight()
        self.in_hand = []
        self.number = 0

    @rule(paths=st.lists(st.sampled_from("abc"), max_size=4), version=st.sampled_from(["", "1", "2"]))
    def comes(self, paths, version):
        self.number += 1
        self.deliveries.add(message(f"m{self.number}"), [photo(path, version) for path in paths])

    @rule()
    def taken(self):
        if event := self.deliveries.take():
            assert event.path not in self.in_hand
            self.in_hand.append(event.path)

    @rule(again=st.none() | st.just(9.0), given_up=st.booleans())
    def is_settled(self, again, given_up):
        if self.in_hand:
            self.deliveries.settle(self.in_hand.pop(), again=again, given_up=given_up)

    @rule()
    def is_answered(self):
        for each in self.deliveries.settled():
            self.deliveries.answered(each.id, each.receipt)

    @rule()
    def is_released(self):
        self.deliveries.release()

    @invariant()
    def counts_agree(self):
        assert self.deliveries.in_hand == len(self.in_hand)
        assert self.deliveries.unsettled <= self.deliveries.in_hand + self.deliveries.waiting

    def teardown(self):
        while self.in_hand or self.deliveries.waiting:
            self.taken()
            self.is_settled(None, given_up=False)
        self.is_answered()
        assert len(self.deliveries) == 0


TestHeld = Held.TestCase
