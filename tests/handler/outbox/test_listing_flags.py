"""What a report's size and the last bit of its date carry."""

import json

import pytest

from handler.outbox.listing_flags import (
    REPLAY,
    UNDECIDED,
    ReportFlag,
    flag_of,
    had_sidecar,
    is_later,
    packed_date,
    padded,
)

SECOND = 1_000_000_000
DATE = 1_700_000_000 * SECOND + 5
REPORTS = {
    ReportFlag.WITHOUT_SIDECAR: {"source": {"sidecar_sha256": None}},
    ReportFlag.WITH_SIDECAR: {"source": {"sidecar_sha256": "5c"}},
    ReportFlag.TO_REPLAY: {"source": {"sidecar_sha256": "5c"}, REPLAY: "2026-11-30T00:00:00+00:00"},
}


@pytest.mark.parametrize("flag", REPORTS)
@pytest.mark.parametrize("length", range(5))
def test_padded_report_of_any_length_carries_its_flag(flag, length):
    report = REPORTS[flag] | {"hint": "x" * length}
    text = padded(json.dumps(report), flag_of(report))

    assert len(text) % 4 == flag
    assert text.endswith("\n")
    assert json.loads(text) == report


@pytest.mark.parametrize("report", [{}, {"source": 7}, {"source": {}}])
def test_flag_of_foreign_report_is_without_sidecar(report):
    assert flag_of(report) is ReportFlag.WITHOUT_SIDECAR


def test_packed_date_tells_whether_there_was_a_sidecar():
    assert [had_sidecar(packed_date(100 + flag, DATE)) for flag in (0, 2)] == [False, True]


def test_packed_date_of_report_to_replay_or_of_unknown_size_is_undecided():
    assert [packed_date(100 + flag, DATE) for flag in (1, 3)] == [UNDECIDED, UNDECIDED]
    assert not is_later(UNDECIDED, DATE)


def test_is_later_compares_whole_seconds():
    assert not is_later(packed_date(100, DATE + SECOND // 2), DATE)
    assert is_later(packed_date(100, DATE + SECOND), DATE)
