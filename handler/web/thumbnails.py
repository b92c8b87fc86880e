"""The contact sheet's small pictures, made in processes of their own: one that crashes its decoder harms no sheet."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Final, TypeVar

from pebble import ProcessPool

from handler.workers.process import end_with
from pipeline.errors import PhotoRejected
from pipeline.image.decode import Colour
from pipeline.image.thumbnail import GREY, STRONG, jpeg, thumbnail
from pipeline.types import Limits
from sources.stores.base import Conflict, Store, TooLarge

_SIDE: Final = 360
_TICK: Final = 0.2
_OF_PORTRAITS: Final = Limits(max_bytes=256 * 1024 * 1024)

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The pictures of one photo: itself, where `photo` is a path below the inbox, and its portraits' PNGs."""

    inbox: Store
    photo: str | None
    outbox: Store
    portraits: tuple[str, ...]
    background: Colour
    limits: Limits


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """JPEGs, 360 pixels at most; None for what cannot be shown. `after`: on the background, on a strong colour."""

    before: bytes | None = None
    after: tuple[tuple[bytes, bytes] | None, ...] = ()


def make(wanted: Wanted) -> Thumbnails:
    """What can be shown of one photo."""
    before = wanted.photo and _shown(wanted.inbox, wanted.photo, wanted.limits, GREY)
    colours = (wanted.background, STRONG)
    after = [_shown(wanted.outbox, name, _OF_PORTRAITS, *colours) for name in wanted.portraits]
    return Thumbnails(before[0] if before else None, tuple((each[0], each[1]) if each else None for each in after))


def _shown(store: Store, path: str, limits: Limits, *backgrounds: Colour) -> list[bytes] | None:
    """None where it is gone or no picture: the sheet then says so, and the report says why."""
    try:
        data = store.read(path, limits.max_bytes).data
        return [jpeg(thumbnail(data, limits, _SIDE, background)) for background in backgrounds]
    except (OSError, TooLarge, Conflict, PhotoRejected):
        return None


class ThumbnailPool:
    """`workers` processes that each `show` one photo at a time, `timeout` seconds at most. Use as a context."""

    def __init__(self, workers: int, timeout: float, show: Callable[[Wanted], Thumbnails] = make) -> None:
        self._workers, self._timeout, self._show = workers, timeout, show
        self._pool = self._new()

    def __enter__(self) -> "ThumbnailPool":
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._pool)

    def each(self, items: Iterable[tuple[_Item, Wanted]]) -> Iterator[tuple[_Item, Thumbnails]]:
        """Each item with its pictures, in order; takes no more items ahead than there are workers."""
        ahead: deque[tuple[_Item, ProcessPool, Future[Thumbnails]]] = deque()
        for item, wanted in items:
            ahead.append((item, *self._begun(wanted)))
            if len(ahead) >= self._workers:
                yield _finished(*ahead.popleft())
        yield from (_finished(*begun) for begun in ahead)

    def _begun(self, wanted: Wanted) -> "tuple[ProcessPool, Future[Thumbnails]]":
        if not self._pool.active:  # pebble gives up where a worker dies without a task
            _end(self._pool)
            self._pool = self._new()
        return self._pool, self._pool.schedule(self._show, args=[wanted], timeout=self._timeout)

    def _new(self) -> ProcessPool:
        context = multiprocessing.get_context("spawn")
        return ProcessPool(self._workers, initializer=_begin, initargs=(os.getpid(),), context=context)


def _begin(parent: int) -> None:
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's to handle


def _finished(item: _Item, pool: ProcessPool, future: "Future[Thumbnails]") -> tuple[_Item, Thumbnails]:
    """No pictures where the process died, took too long or broke: none of that is a reason to have no sheet."""
    while not wait([future], _TICK).done:
        if not pool.active:
            return item, Thumbnails()
    if future.cancelled() or future.exception() is not None:
        return item, Thumbnails()
    return item, future.result()


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves this one untyped
    pool.join()
