"""Names that are never photos."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.filters import photo_of, why_folder_ignored, why_ignored


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (".hidden.jpg", "hidden (.*)"),
        ("._anna.jpg", "hidden (.*)"),
        ("sales/.DS_Store", "hidden (.*)"),
        (".anna.jpg.A1b2C3", "hidden (.*)"),
        ("Thumbs.db", "system file (thumbs.db)"),
        ("DESKTOP.INI", "system file (desktop.ini)"),
        ("anna.jpg~", "temporary (*~)"),
        ("~$anna.jpg", "temporary (~$*)"),
        ("anna.jpg.part", "temporary (*.part)"),
        ("anna.JPG.FilePart", "temporary (*.filepart)"),
        ("anna.jpg.crdownload", "temporary (*.crdownload)"),
        ("anna.jpg.!ut", "temporary (*.!ut)"),
        ("anna.jpg.swp", "temporary (*.swp)"),
        ("anna.jpg.toml", "sidecar (*.toml)"),
        ("@eaDir/anna.jpg", "system folder (@eadir)"),
        ("a/__MACOSX/b/anna.jpg", "system folder (__macosx)"),
        ("$RECYCLE.BIN/anna.jpg", "system folder ($recycle.bin)"),
        ("lost+found/anna.jpg", "system folder (lost+found)"),
        (".stfolder/anna.jpg", "hidden folder (.*)"),
        ("a/.Trashes/anna.jpg", "hidden folder (.*)"),
    ],
)
def test_names_that_are_never_photos(path, why):
    assert why_ignored(path) == why


@pytest.mark.parametrize(
    "path",
    ["anna.jpg", "anna", "sales/anna.heic", "part.jpg", "tmp/anna.jpg", "~anna.jpg", "a\nb.jpg", "\udcff.jpg", "a.txt"],
)
def test_all_other_names_may_be_photos(path):
    assert why_ignored(path) is None


@given(st.text(min_size=1).filter(lambda name: "/" not in name and name[0] != "."))
def test_a_sidecar_is_ignored_and_names_its_photo(name):
    assert why_ignored(f"{name}.toml") == "sidecar (*.toml)"
    assert photo_of(f"{name}.toml") == name


def test_the_root_is_never_ignored():
    assert why_folder_ignored("") is None
    assert photo_of("anna.jpg") is None
