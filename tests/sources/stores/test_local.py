"""FileStore on real folders, with real processes beside it and real kills."""

import errno
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from sources.folder.inotify import InotifyWatcher
from sources.stores import paths
from sources.stores.atomic import place_new
from sources.stores.base import Conflict, TooLarge, Unavailable
from sources.stores.local import FileStore, file_uri
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[3]
NEEDS = (
    "import sys, os\nfrom pathlib import Path\n"
    "from sources.stores.base import Conflict\nfrom sources.stores.local import FileStore\n"
)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "box").mkdir()
    return FileStore(tmp_path / "box")


def child(code, *arguments):
    """A process of its own that has imported what it needs and writes lines to its stdout."""
    command = [sys.executable, "-c", NEEDS + code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def temporaries(store):
    folder = store.root / ".facecraft" / "tmp"
    return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []


def test_uri_is_percent_encoded_from_bytes():
    assert file_uri("/inbox/a b%é.jpg") == "file:///inbox/a%20b%25%C3%A9.jpg"
    assert file_uri(os.fsdecode(b"/inbox/\xff.jpg")) == "file:///inbox/%FF.jpg"


def test_uri_of_a_path_names_the_file(store):
    assert store.uri("sales/anna.jpg") == f"{store.root.as_uri()}/sales/anna.jpg"


def test_survives_pickling(store):
    assert pickle.loads(pickle.dumps(store)) == store  # noqa: S301 - our own bytes


def test_reads_bytes_and_when_they_last_changed(store):
    (store.root / "a.jpg").write_bytes(b"photo")

    blob = store.read("a.jpg")

    assert (blob.data, blob.changed_ns) == (b"photo", (store.root / "a.jpg").stat().st_ctime_ns)


def test_version_changes_with_the_content(store):
    first = store.write("a.txt", b"one")
    second = store.write("a.txt", b"two", replaces=first)

    assert store.read("a.txt").version == second != first


def test_a_file_over_the_limit_is_not_read(store):
    (store.root / "a.jpg").write_bytes(b"12345")

    assert store.read("a.jpg", 5).data == b"12345"
    with pytest.raises(TooLarge) as caught:
        store.read("a.jpg", 4)
    assert caught.value.size == 5


def test_a_file_that_grows_over_the_limit_while_it_is_read(store):
    place = store.root / "a.jpg"
    place.write_bytes(b"12345")
    before = place.stat()
    place.write_bytes(b"1234567890")

    with place.open("rb") as file, pytest.raises(TooLarge):
        paths.read_whole(file.fileno(), before, 5)
    with place.open("rb") as file:
        assert len(paths.read_whole(file.fileno(), before, None)) == 6  # never more than shows that it grew


@pytest.mark.parametrize("path", ["../secret", "sub/../../secret", "/etc/passwd", "sub//x", "./a", "a\0b", "\ud800"])
def test_paths_that_lead_out_are_refused(store, path):
    (store.root.parent / "secret").write_bytes(b"secret")
    (store.root / "sub").mkdir()

    with pytest.raises(PermissionError):
        store.read(path)
    with pytest.raises(PermissionError):
        store.write(path, b"")


def test_links_that_lead_out_are_refused(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (store.root / "folder").symlink_to(outside)
    (store.root / "file").symlink_to(outside / "secret")

    for path in ("folder/secret", "file"):
        with pytest.raises(PermissionError):
            store.read(path)
        assert not store.exists(path)
    for act in (lambda: store.write("folder/new", b""), lambda: store.delete("folder/secret")):
        with pytest.raises(PermissionError):
            act()
    assert [entry.name for entry in outside.iterdir()] == ["secret"]


def test_a_neighbour_whose_name_begins_like_the_root_is_outside(store):
    neighbour = Path(f"{store.root}-too")
    neighbour.mkdir()
    (neighbour / "a").write_bytes(b"")
    (store.root / "a").symlink_to(neighbour / "a")

    with pytest.raises(PermissionError):
        store.read("a")


def test_links_that_stay_inside_are_read(store):
    (store.root / "real").mkdir()
    (store.root / "real" / "a.jpg").write_bytes(b"photo")
    (store.root / "folder").symlink_to("real")
    (store.root / "b.jpg").symlink_to("folder/a.jpg")

    assert store.read("b.jpg").data == store.read("folder/a.jpg").data == b"photo"


def test_what_is_no_regular_file_is_refused_without_waiting(store):
    os.mkfifo(store.root / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(store.root / "socket.jpg"))
    (store.root / "loop.jpg").symlink_to("loop.jpg")
    (store.root / "folder.jpg").mkdir()

    for name in ("pipe.jpg", "socket.jpg", "loop.jpg"):
        with pytest.raises(PermissionError):
            store.read(name)
    with pytest.raises(IsADirectoryError):
        store.read("folder.jpg")


def test_what_stands_is_not_written_over(store):
    store.write("sales/a.png", b"first")

    with pytest.raises(Conflict):
        store.write("sales/a.png", b"second")
    assert store.read("sales/a.png").data == b"first"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda place: place.symlink_to("/nonexistent/x")])
