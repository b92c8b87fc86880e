"""When a path is looked at, with the time handed in."""

import copy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sources.folder.snapshot import FileSnapshot
from sources.scanning.backlog import Backlog

A = FileSnapshot(1, 10, 1, 1)
B = FileSnapshot(2, 20, 1, 2)


@pytest.fixture
def backlog():
    return Backlog(settle_seconds=2.0)


def yielded(backlog, path="a", snapshot=A, now=0.0):
    backlog.add_event(path, now)
    item = backlog.take(now)
    backlog.mark_yielded(item, snapshot)
    return item


def test_what_was_announced_twice_is_taken_once(backlog):
    backlog.add_event("a", 0.0)
    backlog.add_event("a", 0.0)
    assert backlog.take(0.0).path == "a"
    assert backlog.take(0.0) is None


def test_a_file_is_ripe_after_settle_seconds_without_change(backlog):
    backlog.add_event("a", 100.0)
    item = backlog.take(100.0)
    assert not backlog.is_stable(item, A, 100.0)
    assert not backlog.is_stable(item, A, 101.9)
    assert backlog.is_stable(item, A, 102.0)


def test_a_change_starts_the_quiet_time_again(backlog):
    backlog.add_event("a", 0.0)
    item = backlog.take(0.0)
    backlog.is_stable(item, A, 0.0)
    assert not backlog.is_stable(item, B, 2.0)
    assert not backlog.is_stable(item, B, 3.9)
    assert backlog.is_stable(item, B, 4.0)


def test_an_unripe_file_is_looked_at_again_when_it_could_be_ripe(backlog):
    backlog.add_event("a", 0.0)
    item = backlog.take(0.0)
    backlog.is_stable(item, A, 0.0)
    backlog.postpone(item, 0.0)
    assert backlog.next_due() == 2.0
    assert backlog.take(1.9) is None
    assert backlog.take(2.0) is item


def test_a_closed_file_is_looked_at_before_it_is_ripe(backlog):
    backlog.add_event("a", 0.0)
    item = backlog.take(0.0)
    backlog.is_stable(item, A, 0.0)
    backlog.postpone(item, 0.0)
    backlog.add_event("a", 0.5, unfinished=True)
    assert backlog.take(0.5) is None
    backlog.add_event("a", 0.6)
    assert backlog.take(0.6) is item


def test_what_is_announced_while_it_is_looked_at_is_looked_at_again(backlog):
    backlog.add_event("a", 0.0)
    item = backlog.take(0.0)
    backlog.is_stable(item, A, 0.0)
    backlog.add_event("a", 0.0)
    backlog.postpone(item, 0.0)
    assert backlog.take(0.0) is item


def test_a_file_that_came_back_while_it_was_found_gone_is_not_lost(backlog):
    backlog.add_event("a", 0.0)
    item = backlog.take(0.0)
    backlog.add_event("a", 0.0)
    backlog.drop(item)
    assert backlog.take(0.0).path == "a"


def test_held_is_not_taken_again(backlog):
    yielded(backlog)
    backlog.add_event("a", 1.0)
    backlog.add_scanned(["a"], 0.0, by_rescan=True)
    assert backlog.take(1.0) is None
    assert not backlog.idle


def test_settled_leaves_nothing_behind(backlog):
    yielded(backlog)
    assert backlog.begin_ack("a") == A
    backlog.finish_ack("a", 0.0, changed=False)
    assert backlog.idle


@pytest.mark.parametrize("changed", [True, False])
def test_what_changed_while_held_is_queued_again(backlog, changed):
    yielded(backlog)
    backlog.begin_ack("a")
    if not changed:
        backlog.add_event("a", 1.0)
    backlog.finish_ack("a", 0.0, changed=changed)
    assert backlog.take(1.0).attempt == 1


def test_a_retry_comes_after_its_delay_with_its_attempt_and_need_not_be_quiet(backlog):
    yielded(backlog)
    backlog.retry("a", 2, due=30.0)
    assert backlog.take(29.9) is None
    item = backlog.take(30.0)
    assert item.attempt == 2
    assert backlog.is_stable(item, A, 30.0)


def test_a_retry_that_changed_meanwhile_must_be_quiet(backlog):
    yielded(backlog)
    backlog.retry("a", 2, due=30.0)
    assert not backlog.is_stable(backlog.take(30.0), B, 30.0)


def test_events_and_scans_do_not_shorten_the_delay_of_a_retry(backlog):
    yielded(backlog)
    backlog.retry("a", 2, due=30.0)
    backlog.add_event("a", 1.0)
    backlog.add_scanned(["a"], 0.0, by_rescan=True)
    assert backlog.take(29.0) is None


