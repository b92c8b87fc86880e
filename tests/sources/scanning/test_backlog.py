"""When a path is looked at, with the time handed in."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sources.folder.stability import FileSnapshot
from sources.scanning.backlog import Backlog

A = FileSnapshot(1, 10, 1, 1)
B = FileSnapshot(2, 20, 1, 2)


@pytest.fixture
def schedule():
    return Backlog(settle_seconds=2.0)


def yielded(schedule, path="a", look=A, now=0.0):
    schedule.announce(path, now)
    item = schedule.take(now)
    schedule.hold(item, look)
    return item


def test_what_was_announced_twice_is_taken_once(schedule):
    schedule.announce("a", 0.0)
    schedule.announce("a", 0.0)
    assert schedule.take(0.0).path == "a"
    assert schedule.take(0.0) is None


def test_a_file_is_ripe_after_settle_seconds_without_change(schedule):
    schedule.announce("a", 100.0)
    item = schedule.take(100.0)
    assert not schedule.ripe(item, A, 100.0)
    assert not schedule.ripe(item, A, 101.9)
    assert schedule.ripe(item, A, 102.0)


def test_a_change_starts_the_quiet_time_again(schedule):
    schedule.announce("a", 0.0)
    item = schedule.take(0.0)
    schedule.ripe(item, A, 0.0)
    assert not schedule.ripe(item, B, 2.0)
    assert not schedule.ripe(item, B, 3.9)
    assert schedule.ripe(item, B, 4.0)


def test_an_unripe_file_is_looked_at_again_when_it_could_be_ripe(schedule):
    schedule.announce("a", 0.0)
    item = schedule.take(0.0)
    schedule.ripe(item, A, 0.0)
    schedule.wait(item, 0.0)
    assert schedule.next_time() == 2.0
    assert schedule.take(1.9) is None
    assert schedule.take(2.0) is item


def test_a_closed_file_is_looked_at_before_it_is_ripe(schedule):
    schedule.announce("a", 0.0)
    item = schedule.take(0.0)
    schedule.ripe(item, A, 0.0)
    schedule.wait(item, 0.0)
    schedule.announce("a", 0.5, unfinished=True)
    assert schedule.take(0.5) is None
    schedule.announce("a", 0.6)
    assert schedule.take(0.6) is item


def test_what_is_announced_while_it_is_looked_at_is_looked_at_again(schedule):
    schedule.announce("a", 0.0)
    item = schedule.take(0.0)
    schedule.ripe(item, A, 0.0)
    schedule.announce("a", 0.0)
    schedule.wait(item, 0.0)
    assert schedule.take(0.0) is item


def test_a_file_that_came_back_while_it_was_found_gone_is_not_lost(schedule):
    schedule.announce("a", 0.0)
    item = schedule.take(0.0)
    schedule.announce("a", 0.0)
    schedule.drop(item)
    assert schedule.take(0.0).path == "a"


def test_held_is_not_taken_again(schedule):
    yielded(schedule)
    schedule.announce("a", 1.0)
    schedule.found(["a"], 0.0, by_rescan=True)
    assert schedule.take(1.0) is None
    assert not schedule.idle


def test_settled_leaves_nothing_behind(schedule):
    yielded(schedule)
    assert schedule.settling("a") == A
    schedule.settle("a", 0.0, changed=False)
    assert schedule.idle


@pytest.mark.parametrize("changed", [True, False])
def test_what_changed_while_held_is_queued_again(schedule, changed):
    yielded(schedule)
    schedule.settling("a")
    if not changed:
        schedule.announce("a", 1.0)
    schedule.settle("a", 0.0, changed=changed)
    assert schedule.take(1.0).attempt == 1


def test_a_retry_comes_after_its_delay_with_its_attempt_and_need_not_be_quiet(schedule):
    yielded(schedule)
    schedule.retry("a", 2, due=30.0)
    assert schedule.take(29.9) is None
    item = schedule.take(30.0)
    assert item.attempt == 2
    assert schedule.ripe(item, A, 30.0)


def test_a_retry_that_changed_meanwhile_must_be_quiet(schedule):
    yielded(schedule)
    schedule.retry("a", 2, due=30.0)
    assert not schedule.ripe(schedule.take(30.0), B, 30.0)


def test_events_and_scans_do_not_shorten_the_delay_of_a_retry(schedule):
    yielded(schedule)
    schedule.retry("a", 2, due=30.0)
    schedule.announce("a", 1.0)
    schedule.found(["a"], 0.0, by_rescan=True)
    assert schedule.take(29.0) is None


def test_a_photo_is_known_since_it_was_first_told_of_or_found(schedule):
    schedule.found(["a"], 1.0, by_rescan=True)
    schedule.announce("a", 2.0)
    schedule.announce("b", 3.0)
    schedule.announce("b", 4.0)
    assert [schedule.take(9.0).known, schedule.take(9.0).known] == [1.0, 3.0]


def test_what_comes_again_is_known_since_then(schedule):
    yielded(schedule)
    schedule.settling("a")
    schedule.announce("a", 5.0)
    schedule.settle("a", 7.0, changed=True)
    item = schedule.take(8.0)
    assert item.known == 5.0
    schedule.hold(item, A)
    schedule.settle("a", 9.0, changed=True)
    assert schedule.take(9.0).known == 9.0
    schedule.retry("a", 2, due=60.0)
    assert schedule.take(60.0).known == 60.0


def test_new_photos_and_old_ones_take_turns(schedule):
    schedule.found([f"old{n}" for n in range(9)], 0.0, by_rescan=False)
    for n in range(3):
        schedule.announce(f"new{n}", 0.0)
    taken = [schedule.take(0.0).path for _ in range(8)]
    assert taken == ["new0", "old0", "new1", "old1", "new2", "old2", "old3", "old4"]


def test_an_event_brings_a_photo_of_the_backlog_forward(schedule):
    schedule.found(["a", "b", "c"], 0.0, by_rescan=True)
    schedule.announce("c", 0.0)
    item = schedule.take(0.0)
    assert (item.path, item.by_rescan, len(schedule)) == ("c", False, 2)


def test_what_was_settled_during_a_scan_is_not_found_by_it(schedule):
    yielded(schedule)
    schedule.scanning(True)
    schedule.settle("a", 0.0, changed=False)
    schedule.found(["a", "b"], 0.0, by_rescan=True)
    assert [schedule.take(0.0).path, schedule.take(0.0)] == ["b", None]
    schedule.scanning(False)
    schedule.found(["a"], 0.0, by_rescan=True)
    assert schedule.take(0.0).path == "a"


@pytest.mark.parametrize("prepare", ["announce", "found", "wait"])
def test_what_is_gone_is_forgotten(schedule, prepare):
    if prepare == "found":
        schedule.found(["a"], 0.0, by_rescan=False)
    else:
        schedule.announce("a", 0.0)
    if prepare == "wait":
        schedule.wait(schedule.take(0.0), 0.0)
    schedule.forget("a")
    assert schedule.idle
    assert schedule.next_time() is None


PATHS = st.sampled_from("abc")


class NeverTwice(RuleBasedStateMachine):
    """Whatever happens in whatever order: nothing is in two hands, and nothing announced is lost."""

    def __init__(self):
        super().__init__()
        self.schedule, self.now, self.hands, self.wanted = Backlog(2.0), 0.0, {}, set()

    @rule(path=PATHS, unfinished=st.booleans())
    def announce(self, path, unfinished):
        self.schedule.announce(path, self.now, unfinished=unfinished)
        if path not in self.hands or not unfinished:
            self.wanted.add(path)

    @rule(path=PATHS)
    def found(self, path):
        self.schedule.found([path], self.now, by_rescan=True)

    @rule(path=PATHS)
    def forget(self, path):
        self.schedule.forget(path)
        if path not in self.hands:
            self.wanted.discard(path)

    @rule(seconds=st.floats(0, 5))
    def later(self, seconds):
        self.now += seconds

    @rule()
    def take(self):
        if item := self.schedule.take(self.now):
            assert item.path not in self.hands
            self.hands[item.path] = item
            self.wanted.discard(item.path)

    @precondition(lambda self: self.hands)
    @rule(data=st.data(), how=st.sampled_from(["wait", "drop", "retry", "settle"]))
    def let_go(self, data, how):
        path = data.draw(st.sampled_from(sorted(self.hands)))
        item = self.hands.pop(path)
        if how == "retry":
            self.schedule.retry(path, 2, self.now + 1)
        elif how == "settle":
            self.schedule.settle(path, self.now, changed=False)
        else:
            getattr(self.schedule, how)(*([item, self.now] if how == "wait" else [item]))

    @invariant()
    def nothing_wanted_is_lost(self):
        known = {p for lane in ("_fresh", "_backlog", "_waiting", "_held") for p in getattr(self.schedule, lane)}
        assert self.wanted <= known

    @invariant()
    def what_waits_has_a_time(self):
        assert (self.schedule.next_time() is not None) == bool(self.schedule._waiting)


NeverTwice.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestNeverTwice = NeverTwice.TestCase
