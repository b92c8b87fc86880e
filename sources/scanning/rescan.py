"""The thread that scans: everything at start and at intervals, and a folder when one appears."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from sources.scanning.batch import Batch, ReportsAway

_SOON_SECONDS: Final = 5.0
"""How long at most until a root that is gone is looked for again, and one whose events cannot be relied on."""

_SHARE: Final = 20
"""One part in so many of the time may go into scans that come more often than they were asked for."""

_FOLDERS_MOST: Final = 10_000
"""New folders that are remembered; of more than that the scan of the whole knows best."""
_log = logging.getLogger(__name__)


class Scans(Protocol):
    """Finds what is not settled; see `sources.folder.scanner.Scanner`."""

    @property
    def root(self) -> str:
        """What is scanned, for messages."""

    @property
    def remedy(self) -> str:
        """What to do where it cannot be scanned."""

    def unsettled(self, top: str = "") -> Iterator[Batch]: ...


class Attached(Protocol):
    """The part of `sources.folder.watcher.FolderWatcher` that scans have to do with."""

    @property
    def mode(self) -> str: ...

    def attach(self) -> None: ...


class Finder(Protocol):
    """Takes what the scans find. Called from their thread."""

    def scanning(self, running: bool) -> None:
        """A scan begins or ends."""

    def found(self, batch: Batch, *, by_rescan: bool, first: bool) -> bool:
        """False: stop this scan. `by_rescan`: events missed it; `first`: of the scan at start."""

    def ended(self) -> None:
        """There will be no more scans."""


class Rescanner:
    """Scans on request and at intervals; `trouble` says why the root cannot be scanned, None while it can."""

    def __init__(
        self, scanner: Scans, watch: Attached | None, finder: Finder, seconds: float, clock: Callable[[], float]
    ) -> None:
        """Without a watch the root is scanned once. `seconds` lie between the end of a scan and the next."""
        self.trouble: str | None = f"The inbox {scanner.root!r} has not been listed yet: wait for the first scan."
        self.crashed = self.over = False
        self._scanner = scanner
        self._watch = watch
        self._finder = finder
        self._seconds = min(seconds, threading.TIMEOUT_MAX)
        self._clock = clock
        self._wanted = threading.Condition()
        self._folders: dict[str, None] = {}
        self._next = float("-inf")
        self._tried = self._listed = self._scanned = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="folder-scan", daemon=True)

    def start(self) -> None:
        """Once only; after `stop` nothing happens."""
        with self._wanted:
            if not (self._thread.ident or self._stopped):
                self._thread.start()

    def want(self, folder: str = "") -> None:
        """Scan this folder soon, "" for all of the root."""
        with self._wanted:
            if folder and len(self._folders) < _FOLDERS_MOST:
                self._folders[folder] = None
            else:
                self._next = float("-inf")
            self._wanted.notify_all()

    def reached(self) -> None:
        """The root can be listed: known at the end of a scan, and to whoever takes its parts before that."""
        if self.trouble and self._listed:
            _log.info("The inbox %r can be scanned again.", self._scanner.root)
        self.trouble, self._listed = None, True

    def stop(self) -> None:
        """Returns at once; a scan that runs ends with its next part."""
        with self._wanted:
            self._stopped = True
            self._wanted.notify_all()

    def join(self) -> None:
        """Wait for the thread to end."""
        if self._thread.ident:
            self._thread.join()

    def _run(self) -> None:
        self.crashed, crashed = False, True
        try:
            while (top := self._top()) is not None:
                self._scan(top)
            crashed = False
        finally:
            self.crashed, self.over = crashed, True
            self._finder.ended()

    def _top(self) -> str | None:
        """The folder to scan next; None when there will be none."""
        with self._wanted:
            while not (self._stopped or (self._watch is None and self._tried)):
                if self._clock() >= self._next:
                    self._tried = True
                    self._folders.clear()
                    self._next = float("inf")
                    return ""
                if self._folders:
                    return self._folders.popitem()[0]
                self._wanted.wait(min(self._next - self._clock(), threading.TIMEOUT_MAX))
        return None

    def _scan(self, top: str) -> None:
        self._finder.scanning(True)
        began = self._clock()
        try:
            if top:
                self._part(top)
            else:
                self._whole()
        except OSError as error:
            self._lost(error)
        else:
            self._again(self._pause(self._clock() - began, whole=not top))
        finally:
            self._finder.scanning(False)

    def _whole(self) -> None:
        if self._watch is not None:
            self._watch.attach()  # before the listing: nothing may fall between the two
        first = not self._scanned
        for batch in self._scanner.unsettled():
            if not self._finder.found(batch, by_rescan=not first, first=first):
                break
            while (folder := self._wanted_folder()) is not None:  # what is new does not wait for the end
                self._part(folder)
        else:
            self._scanned = True
        self.reached()

    def _part(self, folder: str) -> None:
        for batch in self._scanner.unsettled(folder):
            if not self._finder.found(batch, by_rescan=False, first=False):
                return

    def _wanted_folder(self) -> str | None:
        with self._wanted:
            return self._folders.popitem()[0] if self._folders else None

    def _pause(self, took: float, *, whole: bool) -> float:
        """Seconds until the next scan of the whole; without events more often, as far as its cost allows."""
        if self._watch is None or self._watch.mode == "events":
            return self._seconds if whole else threading.TIMEOUT_MAX
        return min(self._seconds, max(_SOON_SECONDS, took * _SHARE))

    def _lost(self, error: OSError) -> None:
        delay = min(self._seconds, _SOON_SECONDS)
        what, remedy = "reports in the outbox cannot be listed", "make them readable"
        if not isinstance(error, ReportsAway):
            what, remedy = f"inbox {self._scanner.root!r} cannot be scanned", self._scanner.remedy
        again = f"it is tried again every {delay:g} s" if self._watch else "then repeat the command"
        trouble = f"The {what} ({error}): {remedy}; {again}."
        if trouble != self.trouble:
            _log.warning("%s", trouble)
        self.trouble = trouble
        self._again(delay)

    def _again(self, delay: float) -> None:
        with self._wanted:
            self._next = min(self._next, self._clock() + delay)
