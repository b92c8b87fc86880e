"""Done or not: stamps, sums, and reports that are none."""

import json
import os
import time

import pytest

from handler.outbox.paths import report_path
from handler.outbox.reports import NO_REPORT, ReportStore, StoredReport, trusted_stamp
from sources.stores.base import Conflict, Unavailable
from sources.stores.local import FileStore

DAY_NS = 86_400 * 10**9


@pytest.fixture
def report_store(tmp_path):
    return ReportStore(FileStore(tmp_path))


def stand(report_store, path, stamp_ns, text="{}"):
    return report_store.outbox.write(report_path(path), text.encode(), stamp_ns=stamp_ns)


def test_a_report_with_the_photo_s_stamp_settles_it(report_store):
    then = time.time_ns() - DAY_NS
    stand(report_store, "sales/anna.jpg", then)
    settled = report_store.done_in("sales")

    assert settled("anna.jpg", then)
    assert not settled("anna.jpg", then + report_store.granularity)
    assert not settled("otto.jpg", then)


def test_the_inbox_itself_is_a_folder_too(report_store):
    stand(report_store, "anna.jpg", 5 * DAY_NS)

    assert report_store.done_in("")("anna.jpg", 5 * DAY_NS)
    assert not report_store.done_in("sales")("anna.jpg", 5 * DAY_NS)


@pytest.mark.parametrize("path", ["f.json/" + "x" * 250 + ".jpg", "/".join(["f" * 190] * 6) + "/anna.jpg"])
def test_photos_with_long_paths_are_settled_too(report_store, path):
    stand(report_store, path, 5 * DAY_NS)
    folder, _, name = path.rpartition("/")

    assert report_store.done_in(folder)(name, 5 * DAY_NS)
    assert not report_store.done_in(folder)(f"{name}x", 5 * DAY_NS)


def test_an_outbox_that_is_away_does_not_look_empty(tmp_path):
    with pytest.raises(Unavailable):
        ReportStore(FileStore(tmp_path / "away")).done_in("")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\ud800", "[" * 100_000])
def test_what_is_no_report_counts_as_none_but_can_be_replaced(report_store, text):
    version = report_store.outbox.write(report_path("anna.jpg"), text.encode("utf-8", "surrogatepass"))

    assert report_store.read("anna.jpg") == StoredReport(None, version)


def test_the_report_that_stands_is_given_with_its_version(report_store):
    version = stand(report_store, "anna.jpg", DAY_NS, json.dumps({"outcome": "done"}))

    assert report_store.read("anna.jpg") == StoredReport({"outcome": "done"}, version)
    assert report_store.read("otto.jpg") == NO_REPORT


def test_a_restamp_settles_until_the_photo_changes(report_store):
    version = stand(report_store, "anna.jpg", DAY_NS)

    report_store.restamp("anna.jpg", 2 * DAY_NS, version)

    assert report_store.done_in("")("anna.jpg", 2 * DAY_NS)
    with pytest.raises(Conflict):
        report_store.restamp("anna.jpg", 3 * DAY_NS, version)


@pytest.mark.parametrize(
    ("age_ns", "granularity", "trusted"),
    [(30_000_000, 1, True), (20_000_000, 1, False), (0, 1, False), (-5, 1, False), (30_000_000, 10**9, False)],
)
def test_a_stamp_is_trusted_only_when_the_photo_was_quiet_before_it_was_read(age_ns, granularity, trusted):
    changed_ns = 1_700_000_000_123_456_789

    stamp = trusted_stamp(changed_ns, changed_ns + age_ns, granularity)

    assert (abs(stamp - changed_ns) < granularity) is trusted


def test_a_file_system_of_whole_seconds_needs_two_of_them():
    changed_ns = 1_700_000_000 * 10**9

    assert trusted_stamp(changed_ns, changed_ns + 10**9, 1) != changed_ns
    assert trusted_stamp(changed_ns, changed_ns + 3 * 10**9, 1) == changed_ns


def test_what_is_far_too_large_for_a_report_is_not_read(report_store):
    stand(report_store, "anna.jpg", 5 * DAY_NS)
    os.truncate(report_store.outbox.root / report_path("anna.jpg"), 1 << 40)

    with pytest.raises(OSError, match="move it away"):
        report_store.read("anna.jpg")
