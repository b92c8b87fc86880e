"""Photos that come into the inbox in every way there is, several at a time, until told to stop."""

import os
import random
import threading
from hashlib import sha256
from pathlib import Path

from tests.chaos.audit import POISON

BAD = Path(__file__).parents[1] / "bad-inputs"
ODD = (
    "-rf.jpg", "a\nb.jpg", "a b+c%20.jpg", "Zoë.jpg", "a.JPG", os.fsdecode(b"caf\xe9.jpg"), "x" * 251, "reports/a.jpg",
)  # fmt: skip
_TICK = 0.004


class Photos:
    """Names and contents; `good` and `others` are the sums of those that have a portrait and of the rest."""

    def __init__(self, photo, seed):
        """`photo` is a whole JPEG; each that is made of it is another one."""
        self._photo, self._random, self._number = photo, random.Random(seed), 0
        self.good, self.others = set(), set()
        self.broken = sorted(path for path in BAD.iterdir() if path.stat().st_size < 50_000 and path.suffix != ".tsv")

    def name(self):
        self._number += 1
        folder = self._random.choice(("", "", "sales/", "sales/north/", "été/"))
        return f"{folder}{self._number}.jpg"

    def content(self):
        """Another photo each time: a comment makes it so."""
        text = b"%d-%d" % (self._number, self._random.getrandbits(64))
        data = self._photo[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + self._photo[2:]
        self.good.add(sum_of(data))
        return data

    def broken_one(self):
        """Name and content."""
        broken = self._random.choice(self.broken)
        self.others.add(sum_of(broken.read_bytes()))
        return f"{self.name()}.{broken.name}", broken.read_bytes()

    def empty_one(self):
        """Name and content."""
        self.others.add(sum_of(b""))
        return self.name(), b""


class Feeder(Photos):
    """Use as a context: at the end all that was begun is finished."""

    def __init__(self, inbox, photo, seed, *, pause=_TICK):
        super().__init__(photo, seed)
        self.inbox, self._pause = inbox, pause
        self._aside = inbox.with_name("aside")
        self._aside.mkdir()
        self._running, self._halt = [], threading.Event()
        self._being_written = set()
        self.photos = set()
        self._thread = threading.Thread(target=self._feed)
        self.ways = [getattr(self, name) for name in dir(type(self)) if name.startswith("way_")]

    def __enter__(self):
        for poison in POISON:
            self._whole(f"{poison}-photo.jpg")
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._halt.set()
        self._thread.join()

    def _feed(self):
        while not self._halt.wait(self._pause * self._random.expovariate(1)):
            if len(self._running) < 10:
                self._running.append(self._random.choice(self.ways)())
            self._step(self._random.choice(self._running))
        for way in self._running:
            for _ in way:
                pass

    def _step(self, way):
        if next(way, "over") == "over":
            self._running.remove(way)

    def _place(self, name):
        place = self.inbox / name
        place.parent.mkdir(parents=True, exist_ok=True)
        self.photos.add(place)
        return place

    def _begun(self):
        """A new place that the other ways leave alone until it is no longer among those being written."""
        place = self._place(self.name())
        self._being_written.add(place)
        return place

    def _whole(self, name, data=None):
        place = self._place(name)
        place.write_bytes(self.content() if data is None else data)
        return place

    def _moved(self, name, data=None):
        aside = self._aside / str(self._number)
        aside.write_bytes(self.content() if data is None else data)
        return aside.rename(self._place(name))  # its new path

    def _one_there(self):
        there = sorted(path for path in self.photos - self._being_written if path.name[0].isdigit())
        return self._random.choice(there) if there else self._whole(self.name())

    # The ways: each is a generator, and may be left between any two of its steps

    def way_written(self):
        yield self._whole(self.name())

    def way_slowly_written(self):
        data, chunk = self.content(), self._random.choice((1000, 3000, 8000))
        place = self._begun()
        with place.open("wb", buffering=0) as file:
            for start in range(0, len(data), chunk):
                file.write(data[start : start + chunk])
                yield
                yield from [None] * self._random.choice((0, 0, 10, 50))
        self._being_written.discard(place)

    def way_created_closed_and_opened_again(self):
        place = self._begun()
        place.touch()
        yield from [None] * self._random.choice((0, 10, 100))
        place.write_bytes(self.content())
        self._being_written.discard(place)

    def way_part_then_renamed(self):
        place = self._begun()
        part = place.with_name(place.name + self._random.choice((".part", ".tmp", ".crdownload")))
        part.write_bytes(self.content())
        yield
        part.rename(place)
        self._being_written.discard(place)

    def way_moved(self):
        yield self._moved(self.name())

    def way_moved_tree(self):
        tree = self._aside / f"tree {self._number}"
        for _ in range(3):
            photo = tree / "deep" / f"{self.name().rpartition('/')[2]}"
            photo.parent.mkdir(parents=True, exist_ok=True)
            photo.write_bytes(self.content())
        yield
        self.photos.update(self.inbox / path.relative_to(self._aside) for path in tree.rglob("*.jpg"))
        yield tree.rename(self.inbox / tree.name)

    def way_replaced(self):
        place = self._one_there().relative_to(self.inbox)
        yield self._random.choice((self._whole, self._moved))(place)

    def way_touched(self):
        place = self._one_there()
        os.utime(place)
        yield place.chmod(0o640)

    def way_two_names_one_content(self):
        first, second = self._whole(self.name()), self._place(self.name())
        yield self._random.choice((os.link, lambda *_: second.write_bytes(first.read_bytes())))(first, second)

    def way_odd_name(self):
        yield self._moved(self._random.choice(ODD))

    def way_broken(self):
        yield self._whole(*self.broken_one())

    def way_empty(self):
        yield self._whole(*self.empty_one())

    def way_vanishes(self):
        place = self._random.choice((self._whole, self._moved))(self.name())
        yield from [None] * self._random.choice((0, 5, 30))
        self.photos.discard(place)
        yield place.unlink(missing_ok=True)

    def way_taken_out_of_the_inbox(self):
        place = self._one_there()
        self.photos.discard(place)
        yield place.rename(self._aside / f"taken {self._number} {self._random.getrandbits(32)}")


def sum_of(data):
    return sha256(data).hexdigest()
