"""Whose turn it is: lanes one after the other, and within a lane whoever came first."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from handler.workers.round_robin import RoundRobin


def served(round_robin, waiting):
    """Each lane's name in the order in which the tickets get their turns."""
    while waiting:
        (lane, ticket) = next(each for each in waiting if round_robin.is_next(each[1]))
        round_robin.served(lane, ticket)
        waiting.remove((lane, ticket))
        yield lane, ticket


def test_lanes_alternate_however_many_wait_in_one():
    round_robin = RoundRobin()
    waiting = [(lane, round_robin.join(lane)) for lane in "aaaab"]

    assert "".join(lane for lane, _ in served(round_robin, waiting)) == "abaaa"


def test_last_served_lane_comes_after_others():
    round_robin = RoundRobin()
    round_robin.served("a", round_robin.join("a"))
    waiting = [(lane, round_robin.join(lane)) for lane in "aabb"]

    assert "".join(lane for lane, _ in served(round_robin, waiting)) == "baba"


def test_leave_lets_next_ticket_pass():
    round_robin = RoundRobin()
    first, second = round_robin.join("a"), round_robin.join("a")

    round_robin.leave("a", first)

    assert round_robin.is_next(second)


def test_is_next_without_tickets_is_false():
    assert not RoundRobin().is_next(None)


@given(st.lists(st.sampled_from("abc")))
def test_order_is_fifo_within_lane_and_fair_between_lanes(lanes):
    round_robin = RoundRobin()
    waiting = [(lane, round_robin.join(lane)) for lane in lanes]
    order = list(served(round_robin, list(waiting)))

    for lane in set(lanes):
        assert [each for each in order if each[0] == lane] == [each for each in waiting if each[0] == lane]
        places = [-1, *(place for place, (name, _) in enumerate(order) if name == lane)]
        assert all(after - before <= len(set(lanes)) for before, after in pairwise(places))
