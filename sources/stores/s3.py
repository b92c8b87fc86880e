"""Objects below one prefix of a bucket: the inbox, and the outbox with its conditional writes."""

import errno
import hashlib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any, ClassVar, Final

from botocore.exceptions import ClientError

from sources.stores import s3_requests as requests
from sources.stores.aws import client
from sources.stores.base import STATE, Blob, Conflict, ListedObject
from sources.stores.s3_errors import as_os_errors, told
from sources.stores.s3_keys import as_prefix, content_type, key_of, parsed_uri
from sources.stores.s3_locks import DEAD_SECONDS, S3Lease, Tickets
from sources.stores.s3_requests import Answer, condition, enforces_conditions, etag
from sources.stores.s3_stamps import STAMP, ObjectStamps, stamp_in

_TEMPORARIES: Final = f"{STATE}/tmp"  # noqa: S108 - not the shared /tmp
_LOCKS: Final = f"{STATE}/locks"
_MAX_TAGS: Final = 10


@dataclass(frozen=True, slots=True)
class S3Store:
    """Objects below `prefix` (empty, or with a `/` at its end). Implements `sources.stores.base.Store`.

    Versions are etags. Errors are those of files; PermissionError says what to allow. The client is made when it is
    first used, in each process.
    """

    bucket: str
    prefix: str = ""
    has_etags: ClassVar[bool] = True
    is_remote: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", as_prefix(self.prefix))

    @classmethod
    def at(cls, uri: str) -> "S3Store":
        """ValueError where it is not `s3://bucket/prefix`."""
        return cls(*parsed_uri(uri))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".removesuffix("/")

    def overlaps(self, other: "S3Store") -> bool:
        """Whether one of the two lies in the other."""
        nested = self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)
        return self.bucket == other.bucket and nested

    def uri(self, path: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{path}"

    def read(self, path: str, limit: int | None = None) -> Blob:
        """See Store."""
        with as_os_errors(self.uri(path)):
            return requests.read_body(self._call("get_object", self._key(path)), limit)

    def exists(self, path: str) -> bool:
        return self.version(path) is not None

    def changed(self, path: str) -> int:
        """See Store."""
        with suppress(OSError):
            return requests.changed(self._head(path))
        return 0

    def version(self, path: str) -> str | None:
        """See Store: the etag."""
        try:
            return etag(self._head(path))
        except FileNotFoundError:
            return None

    def metadata(self, path: str) -> dict[str, str]:
        """As in `Blob`, without its content. FileNotFoundError where nothing stands."""
        return requests.metadata(self._head(path))

    def write(
        self,
        path: str,
        data: bytes,
        *,
        replaces: str | None = None,
        stamp_ns: int | None = None,
        about: Mapping[str, str] | None = None,
    ) -> str:
        """See Store. `about` becomes the object's metadata, and so does `stamp_ns`."""
        stamp = {STAMP: str(stamp_ns)} if stamp_ns is not None else {}
        facts = {"Metadata": {**(about or {}), **stamp}, "ContentType": content_type(path)}
        if self.conditional:
            return self._write(path, data, facts, condition(replaces))
        with self._turn("write", path):
            self._check(path, replaces)
            return self._write(path, data, facts, {})

    def note(self, path: str, data: bytes, *, replaces: str | None) -> None:
        """See Outbox."""
        self.write(path, data, replaces=replaces)

    def delete(self, path: str, version: str | None = None) -> None:
        """See Store. With a version, only where that one stands, else Conflict."""
        if version is not None:
            self._check(path, version)  # not every server keeps the condition
        only = {} if version is None else condition(version)
        with suppress(FileNotFoundError), as_os_errors(self.uri(path)):
            try:
                self._call("delete_object", self._key(path), **only)
            except ClientError as error:
                if not only or told(error)[1] != HTTPStatus.NOT_IMPLEMENTED:
                    raise
                self._call("delete_object", self._key(path))

    def move(self, path: str, version: str, target: "S3Store", place: str) -> None:
        """Below `target`, with all that its uploader said of it, before it goes here. Conflict where another version
        stands here, or something there."""
        source = {"Bucket": self.bucket, "Key": self._key(path)}
        only = {"IfNoneMatch": "*"} if target.conditional else {}
        with as_os_errors(self.uri(path)):
            target._call("copy_object", target._key(place), CopySource=source, CopySourceIfMatch=f'"{version}"', **only)
        self.delete(path, version)  # which looks at the version again: not every server does when it copies

    def tag(self, path: str, version: str, name: str, value: str) -> None:
        """Add one tag to that version, else Conflict; those that it has stay. OSError where it has ten already."""
        head = self._head(path)
        if etag(head) != version:
            raise Conflict(f"{self.uri(path)} was replaced")
        known = head.get("VersionId", "null")
        which = {} if known == "null" else {"VersionId": known}
        with as_os_errors(self.uri(path)):
            tags = self._call("get_object_tagging", self._key(path), **which)["TagSet"]
            if {"Key": name, "Value": value} not in tags:
                kept = [each for each in tags if each["Key"] != name]
                if len(kept) >= _MAX_TAGS:
                    raise OSError(f"{self.uri(path)} has {len(kept)} tags already: take one away")
                tagging = {"TagSet": [*kept, {"Key": name, "Value": value}]}
                self._call("put_object_tagging", self._key(path), Tagging=tagging, **which)

    def entries(self, prefix: str = "") -> Iterator[ListedObject]:
        """What a listing tells of all below the folder `prefix`, in the server's order; our own STATE is left out."""
        below = f"{self.prefix}{as_prefix(prefix)}"
        for page in self._pages(Prefix=below):
            for found in page.get("Contents", []):
                path = found["Key"].removeprefix(self.prefix)
                if path and not path.endswith("/") and not path.startswith(f"{STATE}/"):
                    yield ListedObject(path, etag(found), found["Size"], requests.changed(found))

    def list(self, prefix: str = "") -> Iterator[str]:
        """See Store."""
        return (entry.path for entry in self.entries(prefix))

    # What an outbox can do besides

    @property
    def conditional(self) -> bool:
        """Whether the server keeps If-None-Match and If-Match; found out once, by an object of our own."""
        return _is_conditional(self)

    def stamps(self, folder: str) -> ObjectStamps:
        """As `FileStore.stamps`; each one costs a request when it is first asked for."""
        names = {name: f"{etag(found)}@{requests.seconds(found)}" for name, found, _ in self._folder(folder)}
        return ObjectStamps(self.uri(folder), names, lambda name: self.metadata(f"{folder}/{name}"))

    def stamped(self, path: str) -> int | None:
        """See Outbox; 0 where it has none."""
        try:
            return stamp_in(self.metadata(path))
        except FileNotFoundError:
            return None

    def stamp(self, path: str, ns: int, version: str | None = None, about: Mapping[str, str] | None = None) -> None:
        """Write its metadata anew, where they differ; with a version, only where that one stands, else Conflict."""
        found = self.read(path)
        if version not in (None, found.version):
            raise Conflict(f"{self.uri(path)} was replaced")
        wanted = {**(about or {}), STAMP: str(ns)}
        ObjectStamps.forget(self.uri(path))
        if found.metadata != wanted:
            self.write(path, found.data, replaces=found.version, stamp_ns=ns, about=about)

    def granularity(self) -> int:
        """Stamps are kept exactly."""
        return 1

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Nothing where the server keeps conditions: those decide then. Else one at a time, as `FileStore.lock`."""
        return nullcontext() if self.conditional else self._turn("turn", name)

    def claim(self, path: str) -> S3Lease:
        """Make an object that is written again and again until it is closed; see `is_claimed`."""
        return S3Lease(lambda: self._put(path, b""), lambda: self.delete(path))

    def is_claimed(self, path: str) -> bool:
        """Whether someone has claimed it and lives; whoever was killed is found out after half a minute."""
        try:
            head = self._head(path)
        except FileNotFoundError:
            return False
        return requests.age(head, requests.headers(head)) < DEAD_SECONDS

    def reap(self, path: str) -> bool:
        """Remove what was made by `claim`, if whoever held it is dead; true if it was removed."""
        if self.is_claimed(path) or not self.exists(path):
            return False
        self.delete(path)
        return True

    def sweep(self) -> int:
        """Remove what killed services left of `probe`; gives the number."""
        left = [f"{_TEMPORARIES}/{name}" for name in self.stamps(_TEMPORARIES)]
        return sum(self.reap(path) for path in left)

    def probe(self, probe_ns: int) -> int:
        """Write an object and give what was to be written: OSError says why nothing can be."""
        self._put(f"{STATE}/probe", str(probe_ns).encode())
        return probe_ns

    def _turn(self, kind: str, name: str) -> AbstractContextManager[None]:
        folder = f"{_LOCKS}/{kind}-{hashlib.sha256(self.uri(name).encode(errors='surrogateescape')).hexdigest()[:32]}"
        return Tickets(
            lambda ticket: self._put(f"{folder}/{ticket}", b""),
            lambda ticket: self.delete(f"{folder}/{ticket}"),
            lambda: {name: requests.age(found, headers) for name, found, headers in self._folder(folder)},
        ).turn()

    def _folder(self, folder: str) -> Iterator[tuple[str, Answer, Mapping[str, str]]]:
        """What lies in that folder itself: name, what the listing says, and the listing's headers."""
        below = f"{self.prefix}{as_prefix(folder)}"
        for page in self._pages(Prefix=below, Delimiter="/"):
            for found in page.get("Contents", []):
                if found["Key"] != below:
                    yield found["Key"].removeprefix(below), found, requests.headers(page)

    def _pages(self, **query: str) -> Iterator[dict[str, Any]]:
        pages = client("s3").get_paginator("list_objects_v2")
        with as_os_errors(f"s3://{self.bucket}/{query['Prefix']}"):
            yield from pages.paginate(Bucket=self.bucket, **query)

    def _write(self, path: str, data: bytes, facts: dict[str, Any], only: Mapping[str, str]) -> str:
        ObjectStamps.forget(self.uri(path))
        try:
            return self._put(path, data, only, **facts)
        except FileNotFoundError as error:
            if "IfMatch" not in only or error.errno != errno.ENOENT:
                raise
            raise Conflict(f"{self.uri(path)} is gone") from error
        except Conflict:
            # the answer to a first try may be lost, and the SDK's second one then finds our own object
            own = hashlib.md5(data, usedforsecurity=False).hexdigest()
            if self.version(path) != own:
                raise
            return own

    def _put(self, path: str, data: bytes, only: Mapping[str, str] | None = None, **facts: object) -> str:
        with as_os_errors(self.uri(path)):
            return etag(self._call("put_object", self._key(path), Body=data, **(only or {}), **facts))

    def _head(self, path: str) -> dict[str, Any]:
        with as_os_errors(self.uri(path)):
            try:
                return self._call("head_object", self._key(path))
            except ClientError as error:
                if told(error)[1] == HTTPStatus.NOT_FOUND:  # a HEAD's answer does not tell whether the bucket is there
                    self._call("get_object", self._key(path))["Body"].close()
                raise

    def _check(self, path: str, version: str | None) -> None:
        if self.version(path) != version:
            raise Conflict(f"{self.uri(path)} was written by another one first")

    def _key(self, path: str) -> str:
        return key_of(self.prefix, path)

    def _call(self, operation: str, key: str, **more: object) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(client("s3"), operation)(Bucket=self.bucket, Key=key, **more)
        return answer


@cache
def _is_conditional(store: S3Store) -> bool:
    path = f"{_TEMPORARIES}/{uuid.uuid4().hex}"
    try:
        return enforces_conditions(lambda only: store._put(path, b"", only))
    finally:
        store.delete(path)
