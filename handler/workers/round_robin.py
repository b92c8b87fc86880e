"""Whose turn it is among those who wait."""

from collections import defaultdict, deque


class RoundRobin:
    """Lanes are served in turns, however many wait in one of them; within a lane whoever came first.

    For use under a lock.
    """

    def __init__(self) -> None:
        self._lanes: dict[object, deque[object]] = {}
        self._last: defaultdict[object, int] = defaultdict(int)  # the number of each lane's last turn
        self._count = 0

    def join(self, lane: object) -> object:
        """A ticket at the end of the lane."""
        ticket = object()
        self._lanes.setdefault(lane, deque()).append(ticket)
        return ticket

    def is_next(self, ticket: object) -> bool:
        waiting = [lane for lane, tickets in self._lanes.items() if tickets]
        return bool(waiting) and self._lanes[min(waiting, key=self._last.__getitem__)][0] is ticket

    def served(self, lane: object, ticket: object) -> None:
        """It had its turn: the other lanes come first now."""
        self.leave(lane, ticket)
        self._count += 1
        self._last[lane] = self._count

    def leave(self, lane: object, ticket: object) -> None:
        """It waits no longer."""
        self._lanes[lane].remove(ticket)
