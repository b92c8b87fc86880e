"""Whose turn it is: lanes one after the other, and within a lane whoever came first."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from handler.workers.round_robin import RoundRobin


def served(turns, waiting):
    """Each lane's name in the order in which the tickets get their turns."""
    while waiting:
        (lane, ticket) = next(each for each in waiting if turns.is_next(each[1]))
        turns.served(lane, ticket)
        waiting.remove((lane, ticket))
        yield lane, ticket


def test_lanes_take_turns_however_many_wait_in_one():
    turns = RoundRobin()
    waiting = [(lane, turns.join(lane)) for lane in "aaaab"]

    assert "".join(lane for lane, _ in served(turns, waiting)) == "abaaa"


def test_whoever_had_the_last_turn_comes_after_the_others():
    turns = RoundRobin()
    turns.served("a", turns.join("a"))
    waiting = [(lane, turns.join(lane)) for lane in "aabb"]

    assert "".join(lane for lane, _ in served(turns, waiting)) == "baba"


def test_whoever_leaves_holds_nobody_up():
    turns = RoundRobin()
    first, second = turns.join("a"), turns.join("a")

    turns.leave("a", first)

    assert turns.is_next(second)


def test_where_nobody_waits_it_is_nobody_s_turn():
    assert not RoundRobin().is_next(None)


@given(st.lists(st.sampled_from("abc")))
def test_within_a_lane_the_first_comes_first_and_no_lane_waits_longer_than_for_one_of_each_other(lanes):
    turns = RoundRobin()
    waiting = [(lane, turns.join(lane)) for lane in lanes]
    order = list(served(turns, list(waiting)))

    for lane in set(lanes):
        assert [each for each in order if each[0] == lane] == [each for each in waiting if each[0] == lane]
        places = [-1, *(place for place, (name, _) in enumerate(order) if name == lane)]
        assert all(after - before <= len(set(lanes)) for before, after in pairwise(places))
