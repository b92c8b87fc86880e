"""Makes the contact sheet's thumbnails in worker processes: an image that crashes its decoder harms no sheet."""

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Final, TypeVar

from handler.workers.worker_process import RequestNotStarted, WorkerDied, WorkerProcess, WorkerTimedOut
from pipeline.errors import PhotoRejected
from pipeline.image.decode import Colour
from pipeline.image.thumbnail import GREY, STRONG, jpeg, thumbnail
from pipeline.types import Limits
from sources.stores.base import Conflict, Store, TooLarge

_SIDE: Final = 360
_START_SECONDS: Final = 60.0
_PORTRAIT_LIMITS: Final = Limits(max_bytes=256 * 1024 * 1024)

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The thumbnails to make of one photo.

    Attributes:
        inbox: Where the photo is read.
        photo: Its path in there; None if it must not be opened.
        outbox: Where its portraits are read.
        portraits: The paths of their PNGs.
        background: The colour behind the portraits.
        limits: What the photo may measure.
    """

    inbox: Store
    photo: str | None
    outbox: Store
    portraits: tuple[str, ...]
    background: Colour
    limits: Limits


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """JPEGs of at most 360 pixels a side; None for what cannot be shown.

    Attributes:
        before: The photo.
        after: Each portrait twice: on its background, and on a strong colour.
    """

    before: bytes | None = None
    after: tuple[tuple[bytes, bytes] | None, ...] = ()


def make(wanted: Wanted) -> Thumbnails:
    """Make the thumbnails of one photo, as far as it can be shown."""
    before = wanted.photo and _thumbnails(wanted.inbox, wanted.photo, wanted.limits, GREY)
    colours = (wanted.background, STRONG)
    after = [_thumbnails(wanted.outbox, name, _PORTRAIT_LIMITS, *colours) for name in wanted.portraits]
    return Thumbnails(before[0] if before else None, tuple((each[0], each[1]) if each else None for each in after))


def _thumbnails(store: Store, path: str, limits: Limits, *backgrounds: Colour) -> list[bytes] | None:
    """One on each background. None if it is gone or no image: the sheet says so, and the report says why."""
    try:
        data = store.read(path, limits.max_bytes).data
        return [jpeg(thumbnail(data, limits, _SIDE, background)) for background in backgrounds]
    except (OSError, TooLarge, Conflict, PhotoRejected):
        return None


@dataclass(frozen=True, slots=True)
class _ThumbnailHandler:
    """What a worker process runs; a `handler.workers.worker_process.Handler`."""

    device: ClassVar[str] = "cpu"

    show: Callable[[Wanted], Thumbnails]

    def handle(self, wanted: Wanted) -> Thumbnails:
        return self.show(wanted)


class ThumbnailPool:
    """Worker processes that each make one photo's thumbnails at a time. Use as a context.

    Args:
        workers: How many processes.
        timeout: Seconds that a photo may take; its process is killed then.
        show: Makes the thumbnails. Picklable.
    """

    def __init__(self, workers: int, timeout: float, show: Callable[[Wanted], Thumbnails] = make) -> None:
        self._workers, self._timeout = workers, timeout
        self._load = functools.partial(_ThumbnailHandler, show)
        self._executor = ThreadPoolExecutor(workers, "thumbnails")
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._processes: set[WorkerProcess] = set()
        self._closed = False

    def __enter__(self) -> "ThumbnailPool":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            for process in self._processes:
                process.kill()
        self._executor.shutdown(cancel_futures=True)
        for process in self._processes:
            process.end()
            process.close()

    def each(self, items: Iterable[tuple[_Item, Wanted]]) -> Iterator[tuple[_Item, Thumbnails]]:
        """Yield each item with its thumbnails, in order. Takes no more items ahead than there are workers."""
        ahead: deque[tuple[_Item, Future[Thumbnails]]] = deque()
        for item, wanted in items:
            ahead.append((item, self._executor.submit(self._make, wanted)))
            if len(ahead) >= self._workers:
                first, future = ahead.popleft()
                yield first, future.result()
        for item, future in ahead:
            yield item, future.result()

    def _make(self, wanted: Wanted) -> Thumbnails:
        """No thumbnails if the process died or took too long: neither is a reason to have no sheet."""
        try:
            thumbnails: Thumbnails = self._process().ask(wanted, self._timeout)
        except (RequestNotStarted, WorkerDied, WorkerTimedOut):
            return Thumbnails()
        return thumbnails

    def _process(self) -> WorkerProcess:
        """The process of this thread; a new one if that has ended."""
        process: WorkerProcess | None = getattr(self._thread, "process", None)
        if process is not None and not process.ends_within(0):
            return process
        with self._lock:
            if self._closed:
                raise WorkerDied("the contact sheet is being given up")
            if process is not None:
                process.end()
                process.close()
                self._processes.remove(process)
            self._thread.process = process = WorkerProcess(self._load)
            self._processes.add(process)
        process.load(_START_SECONDS)
        return process