def test_a_photo_is_known_since_it_was_first_told_of_or_found(backlog):
    backlog.add_scanned(["a"], 1.0, by_rescan=True)
    backlog.add_event("a", 2.0)
    backlog.add_event("b", 3.0)
    backlog.add_event("b", 4.0)
    assert [backlog.take(9.0).queued_at, backlog.take(9.0).queued_at] == [1.0, 3.0]


def test_what_comes_again_is_known_since_then(backlog):
    yielded(backlog)
    backlog.begin_ack("a")
    backlog.add_event("a", 5.0)
    backlog.finish_ack("a", 7.0, changed=True)
    item = backlog.take(8.0)
    assert item.queued_at == 5.0
    backlog.mark_yielded(item, A)
    backlog.finish_ack("a", 9.0, changed=True)
    assert backlog.take(9.0).queued_at == 9.0
    backlog.retry("a", 2, due=60.0)
    assert backlog.take(60.0).queued_at == 60.0


def test_new_photos_and_old_ones_take_turns(backlog):
    backlog.add_scanned([f"old{n}" for n in range(9)], 0.0, by_rescan=False)
    for n in range(3):
        backlog.add_event(f"new{n}", 0.0)
    taken = [backlog.take(0.0).path for _ in range(8)]
    assert taken == ["new0", "old0", "new1", "old1", "new2", "old2", "old3", "old4"]


def test_an_event_brings_a_photo_of_the_backlog_forward(backlog):
    backlog.add_scanned(["a", "b", "c"], 0.0, by_rescan=True)
    backlog.add_event("c", 0.0)
    item = backlog.take(0.0)
    assert (item.path, item.by_rescan, len(backlog)) == ("c", False, 2)


def test_what_was_settled_during_a_scan_is_not_found_by_it(backlog):
    yielded(backlog)
    backlog.set_scanning(True)
    backlog.finish_ack("a", 0.0, changed=False)
    backlog.add_scanned(["a", "b"], 0.0, by_rescan=True)
    assert [backlog.take(0.0).path, backlog.take(0.0)] == ["b", None]
    backlog.set_scanning(False)
    backlog.add_scanned(["a"], 0.0, by_rescan=True)
    assert backlog.take(0.0).path == "a"


@pytest.mark.parametrize("prepare", ["event", "scan", "postpone"])
def test_what_is_gone_is_forgotten(backlog, prepare):
    if prepare == "scan":
        backlog.add_scanned(["a"], 0.0, by_rescan=False)
    else:
        backlog.add_event("a", 0.0)
    if prepare == "postpone":
        backlog.postpone(backlog.take(0.0), 0.0)
    backlog.forget("a")
    assert backlog.idle
    assert backlog.next_due() is None


PATHS = st.sampled_from("abc")


class NeverTwice(RuleBasedStateMachine):
    """Whatever happens in whatever order: nothing is in two hands, and nothing announced is lost."""

    def __init__(self):
        super().__init__()
        self.backlog, self.now, self.hands, self.wanted = Backlog(2.0), 0.0, {}, set()

    @rule(path=PATHS, unfinished=st.booleans())
    def add_event(self, path, unfinished):
        self.backlog.add_event(path, self.now, unfinished=unfinished)
        if path not in self.hands or not unfinished:
            self.wanted.add(path)

    @rule(path=PATHS)
    def add_scanned(self, path):
        self.backlog.add_scanned([path], self.now, by_rescan=True)

    @rule(path=PATHS)
    def forget(self, path):
        self.backlog.forget(path)
        if path not in self.hands:
            self.wanted.discard(path)

    @rule(seconds=st.floats(0, 5))
    def later(self, seconds):
        self.now += seconds

    @rule()
    def take(self):
        if item := self.backlog.take(self.now):
            assert item.path not in self.hands
            self.hands[item.path] = item
            self.wanted.discard(item.path)

    @precondition(lambda self: self.hands)
    @rule(data=st.data(), how=st.sampled_from(["postpone", "drop", "retry", "finish_ack"]))
    def let_go(self, data, how):
        path = data.draw(st.sampled_from(sorted(self.hands)))
        item = self.hands.pop(path)
        if how == "retry":
            self.backlog.retry(path, 2, self.now + 1)
        elif how == "finish_ack":
            self.backlog.finish_ack(path, self.now, changed=False)
        else:
            getattr(self.backlog, how)(*([item, self.now] if how == "postpone" else [item]))

    @invariant()
    def all_that_is_wanted_comes_in_the_end(self):
        rest, now, taken = copy.deepcopy(self.backlog), self.now, set()
        for path in self.hands:
            rest.finish_ack(path, now, changed=False)
        while not rest.idle:
            if item := rest.take(now):
                taken.add(item.path)
                rest.drop(item)
            else:
                assert rest.next_due() > now
                now = rest.next_due()
        assert self.wanted <= taken


NeverTwice.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestNeverTwice = NeverTwice.TestCase
