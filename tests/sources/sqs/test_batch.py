"""The photos of one call: each once, while there is time, and what has to come again afterwards."""

import math

from hypothesis import given
from hypothesis import strategies as st

from sources.bucket.inbox import BucketPhoto
from sources.events import Event
from sources.sqs.batch import ANSWER_SECONDS, TRIES, BatchSource


def photo(path="anna.jpg", sequencer=None):
    return BucketPhoto(f"s3://photos/in/{path}", path, "1", sequencer)


class Clock:
    """Seconds that pass when a photo is worked on."""

    def __init__(self, left=math.inf):
        self.now, self.left = 0.0, left

    def work(self, seconds):
        self.now += seconds
        self.left -= seconds


def source_of(*names, left=math.inf):
    clock = Clock(left)
    source = BatchSource(lambda: clock.left, "sqs", lambda: clock.now)
    for name in names:
        source.add(name, (photo(f"{name}.jpg"),))
    return source, clock


def test_every_photo_comes_once_as_an_event_of_its_message():
    source, _ = source_of()
    source.add("m1", (photo("a.jpg"), photo("b.jpg")), attempt=3)

    events = list(source)
    assert events == [
        Event(f"s3://photos/in/{name}.jpg", f"{name}.jpg", "1", 3, "m1", source="sqs") for name in ("a", "b")
    ]
    assert source.failed_messages() == ["m1"]
    for event in events:
        source.ack(event)
    assert source.failed_messages() == []


def test_a_message_that_comes_twice_counts_once():
    source, _ = source_of("m1", "m1")

    assert len(list(source)) == 1
    assert source.failed_messages() == ["m1"]


def test_of_several_messages_about_one_photo_one_answers_for_it():
    source, _ = source_of()
    source.add("m1", (photo(sequencer="01"),))
    source.add("m2", (photo(sequencer="02"),))

    (event,) = source
    source.retry(event, "the disk is full", 10)
    assert source.failed_messages() == ["m1"]


def test_what_is_retried_is_unsettled_and_what_is_given_up_is_not():
    source, _ = source_of("m1", "m2", "m3")
    first, second, third = source
    source.retry(first, "the disk is full", 10.0)
    source.give_up(second)
    source.ack(third)

    assert source.failed_messages() == ["m1"]


def test_what_may_go_well_soon_comes_again_after_the_others():
    source, _ = source_of("m1", "m2")
    events = iter(source)
    source.retry(next(events), "another one has it in work", 0.0)

    assert [event.path for event in events] == ["m2.jpg", "m1.jpg"]


def test_what_goes_well_the_second_time_is_settled():
    source = BatchSource(lambda: math.inf)
    source.add("m1", (photo(),))
    events = iter(source)
    first = next(events)
    source.retry(first, "another one has it in work", 0.05)
    assert next(events) == first
    source.ack(first)

    assert (list(events), source.failed_messages()) == ([], [])


def test_what_does_not_go_well_soon_is_left_to_the_caller():
    source, _ = source_of("m1")
    tries = 0
    for event in source:
        tries += 1
        source.retry(event, "another one has it in work", 0.0)

    assert (tries, source.failed_messages()) == (TRIES, ["m1"])


def test_no_photo_is_waited_for_beyond_the_call():
    source, clock = source_of("m1", left=2.0)
    for event in source:
        clock.left = 0.5
        source.retry(event, "another one has it in work", 1.0)

    assert source.failed_messages() == ["m1"]


def test_a_message_without_photos_is_settled():
    source, _ = source_of()
    source.add("m1", ())

    assert list(source) == []
    assert source.failed_messages() == []


def test_near_the_end_of_the_call_nothing_more_is_begun():
    source, clock = source_of(*"abcdefgh", left=3.0)
    begun = []
    for event in source:
        begun.append(event.path)
        clock.work(0.5)
        source.ack(event)

    assert begun == ["a.jpg", "b.jpg", "c.jpg"]  # a fourth one might end within the last second
    assert source.failed_messages() == [*"defgh"]


def test_without_time_nothing_is_begun():
    source, _ = source_of("a", left=ANSWER_SECONDS - 0.01)

    assert list(source) == []
    assert source.failed_messages() == ["a"]


def test_a_source_that_was_stopped_yields_nothing_more():
    source, _ = source_of("a", "b")
    events = iter(source)
    next(events)
    source.stop()

    assert list(events) == []


@given(
    st.lists(st.tuples(st.sampled_from("1234"), st.lists(st.sampled_from("abcd"), max_size=3)), max_size=8),
    st.sets(st.sampled_from("abcd")),
    st.integers(0, 12),
)
def test_a_message_is_settled_exactly_when_nothing_that_it_answers_for_is_left(messages, failing, most):
    source, clock = source_of(left=float(most) + 0.5 + ANSWER_SECONDS)
    for name, paths in messages:
        source.add(name, tuple(photo(path) for path in paths))
    settled = set()
    for event in source:
        clock.work(1.0)
        if event.path in failing:
            source.retry(event, "again", 10.0)
        else:
            settled.add(event.path)
            source.ack(event)

    failed, seen = source.failed_messages(), {}
    for name, paths in messages:
        seen.setdefault(name, set()).update(paths) if name not in seen else None
    answering = {path: name for name, paths in reversed(seen.items()) for path in paths}
    assert len(failed) == len(set(failed))
    assert set(failed) == {name for path, name in answering.items() if path not in settled}
