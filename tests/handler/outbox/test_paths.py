"""Names in the outbox: properties over every path that a folder or a bucket can hold."""

import os
from hashlib import sha256
from itertools import combinations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from handler.outbox.paths import (
    attempt_path,
    original_path,
    portrait_stems,
    renamed_original,
    report_folder,
    report_path,
    report_paths,
    reported_path,
    safe_path,
)
from sources.stores.local import file_uri

ODD = st.sampled_from(
    ["", ".", "..", "%", "%2E", "%252E", "%2E%2E", "%25", "%00", "\0", "a.json", "a.json%", "a", "reports", "x" * 201]
)
NAMES = ODD | st.binary(max_size=260).filter(lambda name: b"/" not in name).map(os.fsdecode)
PATHS = st.lists(NAMES, min_size=1, max_size=6).map("/".join)


def parts(path):
    return path.split("/")


@given(PATHS, PATHS)
@example("%", "")
@example("%2E%2E", "..")
@example("%252E", "%2E")
@example("a\0", "a%00")
@example("x" * 201, "x" * 202)
def test_two_photos_never_share_a_report(one, other):
    assume(one != other)

    assert safe_path(one) != safe_path(other)
    assert report_path(one) != report_path(other)
    assert attempt_path(one) != attempt_path(other)


@given(PATHS)
@example("../a.json/\0/" + "x" * 300)
@example("a/" * 500 + "b")
def test_a_report_s_place_and_what_it_says_lead_back_to_its_photo(path):
    assert reported_path(report_path(path), file_uri(f"/in/box/{path}")) == path


@pytest.mark.parametrize("uri", [None, 7, "", "file:///in/otto.jpg", "file:///in/%ff"])
def test_a_report_that_says_something_else_is_told_by_its_place(uri):
    assert reported_path("reports/sales/anna.jpg.json", uri) == "sales/anna.jpg"
    assert reported_path("reports/a.json%/b.jpg.json", uri) is None


@pytest.mark.parametrize("path", ["sales/anna.jpg", "anna", "x" * 300 + ".jpg", "../a.jpg", "a/.jpg"])
def test_originals_keep_their_ending_and_fit(path):
    place = original_path(path)
    other = renamed_original(place, "ab" * 32)

    assert place.startswith("originals/")
    assert {"..", ""}.isdisjoint(parts(other))
    assert other != place
    assert "~abababababababab" in other
    assert os.path.splitext(other)[1] == os.path.splitext(place)[1]  # noqa: PTH122 - paths are plain str
    assert all(len(os.fsencode(part)) <= 255 for part in parts(other))


@given(PATHS)
@example("x" * 300)
def test_a_name_that_imitates_a_shortened_one_gets_its_own(path):
    imitation = safe_path(path)
    assume(imitation != path)

    assert safe_path(imitation) != imitation


@given(PATHS, PATHS)
@example("a", "a.json/b.jpg")
@example("a/b", "a/b.json/c.json/d")
def test_no_report_lies_where_another_needs_a_folder(one, other):
    assert not report_path(other).startswith(report_path(one) + "/")


@given(PATHS)
@example("/".join(["a.json"] * 170))
@example("é" * 120)
def test_every_name_fits_and_none_leads_out(path):
    names = [report_path(path), attempt_path(path), *(f"{stem}-99.png" for stem in portrait_stems(path))]

    for name in names:
        assert len(os.fsencode(name)) <= 1024
        assert "\0" not in name
        for part in parts(name):
            assert part not in {"", ".", ".."}
            assert len(os.fsencode(part)) <= 255


@given(PATHS)
def test_no_portrait_lies_among_our_own_files(path):
    for stem in portrait_stems(path):
        assert parts(stem)[0] not in {"reports", ".facecraft", "originals"} or "/" not in stem


@given(PATHS)
def test_two_photos_always_have_names_that_only_one_of_them_may_take(path):
    other = f"{path}x"

    assert set(portrait_stems(path)) - set(portrait_stems(other))


@given(PATHS)
def test_a_folder_s_reports_lie_in_one_folder(path):
    assume(path and len(os.fsencode(safe_path(path))) < 500)

    assert report_path(f"{path}/anna.jpg") == f"{report_folder(path)}/anna.jpg.json"


@given(PATHS | st.just(""), NAMES | st.text("aZ0. ()+-_", min_size=1, max_size=160))
@example("x" * 149, "y" * 151)
@example("a.json", "b.jpg")
@example("", "..")
def test_the_quick_way_to_many_reports_leads_to_the_same_places(folder, name):
    assert report_paths(folder)(name) == report_path(f"{folder}/{name}" if folder else name)


@pytest.mark.parametrize(
    ("path", "stems"),
    [
        ("sales/anna.heic", ["sales/anna", "sales/anna.heic"]),
        ("anna", ["anna"]),
        ("anna.", ["anna", "anna."]),
        ("anna.tar.gz", ["anna.tar", "anna.tar.gz"]),
        (".jpg", [".jpg"]),
        ("reports/x.jpg", ["reports~/x", "reports~/x.jpg"]),
        ("sales/reports/x.jpg", ["sales/reports/x", "sales/reports/x.jpg"]),
        ("%20.jpg", ["%20", "%20.jpg"]),
    ],
)
def test_portraits_take_the_stem_then_the_full_name_then_a_hash(path, stems):
    found = list(portrait_stems(path))

    assert found[: len(stems)] == stems
    assert all("~" in stem for stem in found[len(stems) :])
    assert len(found) > len(stems)


def test_long_names_keep_150_bytes_and_get_16_digits_of_the_path_s_sha256():
    path = "sales/" + "x" * 246 + ".jpg"
    short = "sales/" + "x" * 150 + "~" + sha256(path.encode()).hexdigest()[:16]

    assert report_path(path) == f"reports/{short}.json"
    assert next(portrait_stems(path)) == short


def test_a_long_name_is_cut_between_characters():
    name = safe_path("a" + "é" * 120 + ".jpg").rpartition("~")[0]

    assert name == "a" + "é" * 74


def test_photos_of_one_long_folder_stay_together():
    one, other = (safe_path("f" * 250 + name) for name in ("/a.jpg", "/b.jpg"))

    assert parts(one)[0] == parts(other)[0]
    assert (parts(one)[1], parts(other)[1]) == ("a.jpg", "b.jpg")


def test_paths_without_a_name_have_reports_too():
    reports = [report_path(path) for path in ("a//b", "a/./b", "a/../b", "../../etc/passwd", "/a", "a/")]

    assert reports[:4] == ["reports/a/%/b.json", "reports/a/%2E/b.json", "reports/a/%2E%2E/b.json",
                           "reports/%2E%2E/%2E%2E/etc/passwd.json"]  # fmt: skip
    assert all(one != other for one, other in combinations(reports, 2))
