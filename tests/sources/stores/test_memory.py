"""A store without a disk keeps the promises of the others, as far as it can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.stores.base import Conflict, TooLarge
from sources.stores.memory import MemoryStore


@given(st.text(), st.binary())
def test_what_is_written_is_read(path, data):
    store = MemoryStore()
    version = store.write(path, data)

    blob = store.read(path, len(data))
    assert (blob.data, blob.version, blob.changed_ns) == (data, version, store.changed(path))
    assert list(store.list()) == [path]


def test_only_the_version_that_was_seen_is_replaced_or_deleted():
    store = MemoryStore()
    first = store.write("sales/anna.jpg", b"1")
    second = store.write("sales/anna.jpg", b"2", replaces=first)

    for wrong in (lambda: store.write("sales/anna.jpg", b"3"), lambda: store.delete("sales/anna.jpg", first)):
        with pytest.raises(Conflict):
            wrong()
    store.delete("sales/anna.jpg", second)
    store.delete("sales/anna.jpg")
    assert not store.exists("sales/anna.jpg")


def test_what_is_not_there_and_what_is_too_large_is_told():
    store = MemoryStore("invocation", {"image": b"12345"})

    with pytest.raises(FileNotFoundError):
        store.read("image.toml")
    with pytest.raises(TooLarge, match="5 bytes"):
        store.read("image", 4)
    assert store.uri("image") == "invocation:image"


def test_a_folder_is_listed_by_its_whole_name():
    store = MemoryStore(held={"a/1": b"", "ab/2": b""})

    assert list(store.list("a")) == ["a/1"]
