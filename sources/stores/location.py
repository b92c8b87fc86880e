"""The two kinds of inbox and outbox: a folder, or a prefix in a bucket."""

from pathlib import Path

from sources.stores.local import FileStore
from sources.stores.s3 import S3Store

AnyStore = FileStore | S3Store

Location = Path | S3Store
"""Where a store is: a folder's path; for a bucket the store itself."""


def store_at(place: Location) -> AnyStore:
    return FileStore(place) if isinstance(place, Path) else place
