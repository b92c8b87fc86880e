"""A queue that fails, refuses and hands messages out again: nothing is lost, nothing is done twice, and it is said."""

import logging
import threading

import pytest

from sources.sqs.source import SqsSource
from tests.sources.notifications.payloads import direct, record
from tests.sources.sqs.sqs_helpers import SOON, FakeSqs, Run, denied, given, refused, unreachable
from tests.support.waiting import eventually

URL = "http://sqs.example/1/photos"


def photos(*names):
    return direct(*(record(f"in/{name}.jpg") for name in names))


def until(condition):
    assert eventually(condition, SOON)


def logged(caplog, text):
    return [record.levelname for record in caplog.records if text in record.message]


@pytest.fixture
def sqs(caplog):
    caplog.set_level(logging.INFO)
    return FakeSqs()


def test_it_asks_for_as_many_messages_as_slots_are_free(sqs):
    sqs.give(given("m1", photos("a")))
    with Run(sqs, slots=3) as run:
        run.next()
        assert sqs.calls("receive", 2)[:2] == [3, 2]


@pytest.mark.parametrize(("slots", "most"), [(1, 1), (10, 10), (64, 10)])
def test_it_asks_for_not_more_than_a_call_may_bring(sqs, slots, most):
    with Run(sqs, slots=slots):
        assert sqs.calls("receive")[0] == most


def test_slots_that_another_source_fills_are_not_asked_for(sqs):
    sqs.give(given("m1", photos("a")))
    run = Run(sqs, slots=4)
    run.source.share_slots(lambda: 2)
    with run:
        run.next()
        assert sqs.calls("receive", 2)[:2] == [2, 1]


def test_where_another_source_fills_all_slots_one_message_waits_for_its_turn(sqs):
    sqs.give(given("m1", photos("a")), given("m2", photos("b")))
    others, asked = [2], []
    run = Run(sqs, slots=2)
    run.source.share_slots(lambda: asked.append("how many") or others[0])
    with run:
        assert run.next().path == "a.jpg"
        before = len(asked)
        until(lambda: len(asked) > before + 4)  # it has looked for a free slot more than once
        assert sqs.calls("receive") == [1]
        others[0] = 0
        assert run.next().path == "b.jpg"


def test_it_asks_for_nothing_while_no_slot_is_free(sqs):
    sqs.give(given("m1", photos("a")))
    source, looked = SqsSource(URL, "photos", "in", slots=1, client=sqs), threading.Event()
    event = next(iter(source))
    source.share_slots(lambda: looked.set() or 0)
    second = []
    thread = threading.Thread(target=lambda: second.append(next(iter(source))))
    thread.start()
    assert looked.wait(SOON)  # for a free slot
    sqs.give(given("m2", photos("b")))
    source.ack(event)
    thread.join(SOON)
    assert (second[0].path, sqs.calls("receive")) == ("b.jpg", [1, 1])
    source.close()


def test_all_that_is_held_is_kept_also_what_waits(sqs):
    sqs.give(given("m1", photos("a")), given("m2", photos("b", "c")))
    source = SqsSource(URL, "photos", "in", slots=2, client=sqs)
    next(iter(source))
    assert sqs.calls("hide")[0] == [("receipt of m1", 5), ("receipt of m2", 5)]
    source.close()


def test_what_is_in_hand_is_kept_after_a_stop(sqs):
    sqs.give(given("m1", photos("a")))
    with Run(sqs) as run:
        event = run.next()
        run.source.stop()
        assert sqs.calls("hide")[0] == [("receipt of m1", 5)]
        run.ack(event)
        assert sqs.calls("delete") == [["receipt of m1"]]


def test_a_heartbeat_that_fails_is_repeated_soon(sqs, caplog):
    sqs.give(given("m1", photos("a")))
    sqs.fail("hide", unreachable(), unreachable())
    with Run(sqs) as run:
        run.next()
        sqs.calls("hide", 2)
        assert "http://sqs.example" in run.source.attached()
        sqs.calls("hide", 3)
        until(lambda: run.source.attached() is None)
    assert logged(caplog, "cannot be extended") == ["WARNING"]


