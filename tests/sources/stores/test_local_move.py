"""Files that move from one root to another: within a file system and across two."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sources.stores.atomic import move
from sources.stores.base import Conflict
from sources.stores.local import FileStore

SHM = Path("/dev/shm")  # noqa: S108 - another file system than the tests' own
DATE = 1_500_000_000_123_456_789


@pytest.fixture
def box(tmp_path):
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "anna.jpg").write_bytes(b"a photo")
    os.utime(tmp_path / "box" / "anna.jpg", ns=(1, DATE))
    return FileStore(tmp_path / "box")


@pytest.fixture(params=["near", "far"])
def target(request, tmp_path):
    """On the same file system, or on another one."""
    if request.param == "near":
        (tmp_path / "target").mkdir()
        yield FileStore(tmp_path / "target")
        return
    if not SHM.is_dir() or SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has no second file system in /dev/shm")
    folder = tempfile.mkdtemp(dir=SHM)
    yield FileStore(Path(folder))
    shutil.rmtree(folder)


def version(store, path="anna.jpg"):
    return store.read(path).version


def test_it_keeps_content_and_date_and_is_gone_where_it_was(box, target):
    box.move("anna.jpg", version(box), target, "originals/anna.jpg")

    moved = target.root / "originals/anna.jpg"
    assert (moved.read_bytes(), moved.stat().st_mtime_ns, moved.stat().st_nlink) == (b"a photo", DATE, 1)
    assert list(box.list()) == []
    assert not list((target.root / ".facecraft" / "tmp").glob("*"))


def test_another_version_stays(box, target):
    then = version(box)
    (box.root / "anna.jpg").write_bytes(b"another photo")

    with pytest.raises(Conflict, match="replaced"):
        box.move("anna.jpg", then, target, "anna.jpg")

    assert (list(box.list()), list(target.list())) == (["anna.jpg"], [])


def test_what_stands_there_is_not_replaced(box, target):
    (target.root / "anna.jpg").write_bytes(b"an older photo")

    with pytest.raises(Conflict, match="exists already"):
        box.move("anna.jpg", version(box), target, "anna.jpg")

    assert (target.read("anna.jpg").data, box.read("anna.jpg").data) == (b"an older photo", b"a photo")


def test_a_link_is_not_moved(box, target):
    (box.root / "link.jpg").symlink_to("anna.jpg")

    with pytest.raises(Conflict):
        box.move("link.jpg", version(box, "link.jpg"), target, "link.jpg")
    with pytest.raises(Conflict):
        box.delete("link.jpg", version(box, "link.jpg"))

    assert (box.root / "link.jpg").is_symlink()
    assert list(target.list()) == []


def test_only_the_version_that_was_meant_is_deleted(box):
    then = version(box)
    (box.root / "anna.jpg").write_bytes(b"another photo")

    with pytest.raises(Conflict):
        box.delete("anna.jpg", then)
    box.delete("anna.jpg", version(box))

    assert list(box.list()) == []


def test_from_a_read_only_mount_nothing_is_copied(box, tmp_path):
    (tmp_path / "target").mkdir()
    mount = ["unshare", "-rm", "sh", "-c", 'mount --bind -o ro "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"']
    if subprocess.run([*mount, str(box.root), "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no mount namespaces")
    code = """
import sys
from pathlib import Path
from sources.stores.local import FileStore
box, target = FileStore(Path(sys.argv[1])), FileStore(Path(sys.argv[2]))
try:
    box.move("anna.jpg", box.read("anna.jpg").version, target, "anna.jpg")
except PermissionError as error:
    print(error.strerror)
"""
    command = [*mount, str(box.root), sys.executable, "-c", code, box.root, tmp_path / "target"]
    said = subprocess.run(command, cwd=Path(__file__).parents[3], check=True, capture_output=True, text=True).stdout

    assert "make the folder writable" in said
    assert list((tmp_path / "target").iterdir()) == []


def test_what_took_its_place_in_the_last_moment_stays(tmp_path):
    (tmp_path / "anna.jpg").write_bytes(b"a photo")
    folder = os.open(tmp_path, os.O_RDONLY)

    def replaced(_moved):
        (tmp_path / "new").write_bytes(b"another photo")
        (tmp_path / "new").rename(tmp_path / "anna.jpg")
        return True

    with pytest.raises(Conflict):
        move((folder, "anna.jpg"), (folder, "moved.jpg"), replaced)
    os.close(folder)

    assert (tmp_path / "anna.jpg").read_bytes() == b"another photo"
    assert (tmp_path / "moved.jpg").read_bytes() == b"a photo"