def test_a_folder_a_pipe_or_a_link_in_the_way_stays(store, make):
    make(store.root / "a.png")

    with pytest.raises(Conflict):
        store.write("a.png", b"x")
    with pytest.raises(Conflict):
        store.write("a.png", b"x", replaces="1-1-1")


def test_a_file_where_a_folder_should_be(store):
    store.write("a.png", b"x")

    with pytest.raises(NotADirectoryError):
        store.write("a.png/b.png", b"x")


def test_only_the_version_that_was_read_is_replaced(store):
    old = store.write("a.json", b"1")
    store.write("a.json", b"2", replaces=old)

    with pytest.raises(Conflict):
        store.write("a.json", b"3", replaces=old)
    with pytest.raises(Conflict):
        store.write("gone.json", b"3", replaces=old)
    assert store.read("a.json").data == b"2"


def test_a_stamp_comes_with_the_content(store):
    store.write("a.json", b"1", stamp_ns=1_600_000_000_000_000_000)
    assert store.stamps("") == {"a.json": 1_600_000_000_000_000_000, ".facecraft": store.stamps("")[".facecraft"]}

    version = store.read("a.json").version
    store.stamp("a.json", 1_700_000_000_000_000_000, version)

    assert store.stamps("")["a.json"] == 1_700_000_000_000_000_000
    with pytest.raises(Conflict):
        store.stamp("a.json", 0, version)


def test_a_written_file_is_as_readable_as_the_umask_allows(store):
    old = os.umask(0o027)
    try:
        store.write("sales/a.png", b"x")
    finally:
        os.umask(old)

    assert oct((store.root / "sales/a.png").stat().st_mode & 0o777) == "0o640"


def test_no_temporary_stays_whether_a_write_succeeds_or_fails(store):
    store.write("a.png", b"x")
    with pytest.raises(Conflict):
        store.write("a.png", b"y")
    store.note(".facecraft/attempts/a", b"z", replaces=None)

    assert temporaries(store) == []
    assert store.read(".facecraft/attempts/a").data == b"z"


def test_deleting_twice_is_deleting_once(store):
    store.write("a.png", b"x")

    store.delete("a.png")
    store.delete("a.png")
    store.delete("no/such/folder")

    assert not store.exists("a.png")


def test_lists_all_files_but_our_own(store):
    for path in ("a.png", "sales/b.png", "sales/deep/c.png"):
        store.write(path, b"x")
    (store.root / "link.png").symlink_to("a.png")

    assert sorted(store.list()) == ["a.png", "sales/b.png", "sales/deep/c.png"]
    assert sorted(store.list("sales/")) == ["sales/b.png", "sales/deep/c.png"]
    assert list(store.list("nothing")) == []
    assert store.stamps("nothing") == {}


def test_names_that_are_not_utf8_and_paths_longer_than_the_kernel_takes(store):
    path = "/".join(["f" * 250] * 20) + "/" + os.fsdecode(b"\xff.png")

    store.write(path, b"x")

    assert store.read(path).data == b"x"
    assert list(store.list()) == [path]
    store.delete(path)
    assert not store.exists(path)


def test_what_no_file_can_be_called_is_not_there(store):
    sidecar = "a" * 251 + ".jpg.toml"

    with pytest.raises(FileNotFoundError):
        store.read(sidecar)


def test_a_root_that_is_away_is_not_an_empty_one(tmp_path):
    store = FileStore(tmp_path / "unmounted")

    for act in (
        lambda: store.read("a"),
        lambda: store.exists("a"),
        lambda: store.write("a", b""),
        lambda: store.delete("a"),
        lambda: list(store.list()),
        lambda: store.stamps("reports"),
    ):
        with pytest.raises(Unavailable):
            act()
    assert not store.root.exists()


def test_nothing_seems_gone_while_the_root_comes_and_goes(tmp_path):
    store, ended = FileStore(tmp_path / "out"), threading.Event()
    store.root.mkdir()
    store.write("anna.png", b"1")

    def says():
        try:
            return store.exists("anna.png")
        except Unavailable:
            return "away"

    def come_and_go():
        while not ended.is_set():
            store.root.rename(tmp_path / "away")
            (tmp_path / "away").rename(store.root)

    coming = threading.Thread(target=come_and_go)
    coming.start()
    seen = {says() for _ in range(5000)}
    ended.set()
    coming.join()
    assert seen == {True, "away"}


def test_a_file_system_without_links_still_never_writes_over(store):
    def no_links(*_, **__):
        raise OSError(errno.EPERM, "no links here")

    folder = os.open(store.root, os.O_RDONLY)
    for text in ("one", "two"):
        (store.root / text).write_text(text)
    place_new((folder, "one"), (folder, "final"), nullcontext, link=no_links)
    with pytest.raises(Conflict):
        place_new((folder, "two"), (folder, "final"), nullcontext, link=no_links)
    os.close(folder)

    assert (store.root / "final").read_text() == "one"