def test_a_message_whose_time_cannot_be_extended_is_finished_all_the_same(sqs, caplog):
    sqs.give(given("m1", photos("a")), given("m2", photos("b")))
    sqs.fail("hide", [refused(0, final=True)])
    with Run(sqs) as run:
        first, second = run.next(), run.next()
        assert sqs.calls("hide", 2)[1] == [("receipt of m2", 5)]
        run.ack(first)
        assert sqs.calls("delete")[0] == ["receipt of m1"]
        run.ack(second)
    assert logged(caplog, "may be delivered again meanwhile") == ["WARNING"]


def test_a_message_that_comes_again_while_it_is_held_is_kept_and_deleted_by_its_latest_receipt(sqs):
    sqs.give(given("m1", photos("a")))
    with Run(sqs) as run:
        event = run.next()
        sqs.give(given("m1", photos("a"), received=2, receipt="second receipt"))
        until(lambda: not sqs.messages)
        assert sqs.calls("hide")[0] == [("second receipt", 5)]
        sqs.give(given("m2", photos("b")))
        assert run.next().path == "b.jpg"
        run.ack(event)
        assert sqs.calls("delete") == [["second receipt"]]


def test_deletes_that_fail_in_part_are_repeated_for_that_part(sqs, caplog):
    sqs.give(given("m1", photos("a", "b")), given("m2", {"Records": []}), given("m3", {"Records": []}))
    sqs.fail("delete", [refused(1, final=False)])
    with Run(sqs, slots=3) as run:
        run.next()
        assert sqs.calls("delete", 2) == [["receipt of m2", "receipt of m3"], ["receipt of m3"]]
    assert logged(caplog, "cannot be extended or answered") == ["WARNING"]


def test_deletes_that_fail_are_repeated_until_they_do_not(sqs):
    sqs.give(given("m1", photos("a")))
    sqs.fail("delete", unreachable(), denied())
    with Run(sqs) as run:
        run.ack(run.next())
        assert sqs.calls("delete", 3) == [["receipt of m1"]] * 3
        until(run.source.idle)


def test_deletes_do_not_wait_for_heartbeats_that_are_not_allowed(sqs):
    sqs.give(given("m1", photos("a")))
    sqs.fail("hide", *[denied()] * 50)
    with Run(sqs) as run:
        event = run.next()
        sqs.calls("hide")
        run.ack(event)
        assert sqs.calls("delete") == [["receipt of m1"]]
        until(run.source.idle)


def test_a_receipt_that_is_worth_nothing_is_let_go_of(sqs, caplog):
    sqs.give(given("m1", photos("a")))
    sqs.fail("delete", [refused(final=True)])
    with Run(sqs) as run:
        run.ack(run.next())
        sqs.calls("delete")
        until(lambda: logged(caplog, "its receipt is void"))
        assert run.source.attached() is None
    assert len(sqs.calls("delete")) == 1


@pytest.mark.parametrize(("delay", "seconds"), [(0.0, 0), (4.0, 4), (3.2, 4), (1e9, 43_200)])
def test_a_retry_hides_the_message_for_its_pause(sqs, delay, seconds):
    sqs.give(given("m1", photos("a"), received=4))
    with Run(sqs) as run:
        event = run.next()
        assert event.attempt == 4
        run.retry(event, delay)
        assert sqs.calls("hide")[0] == [("receipt of m1", seconds)]
        assert not sqs.calls("delete", 0)


def test_a_retried_message_that_comes_before_the_queue_has_answered_is_worked_on(sqs):
    worked = threading.Event()

    def late():
        sqs.give(given("m1", photos("a"), received=2, receipt="second"))
        assert worked.wait(SOON)

    sqs.give(given("m1", photos("a")))
    sqs.fail("hide", late)
    with Run(sqs) as run:
        run.retry(run.next())
        event = run.next()
        worked.set()
        run.ack(event)

        assert event.attempt == 2
        assert sqs.calls("delete") == [["second"]]


