"""What two listings say together, in whatever orders they come."""

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.bucket.scanner import BucketScanner, ReportDates
from sources.scanning.scanner import ReportsUnavailable

SECOND = 10**9


@dataclass(frozen=True)
class Object:
    path: str
    etag: str = "e1"
    changed_ns: int = 100 * SECOND


@dataclass
class Bucket:
    """An inbox and the reports on it; `true` holds the paths whose report is about what lies there."""

    photos: list = field(default_factory=list)
    dates: dict = field(default_factory=dict)
    true: set = field(default_factory=set)
    asked: Counter = field(default_factory=Counter)
    with_sidecar: set = field(default_factory=set)
    away: bool = False

    def entries(self):
        return iter(self.photos)

    def stamps(self):
        if self.away:
            raise ConnectionError("no route")
        yield from ((f"reports/{path}.json", stamp) for path, stamp in self.dates.items())

    def place(self, path):
        return f"reports/{path}.json"

    def covers(self, entry, stamp_ns, *, sidecar):
        same = (entry.path in self.with_sidecar) == sidecar
        return same and "-" not in entry.etag and stamp_ns > entry.changed_ns

    def about(self, photo, entry, stamp_ns):
        self.asked[entry.path] += 1
        return entry.path in self.true

    def scanner(self, **options):
        return BucketScanner("s3://bucket/in", self.entries, self, **options)


def found(scanner):
    return sorted(path for batch in scanner.scan() for path in batch.paths)


def test_what_has_no_report_is_work_with_the_version_that_was_listed():
    bucket = Bucket([Object("a.jpg", "e7"), Object("b/c.jpg")], {"b/c.jpg": 200 * SECOND})
    batches = list(bucket.scanner().scan())
    assert [batch.versions for batch in batches] == [{}, {"a.jpg": "e7"}]


@given(st.permutations([f"{number}/x.jpg" for number in range(20)]), st.randoms())
def test_the_orders_of_the_listings_do_not_matter(paths, chance):
    photos = [Object(path) for path in paths]
    done = chance.sample(paths, 10)
    bucket = Bucket(photos, dict.fromkeys(done, 200 * SECOND))
    assert found(bucket.scanner()) == sorted(set(paths) - set(done))


def test_each_of_many_digests_finds_its_own_date():
    chance = random.Random(7)  # noqa: S311 - no secret
    numbers = [chance.getrandbits(64) for _ in range(5000)]
    stamps = ReportDates((number, index) for index, number in enumerate(numbers))
    assert stamps.of(numbers) == list(range(5000))
    assert stamps.of([number ^ 1 for number in numbers[:3]]) == [None] * 3
    assert ReportDates(()).of([1]) == [None]


def test_folder_markers_ignored_names_and_lonely_sidecars_are_no_work():
    names = ["", "a/", "a/.hidden.jpg", "b.part", ".uploads/1/2", "lost.jpg.toml", "x.jpg"]
    batches = list(Bucket([Object(name) for name in names]).scanner().scan())
    assert [path for batch in batches for path in batch.paths] == ["x.jpg"]
    assert sum(batch.ignored for batch in batches) == 3


def test_where_dates_leave_it_open_each_version_is_asked_for_once():
    bucket = Bucket([Object("parts.jpg", "e-2"), Object("quick.jpg")], {"parts.jpg": 200 * SECOND, "quick.jpg": 1})
    bucket.true = {"parts.jpg", "quick.jpg"}
    scanner = bucket.scanner()
    assert [found(scanner) for _ in range(3)] == [[], [], []]
    assert bucket.asked == {"parts.jpg": 1, "quick.jpg": 1}

    bucket.photos[0] = Object("parts.jpg", "new-2")
    bucket.true.discard("parts.jpg")
    assert [found(scanner) for _ in range(2)] == [["parts.jpg"]] * 2
    assert bucket.asked == {"parts.jpg": 3, "quick.jpg": 1}


def test_a_report_that_is_written_again_is_asked_for_again():
    bucket = Bucket([Object("a.jpg")], {"a.jpg": 1}, {"a.jpg"})
    scanner = bucket.scanner()
    assert found(scanner) == []
    bucket.dates["a.jpg"], bucket.true = 2, set()
    assert found(scanner) == ["a.jpg"]


def test_a_sidecar_that_is_newer_than_the_report_makes_its_photo_work_once():
    changed = Object("a.jpg.toml", "s2", 300 * SECOND)
    bucket = Bucket([Object("a.jpg"), changed], {"a.jpg": 200 * SECOND})
    assert found(bucket.scanner()) == ["a.jpg"]
    bucket.dates = {}
    assert found(bucket.scanner()) == ["a.jpg"]


def test_a_sidecar_that_comes_or_goes_is_asked_about_each_time():
    photo, sidecar = Object("a.jpg"), Object("a.jpg.toml")
    bucket = Bucket([photo, sidecar], {"a.jpg": 200 * SECOND}, with_sidecar={"a.jpg", "a.jpg.toml"})
    scanner = bucket.scanner()
    assert found(scanner) == []
    bucket.photos = [photo]
    assert found(scanner) == ["a.jpg"]
    bucket.true = {"a.jpg"}
    assert [found(scanner) for _ in range(2)] == [[], []]
    assert bucket.asked == {"a.jpg": 2}


def test_it_says_that_the_inbox_answers_before_it_asks_for_any_report():
    bucket = Bucket([Object("a.jpg")], away=True)
    batches = bucket.scanner().scan()
    assert next(batches).paths == []
    with pytest.raises(ReportsUnavailable, match="no route"):
        next(batches)


def test_what_was_learned_before_a_scan_broke_off_is_remembered():
    bucket = Bucket([Object(f"{number}.jpg", "e-2") for number in range(2500)], away=False)
    bucket.dates = dict.fromkeys((photo.path for photo in bucket.photos), 200 * SECOND)
    bucket.true = {photo.path for photo in bucket.photos}
    scanner = bucket.scanner()
    batches = scanner.scan()
    for _ in range(3):
        next(batches)
    batches.close()
    assert found(scanner) == []
    assert set(bucket.asked.values()) == {1}


def test_a_scan_that_nobody_wants_ends():
    answers = iter([True, True, False])
    bucket = Bucket([Object(f"{number}.jpg") for number in range(2500)])
    assert len(found(bucket.scanner(wanted=lambda: next(answers)))) == 1000


def test_scans_begin_at_different_places():
    bucket = Bucket([Object(f"{number}.jpg") for number in range(1000)])
    first = {[batch.paths for batch in bucket.scanner().scan()][1][0] for _ in range(20)}
    assert len(first) > 1
