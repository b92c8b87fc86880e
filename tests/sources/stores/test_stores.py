"""What a store promises, held against files and objects alike."""

import errno
import pickle

import pytest

from sources.stores.base import STATE, Conflict, ListedObject, TooLarge
from sources.stores.local import FileStore
from tests.sources.folder.writers import versions_of_writers
from tests.support.s3_servers import s3_at


@pytest.fixture(params=["files", "moto", "seaweed"])
def store(request, tmp_path):
    if request.param == "files":
        yield FileStore(tmp_path)
        return
    with s3_at(request.getfixturevalue(request.param)) as stores:
        yield stores("out")


def test_what_is_written_is_read(store):
    version = store.write("sales/anna.png", b"a portrait")

    blob = store.read("sales/anna.png")
    assert (blob.data, blob.version) == (b"a portrait", version)
    assert store.exists("sales/anna.png")
    assert store.changed("sales/anna.png") == blob.changed_ns > 0


def test_nothing_is_written_over_what_stands(store):
    store.write("anna.png", b"1")

    with pytest.raises(Conflict):
        store.write("anna.png", b"2")
    assert store.read("anna.png").data == b"1"


def test_a_version_is_replaced_once(store):
    first = store.write("anna.png", b"1")
    second = store.write("anna.png", b"22", replaces=first)

    with pytest.raises(Conflict):
        store.write("anna.png", b"333", replaces=first)
    assert store.read("anna.png").version == second


def test_what_is_gone_is_not_replaced(store):
    version = store.write("anna.png", b"1")
    store.delete("anna.png")

    with pytest.raises(Conflict):
        store.write("anna.png", b"2", replaces=version)
    assert not store.exists("anna.png")


def test_of_many_who_write_at_once_one_succeeds(store):
    versions = versions_of_writers(store, 6)
    assert versions == [store.read("anna.png").version]


def test_what_is_not_there_is_told(store):
    with pytest.raises(FileNotFoundError):
        store.read("anna.jpg")
    assert not store.exists("anna.jpg")
    assert store.changed("anna.jpg") == 0
    store.delete("anna.jpg")


def test_nothing_above_the_limit_is_read(store):
    store.write("anna.jpg", b"12345")

    assert store.read("anna.jpg", 5).data == b"12345"
    with pytest.raises(TooLarge) as caught:
        store.read("anna.jpg", 4)
    assert caught.value.size == 5
    assert caught.value.changed_ns == store.changed("anna.jpg")


@pytest.mark.parametrize("path", ["../secret", "sub/../../secret", "./anna.jpg", "sub/.", "a\0b"])
def test_paths_that_lead_out_are_refused(store, path):
    for use in (store.read, lambda path: store.write(path, b"x"), store.delete):
        with pytest.raises(PermissionError):
            use(path)


@pytest.mark.parametrize(
    "path", ["a+b c/é%25.jpg", "ünï/写真 🎈.jpg", "a&b<c>'\"?#=.jpg", "x%2Fy.jpg", "~$a;b,c@d:e.jpg"]
)
def test_odd_names_stay_what_they_are(store, path):
    store.write(path, path.encode())

    assert list(store.list()) == [path]
    assert store.read(path).data == path.encode()
    assert store.uri(path).startswith(store.uri(""))


def test_names_that_are_no_utf8_are_kept_apart(store):
    store.write("\udcff.png", b"1")
    store.write("\udcfe.png", b"2")

    assert store.read("\udcff.png").data == b"1"
    assert len(list(store.list())) == 2


def test_only_what_lies_below_a_folder_is_listed(store):
    for path in ("reports/a.json", "reports/sales/b.json", "reports2/c.json", f"{STATE}/attempts/d.json", "e.png"):
        store.write(path, b"x")

    assert sorted(store.list("reports")) == ["reports/a.json", "reports/sales/b.json"]
    assert sorted(store.list()) == ["e.png", "reports/a.json", "reports/sales/b.json", "reports2/c.json"]
    assert sorted(store.stamps("reports")) in (["a.json"], ["a.json", "sales"])


def test_a_listing_tells_version_size_and_change(store):
    version = store.write("sales/anna.png", b"12345")

    assert list(store.entries()) == [ListedObject("sales/anna.png", version, 5, store.changed("sales/anna.png"))]


def test_only_that_version_is_deleted(store):
    version = store.write("anna.jpg", b"1")
    newer = store.write("anna.jpg", b"22", replaces=version)

    with pytest.raises(Conflict):
        store.delete("anna.jpg", version)
    store.delete("anna.jpg", newer)
    assert not store.exists("anna.jpg")


def test_stamps_are_kept_and_changed(store):
    version = store.write("reports/a.json", b"1", stamp_ns=1_600_000_000_000_000_000)
    assert store.stamps("reports")["a.json"] == 1_600_000_000_000_000_000

    store.stamp("reports/a.json", 1_700_000_000_000_000_000, version)
    assert store.stamps("reports")["a.json"] == 1_700_000_000_000_000_000
    assert dict(store.stamps("nothing")) == {}


def test_another_version_is_not_stamped(store):
    version = store.write("a.json", b"1")
    store.write("a.json", b"22", replaces=version)

    with pytest.raises(Conflict):
        store.stamp("a.json", 1, version)


def test_notes_are_written_under_the_same_conditions(store):
    store.note("a", b"1", replaces=None)
    with pytest.raises(Conflict):
        store.note("a", b"2", replaces=None)
    store.note("a", b"22", replaces=store.read("a").version)
    assert store.read("a").data == b"22"


def test_what_is_claimed_lives_until_it_is_closed(store):
    path = f"{STATE}/services/one.lock"
    assert not store.is_leased(path)
    claim = store.lease(path)
    try:
        assert store.is_leased(path)
        assert not store.remove_expired(path)
    finally:
        claim.close()
    assert not store.is_leased(path)
    store.remove_expired(path)
    assert list(store.stamps(f"{STATE}/services")) == []


def test_lock_is_released_when_its_context_ends(store):
    with store.lock("anna.jpg"):
        version = store.write("anna.jpg", b"1")
    with store.lock("anna.jpg"):
        store.write("anna.jpg", b"2", replaces=version)

    assert store.read("anna.jpg").data == b"2"


def test_an_outbox_that_can_be_written_is_told(store):
    assert abs(store.probe(1_700_000_000_000_000_000) - 1_700_000_000_000_000_000) < store.granularity()
    assert store.sweep() == 0
    assert list(store.list()) == []


def test_moved_objects_are_whole_in_the_one_place_or_the_other(store):
    version = store.write("anna.jpg", b"a photo")

    store.move("anna.jpg", version, store, "originals/anna.jpg")

    assert list(store.list()) == ["originals/anna.jpg"]
    assert store.read("originals/anna.jpg").data == b"a photo"


def test_what_was_replaced_is_not_moved(store):
    version = store.write("anna.jpg", b"1")
    store.write("anna.jpg", b"22", replaces=version)

    with pytest.raises(Conflict):
        store.move("anna.jpg", version, store, "originals/anna.jpg")
    assert store.read("anna.jpg").data == b"22"


def test_it_travels_to_worker_processes(store):
    store.write("anna.jpg", b"x")

    assert pickle.loads(pickle.dumps(store)).read("anna.jpg").data == b"x"  # noqa: S301 - our own


def test_names_that_are_too_long_are_not_there(store):
    path = "/".join(["x" * 200] * 5) + "/" + "y" * 240
    with pytest.raises(OSError) as caught:
        store.write(path * 5, b"x")
    assert caught.value.errno == errno.ENAMETOOLONG
