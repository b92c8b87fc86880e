"""The pool of the contact sheet's pictures: what goes wrong with one photo costs that photo's pictures only."""

import io
import os
import shutil

import pytest
from PIL import Image

from handler.web.thumbnails import ThumbnailPool, Thumbnails, Wanted, make
from pipeline.types import Limits
from sources.stores.local import FileStore
from tests.conftest import BAD_INPUTS, PORTRAITS

PHOTO = "grace_hopper.jpg"


def wanted(root, photo=PHOTO, *portraits):
    return Wanted(FileStore(root), photo, FileStore(root), portraits, (255, 255, 255), Limits())


def crash(wish):
    """A decoder's bad day."""
    if wish.photo == "crash":
        os._exit(11)
    if wish.photo == "hang":
        while True:
            pass
    if wish.photo == "error":
        raise RuntimeError("no codec")
    return Thumbnails(os.fsencode(wish.photo))


def test_make_photo_and_portrait_on_two_colours(tmp_path):
    Image.new("RGBA", (64, 64)).save(tmp_path / "p.png")

    shown = make(wanted(PORTRAITS, PHOTO, PHOTO))
    portrait = make(wanted(tmp_path, None, "p.png"))

    assert Image.open(io.BytesIO(shown.before)).height == 360
    corners = [Image.open(io.BytesIO(data)).getpixel((0, 0)) for data in portrait.after[0]]
    assert (portrait.before, corners[0]) == (None, (255, 255, 255))
    assert max(abs(a - b) for a, b in zip(corners[1], (24, 92, 140), strict=True)) <= 2


def test_make_unreadable_or_outside_is_not_shown(tmp_path):
    shutil.copy(BAD_INPUTS / "gen_portrait_truncated60.jpg", tmp_path / "broken.jpg")
    (tmp_path / "in").mkdir()
    shutil.copy(PORTRAITS / PHOTO, tmp_path)

    for photo in ("broken.jpg", "gone.jpg", "in", f"in/../{PHOTO}"):
        assert make(wanted(tmp_path, photo, "gone.png")) == Thumbnails(None, (None,))
    small = Wanted(FileStore(tmp_path), PHOTO, FileStore(tmp_path), (), (0, 0, 0), Limits(max_bytes=1000))
    assert make(small) == Thumbnails()


@pytest.mark.parametrize("fate", ["crash", "hang", "error"])
def test_pool_crash_hang_or_error_costs_own_thumbnails_only(fate):
    photos = ["1", fate, "2", "3"]
    with ThumbnailPool(2, 2.0 if fate == "hang" else 60.0, crash) as pool:
        shown = list(pool.each((photo, wanted(PORTRAITS, photo)) for photo in photos))

    expected = [(photo, Thumbnails(None if photo == fate else photo.encode())) for photo in photos]
    assert shown == expected


def test_pool_takes_no_more_ahead_than_workers():
    taken = []

    def items():
        for number in range(6):
            taken.append(number)
            yield number, wanted(PORTRAITS, str(number))

    with ThumbnailPool(2, 60.0, crash) as pool:
        for number, _ in pool.each(items()):
            assert max(taken) <= number + 1
