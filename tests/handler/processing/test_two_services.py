"""Two services on one pair of buckets: what each does between two requests of the other, and after it was killed."""

from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from handler.outbox.attempts import Attempts
from handler.outbox.paths import ATTEMPTS
from handler.outbox.writer import OutboxWriter
from handler.workers.outcome import Done, Rejected, Skipped
from sources.stores import aws
from tests.handler.fakes import done, face, portrait, refused


class Killed(BaseException):
    """What no code of ours catches."""


@contextmanager
def once_before(operation, end, act):
    """Calls `act` once, just before the first request of that operation whose key has that end."""
    waiting = [act]

    def trap(params, **_):
        if waiting and params["Key"].endswith(end):
            waiting.pop()()

    events, name = aws.client("s3").meta.events, f"before-parameter-build.s3.{operation}"
    events.register(name, trap)
    try:
        yield
    finally:
        events.unregister(name, trap)
    assert not waiting


def before_the_marker(act):
    """Between a service's question for the report and its marker."""
    return once_before("PutObject", ".json", act)


def other_portrait(job):
    """Another result than `done` gives for the same photo."""
    reply = done(job)
    return replace(reply, result=replace(reply.result, portraits=(portrait(job.path, 99, face()),)))


def images(desk):
    return {path: desk.outbox.read(path).data for path in desk.outbox.list() if not path.startswith("reports/")}


def markers(desk):
    return list(desk.outbox.stamps(ATTEMPTS))


def test_a_report_that_came_just_before_the_marker_keeps_its_images(buckets):
    event, slow, fast, left = buckets.photo("anna.jpg"), buckets.service(other_portrait), buckets.service(), {}

    def overtake():
        assert isinstance(fast(event), Done)
        left.update(images(buckets))

    with before_the_marker(overtake):
        assert slow(event).reason == "conflict"

    assert images(buckets) == left
    assert markers(buckets) == []
    assert isinstance(slow(event), Skipped)


def test_a_rejection_that_came_just_before_the_marker_leaves_no_image(buckets):
    event, slow, fast = buckets.photo("anna.jpg"), buckets.service(), buckets.service(refused)

    with before_the_marker(lambda: fast(event)):
        assert slow(event).reason == "conflict"

    assert buckets.report("anna.jpg")["outcome"] == "rejected"
    assert (images(buckets), markers(buckets)) == ({}, [])


def test_images_of_a_service_killed_before_its_report_was_refused_are_removed(buckets):
    event, slow, fast = buckets.photo("anna.jpg"), buckets.service(), buckets.service(refused)

    def die():
        raise Killed

    with ExitStack() as traps:

        def overtake():
            fast(event)
            traps.enter_context(once_before("PutObject", "reports/anna.jpg.json", die))

        with before_the_marker(overtake), pytest.raises(Killed):
            slow(event)
    assert set(images(buckets)) == {"anna.png", "anna.jpg"}

    buckets.begun[0].close()  # the death of the slow one
    recovering = Attempts(buckets.outbox)
    buckets.begun.append(recovering)
    recovering.suspects(lambda path: not buckets.settled(path), OutboxWriter(buckets.outbox).tidy)
    assert (images(buckets), markers(buckets)) == ({}, [])
    assert isinstance(fast(event), Skipped)


@pytest.mark.parametrize("end", [".png", "out/anna.jpg", "reports/anna.jpg.json"])
@pytest.mark.parametrize("answer", [done, refused])
def test_a_service_killed_before_any_write_leaves_all_to_the_next_one(buckets, end, answer):
    event, dying = buckets.photo("anna.jpg"), buckets.service()

    def die():
        raise Killed

    with pytest.raises(Killed), once_before("PutObject", end, die):
        dying(event)
    buckets.begun[0].close()

    next_one = buckets.service(answer)
    assert next_one.attempts.is_suspect("anna.jpg")
    assert isinstance(next_one(event), Done if answer is done else Rejected)
    assert set(images(buckets)) == {file["name"] for file in buckets.report("anna.jpg")["outputs"]}
    assert markers(buckets) == []


@pytest.mark.parametrize("answer", [other_portrait, refused])
def test_a_service_that_was_paused_writes_nothing_over_the_report_of_another(buckets, answer):
    event, left = buckets.photo("anna.jpg"), {}

    def paused(job):
        buckets.begun[0].close()  # its lease ends
        assert isinstance(buckets.service(answer)(event), Done | Rejected)
        left.update(images(buckets))
        return done(job)

    assert buckets.service(paused)(event).reason == "conflict"
    assert (images(buckets), markers(buckets)) == (left, [])


def test_an_image_that_cannot_be_written_leaves_none_behind(buckets):
    event, process = buckets.photo("anna.jpg"), buckets.service()

    def fail():
        raise OSError("the server is away")

    with once_before("PutObject", "out/anna.jpg", fail):
        assert process(event).reason == "outbox_unavailable"

    assert (images(buckets), markers(buckets)) == ({}, [])
    assert isinstance(process(event), Done)


def test_a_jpeg_that_is_not_ours_moves_both_images_to_the_next_name(buckets):
    buckets.outbox.write("anna.jpg", b"a stranger's")

    assert buckets.service()(buckets.photo("anna.heic")).outputs == ("anna.heic.png", "anna.heic.jpg")
    assert set(images(buckets)) == {"anna.jpg", "anna.heic.png", "anna.heic.jpg"}
    assert images(buckets)["anna.jpg"] == b"a stranger's"


def test_a_photo_whose_marker_stands_is_not_taken_for_done(buckets):
    event, process = buckets.photo("anna.jpg"), buckets.service()
    process(event)
    process.attempts.mark_replaced("anna.jpg")

    assert isinstance(process(event), Skipped)
    assert markers(buckets) == []
