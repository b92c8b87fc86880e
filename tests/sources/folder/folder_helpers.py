"""What the tests of the folder source share."""

import ctypes
import io
import queue
import threading
from contextlib import contextmanager

from PIL import Image

from sources.folder.source import FolderSource
from tests.support.waiting import Counts, eventually

SETTLE = 0.2
SOON = 10.0


def jpeg(colour="red"):
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "JPEG")
    return out.getvalue()


def ends_as_jpeg(size, read):
    return read(max(size - 2, 0), 2) == b"\xff\xd9"


@contextmanager
def reads_only_what_it_may():
    """This thread and those that it starts lose root's right to read and list everything."""
    head, state = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None)
    assert libc.capget(head, state) == 0
    before, state[0] = state[0], state[0] & ~0b110
    assert libc.capset(head, state) == 0
    try:
        yield
    finally:
        state[0] = before
        assert libc.capset(head, state) == 0


def until(condition):
    assert eventually(condition, SOON)


class Reports:
    """Stands for the outbox: which stamps are settled, and how often it was asked."""

    def __init__(self):
        self.stamps = {}
        self.asked = []

    def done_in(self, folder):
        self.asked.append(folder)
        return lambda name, changed_ns: self.stamps.get((folder, name)) == changed_ns

    def settle(self, path, changed_ns):
        folder, _, name = path.rpartition("/")
        self.stamps[folder, name] = changed_ns


class Deaf:
    """A watch that hears nothing, as on a mount without events."""

    mode = "polling"

    def __init__(self, root, on_change):
        self.on_change = on_change

    def attach(self):
        pass

    def watch_folder(self, folder):
        pass

    def missed(self, path):
        pass

    def close(self):
        pass


class Run:
    """A source that is being iterated in a thread of its own."""

    def __init__(self, root, counts=None, **options):
        self.root, self.counts = root, Counts() if counts is None else counts
        self.reports = Reports()
        defaults = {
            "settle_seconds": SETTLE,
            "rescan_seconds": 3600.0,
            "done_in": self.reports.done_in,
            "is_complete": ends_as_jpeg,
        }
        self.source = FolderSource(root, on_count=self.counts.add, **{**defaults, **options})
        self.yielded = queue.Queue()
        self.thread = threading.Thread(target=self._iterate, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.source.close()
        self.thread.join(SOON)
        assert not self.thread.is_alive()

    def next(self, seconds=SOON):
        return self.yielded.get(timeout=seconds)

    def drained(self):
        """Whether nothing else is on its way: after one more scan, a photo that appears now is the next one yielded."""
        self.source.rescan()
        (self.root / "drained.jpg").write_bytes(jpeg())
        self.source.rescan()
        return self.next().path == "drained.jpg"

    def paths(self, number):
        return {self.next().path for _ in range(number)}

    def counted(self, name, number=1):
        return self.counts.reach(name, number, SOON)

    def attached(self):
        """Wait until the first scan is over and folder events are heard."""
        ready = threading.Event()
        while self.source.attached() is not None:
            ready.wait(0.01)
        return self

    def _iterate(self):
        for event in self.source:
            self.yielded.put(event)
        self.yielded.put(None)