def test_what_a_poll_brings_after_the_stop_is_handed_back(sqs):
    with Run(sqs) as run:
        late = given("m1", photos("a")), given("m2", photos("b"))
        sqs.fail("receive", lambda: (run.source.stop(), sqs.give(*late)))
        assert run.next() is None
        hidden = sqs.calls("hide")
    assert hidden[0] == [("receipt of m1", 0), ("receipt of m2", 0)]


def test_while_nothing_can_be_received_it_says_so_and_goes_on(sqs, caplog):
    with Run(sqs) as run:
        until(lambda: run.source.attached() is None)
        sqs.fail("receive", unreachable(), unreachable())
        until(run.source.attached)
        assert run.source.attached().startswith(f"queue {URL}: Could not connect to the endpoint URL")
        sqs.give(given("m1", photos("a")))
        assert run.next().path == "a.jpg"
        assert run.source.attached() is None
    assert logged(caplog, "Nothing can be received") == ["WARNING"]


def test_a_queue_that_does_not_say_its_times_is_not_received_from(sqs):
    refuse, answer = threading.Event(), threading.Event()

    def denied_when_told():
        refuse.wait(SOON)
        raise denied()

    sqs.fail("attributes", denied_when_told, lambda: answer.wait(SOON))
    sqs.give(given("m1", photos("a")))
    with Run(sqs) as run:
        assert "nothing was received yet" in run.source.attached()
        refuse.set()
        until(lambda: "not allowed" in run.source.attached())
        assert not sqs.calls("receive", 0)
        answer.set()
        assert run.next().path == "a.jpg"
        assert run.source.pending() == 0


def test_a_stop_does_not_wait_for_a_queue_that_is_away(sqs):
    sqs.fail("attributes", *[unreachable()] * 50)
    with Run(sqs) as run:
        until(lambda: "Could not connect" in run.source.attached())
        run.source.stop()
        assert run.next() is None


def test_a_close_ends_with_a_queue_that_is_away_and_says_what_comes_again(sqs, caplog):
    sqs.give(given("m1", photos("a")))
    with Run(sqs) as run:
        event = run.next()
        sqs.fail("delete", *[unreachable()] * 50)
        run.ack(event)
        sqs.calls("delete")
    assert logged(caplog, "1 messages of") == ["WARNING"]


@pytest.mark.parametrize(
    "answer",
    [
        {"Messages": [{"Body": "x"}]},
        {"Messages": [7]},
        {"Messages": 7},
        {"Messages": [given("m", "") | {"Attributes": 1}]},
    ],
)
def test_an_answer_that_no_queue_gives_is_no_crash(answer):
    class Odd(FakeSqs):
        def receive_message(self, **arguments):
            self._ask("receive", 0)
            return answer

    with Run(Odd()) as run:
        until(lambda: "an answer that SQS does not give" in run.source.attached())


def test_a_queue_that_cannot_be_asked_is_not_idle(sqs):
    source = SqsSource(URL, "photos", "in", slots=1, client=sqs)
    sqs.fail("attributes", unreachable())
    assert not source.idle()
    assert source.idle()


def test_a_very_short_visibility_is_made_longer():
    sqs = FakeSqs(visibility=0)
    sqs.give(given("m1", photos("a")))
    with Run(sqs) as run:
        run.next()
        assert sqs.calls("hide")[0] == [("receipt of m1", 5)]


def test_a_given_up_message_that_is_sent_anew_is_worked_on_again():
    sqs = FakeSqs(redrive=5)
    sqs.give(given("m1", photos("a"), received=3))
    with Run(sqs) as run:
        run.give_up(run.next())
        assert sqs.calls("hide")[0] == [("receipt of m1", 1)]
        sqs.give(given("m1", photos("a"), received=4))
        assert sqs.calls("hide", 2)[1] == [("receipt of m1", 1)]
        sqs.give(given("m1", photos("a"), received=1))
        assert run.next().attempt == 1
