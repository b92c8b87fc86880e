"""Objects below one prefix of a bucket, with conditional writes."""

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

from sources.filters import bucket_sidecars
from sources.stores import s3_requests as requests
from sources.stores.aws import client
from sources.stores.base import STATE, Blob, Conflict, ListedObject
from sources.stores.s3_errors import as_os_errors, parse_error
from sources.stores.s3_keys import as_prefix, content_type, key_of, parsed_uri
from sources.stores.s3_locks import DEAD_SECONDS, S3Lease, TicketLock
from sources.stores.s3_requests import Answer, condition, enforces_conditions, etag
from sources.stores.s3_stamps import STAMP, ObjectStamps, stamp_in

_TEMPORARIES: Final = f"{STATE}/tmp"  # noqa: S108 - not the shared /tmp
_LOCKS: Final = f"{STATE}/locks"
_MAX_TAGS: Final = 10


@dataclass(frozen=True, slots=True)
class S3Store:
    """Objects below `prefix`, which is empty or ends with `/`. Implements `sources.stores.base.Outbox`.

    Versions are etags. Errors are the same as for files (see `s3_errors`). Each process makes its client when it first
    needs it.
    """

    bucket: str
    prefix: str = ""
    has_etags: ClassVar[bool] = True
    is_remote: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", as_prefix(self.prefix))

    @classmethod
    def at(cls, uri: str) -> "S3Store":
        """ValueError if it is not `s3://bucket/prefix`."""
        return cls(*parsed_uri(uri))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".removesuffix("/")

    def overlaps(self, other: "S3Store") -> bool:
        """Whether one of the two contains the other."""
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

    def sidecar(self, photo: str) -> str:
        """See Store."""
        usual, *others = bucket_sidecars(photo)
        return next((each for each in others if self.exists(each)), usual)

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
        """See Outbox."""
        return requests.metadata(self._head(path))

    def write(
        self,
        path: str,
        data: bytes,
        *,
        replaces: str | None = None,
        stamp_ns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """See Outbox. `stamp_ns` is stored in the metadata."""
        stamp = {STAMP: str(stamp_ns)} if stamp_ns is not None else {}
        facts = {"Metadata": {**(metadata or {}), **stamp}, "ContentType": content_type(path)}
        if self.conditional:
            return self._write(path, data, facts, condition(replaces))
        with self._ticket_lock("write", path):
            self._check(path, replaces)
            return self._write(path, data, facts, {})

    def note(self, path: str, data: bytes, *, replaces: str | None) -> None:
        """See Outbox."""
        self.write(path, data, replaces=replaces)

    def delete(self, path: str, version: str | None = None) -> None:
        """See Store."""
        if version is not None:
            self._check(path, version)  # not every server enforces the condition
        only = {} if version is None else condition(version)
        with suppress(FileNotFoundError), as_os_errors(self.uri(path)):
            try:
                self._call("delete_object", self._key(path), **only)
            except ClientError as error:
                if not only or parse_error(error)[1] != HTTPStatus.NOT_IMPLEMENTED:
                    raise
                self._call("delete_object", self._key(path))

    def remove_folder(self, path: str) -> None:
        """Nothing: a bucket has no folders of its own."""

    def move(self, path: str, version: str, target: "S3Store", place: str) -> None:
        """Move to `target`, with its metadata; copied before it is deleted here. Conflict if another version is here,
        or anything there."""
        source = {"Bucket": self.bucket, "Key": self._key(path)}
        only = {"IfNoneMatch": "*"} if target.conditional else {}
        with as_os_errors(self.uri(path)):
            target._call("copy_object", target._key(place), CopySource=source, CopySourceIfMatch=f'"{version}"', **only)
        self.delete(path, version)  # which compares the version again: not every server does when it copies

    def tag(self, path: str, version: str, name: str, value: str) -> None:
        """Add a tag and keep the others. Conflict if another version is there, OSError if it has ten tags already."""
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
                    raise OSError(f"{self.uri(path)} has {len(kept)} tags already: remove one")
                tagging = {"TagSet": [*kept, {"Key": name, "Value": value}]}
                self._call("put_object_tagging", self._key(path), Tagging=tagging, **which)

    def entries(self, prefix: str = "") -> Iterator[ListedObject]:
        """See Outbox: all objects below the folder `prefix`, in the server's order, without our own STATE."""
        below = f"{self.prefix}{as_prefix(prefix)}"
        for page in self._pages(Prefix=below):
            for found in page.get("Contents", []):
                path = found["Key"].removeprefix(self.prefix)
                if path and not path.endswith("/") and not path.startswith(f"{STATE}/"):
                    yield ListedObject(path, etag(found), found["Size"], requests.changed(found))

    def list(self, prefix: str = "") -> Iterator[str]:
        """See Store."""
        return (entry.path for entry in self.entries(prefix))

    # Of an outbox only

    @property
    def conditional(self) -> bool:
        """Whether the server enforces If-None-Match and If-Match; found out once, with an object of our own."""
        return _is_conditional(self)

    def stamps(self, folder: str) -> ObjectStamps:
        """See Outbox; each stamp costs a request when it is first read."""
        names = {name: f"{etag(found)}@{requests.seconds(found)}" for name, found, _ in self._folder(folder)}
        return ObjectStamps(self.uri(folder), names, lambda name: self.metadata(f"{folder}/{name}"))

    def stamped(self, path: str) -> int | None:
        """See Outbox; 0 if it has none."""
        try:
            return stamp_in(self.metadata(path))
        except FileNotFoundError:
            return None

    def stamp(self, path: str, ns: int, version: str | None = None, metadata: Mapping[str, str] | None = None) -> None:
        """See Outbox: writes the object again if its metadata differ."""
        found = self.read(path)
        if version not in (None, found.version):
            raise Conflict(f"{self.uri(path)} was replaced")
        wanted = {**(metadata or {}), STAMP: str(ns)}
        ObjectStamps.forget(self.uri(path))
        if found.metadata != wanted:
            self.write(path, found.data, replaces=found.version, stamp_ns=ns, metadata=metadata)

    def granularity(self) -> int:
        """See Outbox: stamps are exact."""
        return 1

    def lock(self, name: str) -> AbstractContextManager[None]:
        """See Outbox: tickets, where the server does not enforce conditions."""
        return nullcontext() if self.conditional else self._ticket_lock("turn", name)

    def lease(self, path: str) -> S3Lease:
        """See Outbox: an object that is written again and again until it is closed."""
        return S3Lease(lambda: self._put(path, b""), lambda: self.delete(path))

    def is_leased(self, path: str) -> bool:
        """See Outbox; a holder that was killed counts as alive for another half a minute."""
        try:
            head = self._head(path)
        except FileNotFoundError:
            return False
        return requests.age(head, requests.headers(head)) < DEAD_SECONDS

    def remove_expired(self, path: str) -> bool:
        """See Outbox."""
        if self.is_leased(path) or not self.exists(path):
            return False
        self.delete(path)
        return True

    def sweep(self) -> int:
        """See Outbox."""
        left = [f"{_TEMPORARIES}/{name}" for name in self.stamps(_TEMPORARIES)]
        return sum(self.remove_expired(path) for path in left)

    def probe(self, probe_ns: int) -> int:
        """See Outbox."""
        self._put(f"{STATE}/probe", str(probe_ns).encode())
        return probe_ns

    def _ticket_lock(self, kind: str, name: str) -> AbstractContextManager[None]:
        folder = f"{_LOCKS}/{kind}-{hashlib.sha256(self.uri(name).encode(errors='surrogateescape')).hexdigest()[:32]}"
        return TicketLock(
            lambda ticket: self._put(f"{folder}/{ticket}", b""),
            lambda ticket: self.delete(f"{folder}/{ticket}"),
            lambda: {name: requests.age(found, headers) for name, found, headers in self._folder(folder)},
        ).hold()

    def _folder(self, folder: str) -> Iterator[tuple[str, Answer, Mapping[str, str]]]:
        """The objects in the folder itself: name, the listing's entry, and the listing's headers."""
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
            # the SDK may try again after an answer was lost: then our own object is there
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
                if parse_error(error)[1] == HTTPStatus.NOT_FOUND:  # a HEAD does not say whether the bucket exists
                    self._call("get_object", self._key(path))["Body"].close()
                raise

    def _check(self, path: str, version: str | None) -> None:
        if self.version(path) != version:
            raise Conflict(f"{self.uri(path)} was changed by someone else first")

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