def test_times_are_told_apart_at_the_measured_granularity(store):
    tick = store.granularity()
    store.write("a", b"", stamp_ns=1_650_000_000_000_000_000 + tick * 3)
    store.write("b", b"", stamp_ns=1_650_000_000_000_000_000 + tick * 4)

    assert store.stamps("")["b"] - store.stamps("")["a"] == tick


def test_one_of_many_services_gets_a_free_name(store):
    code = """
try:
    FileStore(Path(sys.argv[1])).write("sales/a.png", sys.argv[2].encode() * 9999)
    print("won")
except Conflict:
    pass
"""
    children = [child(code, store.root, number) for number in range(6)]
    won = [number for number, process in enumerate(children) if "won" in process.communicate()[0]]

    assert len(won) == 1
    assert store.read("sales/a.png").data == str(won[0]).encode() * 9999


def test_no_update_is_lost_between_services(store):
    store.write("count", b"0")
    code = """
store, left = FileStore(Path(sys.argv[1])), 20
while left:
    try:
        blob = store.read("count")
        store.write("count", str(int(blob.data) + 1).encode(), replaces=blob.version)
        left -= 1
    except Conflict:
        pass
"""
    children = [child(code, store.root) for _ in range(3)]
    for process in children:
        process.communicate()

    assert store.read("count").data == b"60"


def test_lock_keeps_a_second_thread_out(store):
    meeting = threading.Barrier(2)

    def meets_another(_):
        with store.lock("anna.jpg"):
            try:
                meeting.wait(0.2)
            except threading.BrokenBarrierError:
                meeting.reset()
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(meets_another, range(2))) == [False, False]


def test_a_kill_in_the_middle_leaves_whole_files_and_nothing_else(store):
    code = """
store, number = FileStore(Path(sys.argv[1])), 0
print("ready", flush=True)
while True:
    number += 1
    store.write(f"{number}.png", b"%d;" % number * 400_000)
"""
    for _ in range(3):
        process = child(code, store.root)
        process.stdout.readline()
        while not any(store.root.glob("*.png")):
            os.sched_yield()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        store.sweep()

        assert temporaries(store) == []
        for path in store.list():
            number = path.removesuffix(".png").encode()
            assert store.read(path).data == number + b";" + (number + b";") * 399_999
            store.delete(path)


def test_a_sweep_removes_what_the_dead_left_and_nothing_of_the_living(store):
    code = (
        "fd = FileStore(Path(sys.argv[1])).lease('.facecraft/tmp/00.tmp'); print('ready', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", NEEDS + code, str(store.root)],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    assert store.sweep() == 0
    assert temporaries(store) == ["00.tmp"]

    process.kill()
    process.communicate()
    assert store.sweep() == 1
    assert temporaries(store) == []


def test_a_sweep_finds_temporaries_on_other_file_systems(store):
    token = "0" * 32
    store.write("sales/a.png", b"x")
    (store.root / "sales" / f".facecraft-{token}.tmp").write_bytes(b"half")
    (store.root / ".facecraft" / "tmp" / f"{token}.away").write_bytes(b"sales")

    store.sweep()

    assert [entry.name for entry in (store.root / "sales").iterdir()] == ["a.png"]
    assert temporaries(store) == []


def test_writes_across_file_systems_below_one_root(store):
    (store.root / "sub").mkdir()
    mount = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none "$0/sub" && exec "$@"', str(store.root)]
    if subprocess.run([*mount, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no mount namespaces")
    code = """
store = FileStore(Path(sys.argv[1]))
version = store.write("sub/a.png", b"one")
store.write("sub/a.png", b"two", replaces=version)
try:
    store.write("sub/a.png", b"three")
except Conflict:
    print(store.read("sub/a.png").data, os.listdir(store.root / "sub"), os.listdir(store.root / ".facecraft/tmp"))
"""
    command = [*mount, sys.executable, "-c", NEEDS + code, str(store.root)]
    said = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout

    assert said == "b'two' ['a.png'] []\n"


def test_write_closes_the_file_before_it_gets_its_name(tmp_path):
    changes, store = [], FileStore(tmp_path)
    version = store.write("anna.png", b"first")
    watcher = InotifyWatcher(str(tmp_path), lambda kind, path: changes.append((kind, path)))
    try:
        store.write("anna.png", b"second", replaces=version)
        (tmp_path / "last").write_bytes(b"")
        assert eventually(lambda: ("changed", "last") in changes, 10)
    finally:
        watcher.close()
    assert [change for change in changes if change[1] == "anna.png"] == [("created", "anna.png")]


@pytest.mark.parametrize("name", ["B.JPG.TOML", "B.JPG.Toml", "B.JPG.toml"])
def test_sidecar_is_found_however_its_ending_is_spelt(tmp_path, name):
    assert FileStore(tmp_path).sidecar("B.JPG") == "B.JPG.toml"
    (tmp_path / name).write_text("width = 1")
    assert FileStore(tmp_path).sidecar("B.JPG") == name
