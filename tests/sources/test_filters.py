"""Names that are never photos."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.filters import (
    bucket_sidecars,
    misnamed_sidecar,
    photo_of,
    sidecars_by_photo,
    why_folder_ignored,
    why_ignored,
)


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
        ("Anna.JPG.TOML", "sidecar (*.toml)"),
        ("anna.jpg_exiftool_tmp", "temporary (*_exiftool_tmp)"),
        ("#anna.jpg#", "temporary (#*#)"),
        ("anna.jpg.sb-25bf0640-ALVVPA", "temporary (*.sb-*)"),
        ("anna.jpg.sb-25bf0640-ALVVPA/anna.jpg", "temporary folder (*.sb-*)"),
        ("(A Document Being Saved By Preview 2)/anna.jpg", "temporary folder ((A Document Being Saved By*)"),
        ("carl.jpg_original", "a copy that exiftool left (*_original)"),
        ("CARL.HEIC_original", "a copy that exiftool left (*_original)"),
        ("anna.jpg:Zone.Identifier", "goes with a photo (*:*)"),
        ("anna.jpg\uf03aZone.Identifier", "goes with a photo (*:*)"),
        ("Thumbs.db:encryptable", "goes with a photo (*:*)"),
        ("anna.xmp", "goes with a photo (*.xmp)"),
        ("anna.jpg.xmp", "goes with a photo (*.xmp)"),
        ("anna.AAE", "goes with a photo (*.aae)"),
        ("anna.jpg.supplemental-metadata.json", "goes with a photo (*.json)"),
        ("IMG_1.MOV", "goes with a photo (*.mov)"),
        ("x_$folder$", "goes with a photo (*_$folder$)"),
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
    [
        "anna.jpg",
        "anna",
        "sales/anna.heic",
        "part.jpg",
        "tmp/anna.jpg",
        "~anna.jpg",
        "a\nb.jpg",
        "\udcff.jpg",
        "a.txt",
        "photo 10:30.jpg",
        "my_original",
        "anna_original.jpg",
        "bob.jpg.6eF5b5dA",
        "anna.cr2",
        "anna.sb-1.jpg",
    ],
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


@pytest.mark.parametrize(
    ("photo", "sidecars", "misnamed"),
    [
        ("c.jpg", ["c.toml"], "c.toml"),
        ("c.jpg", ["C.TOML"], "C.TOML"),
        ("B.JPG", ["b.jpg.toml"], "b.jpg.toml"),
        ("c.jpg", ["c.jpg.toml", "c.toml"], None),
        ("c.jpg", ["c.jpg.TOML"], None),
        ("c.jpg", ["d.toml", "c.png.toml"], None),
        ("sales/c.jpg", ["sales/c.toml"], "sales/c.toml"),
        ("sales/c.jpg", ["c.toml"], None),
    ],
)
def test_misnamed_sidecar(photo, sidecars, misnamed):
    assert misnamed_sidecar(photo, sidecars_by_photo([*sidecars, "photo.jpg"])) == misnamed


@pytest.mark.parametrize(
    ("photo", "sidecars"),
    [("anna.jpg", ("anna.jpg.toml",)), ("A.JPG", ("A.JPG.toml", "A.JPG.TOML")), ("anna", ("anna.toml",))],
)
def test_bucket_sidecars(photo, sidecars):
    assert bucket_sidecars(photo) == sidecars
