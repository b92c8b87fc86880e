"""The order in which waiting jobs get a worker."""

from collections import defaultdict, deque


class RoundRobin:
    """Round-robin over lanes, FIFO within a lane. Not thread-safe."""

    def __init__(self) -> None:
        self._lanes: dict[object, deque[object]] = {}
        self._last_served: defaultdict[object, int] = defaultdict(int)  # lane -> number of its last ticket
        self._count = 0

    def __len__(self) -> int:
        """How many tickets wait."""
        return sum(map(len, self._lanes.values()))

    def join(self, lane: object) -> object:
        """Return a new ticket at the end of the lane."""
        ticket = object()
        self._lanes.setdefault(lane, deque()).append(ticket)
        return ticket

    def is_next(self, ticket: object) -> bool:
        waiting = [lane for lane, tickets in self._lanes.items() if tickets]
        return bool(waiting) and self._lanes[min(waiting, key=self._last_served.__getitem__)][0] is ticket

    def served(self, lane: object, ticket: object) -> None:
        """Remove a ticket that was served; the other lanes come before this one now."""
        self.leave(lane, ticket)
        self._count += 1
        self._last_served[lane] = self._count

    def leave(self, lane: object, ticket: object) -> None:
        """Remove a ticket that waits no longer."""
        self._lanes[lane].remove(ticket)
