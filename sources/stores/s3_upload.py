"""One object written whole: in one request, or in parts where it is large."""

import errno
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from sources.stores.base import Conflict

if TYPE_CHECKING:
    from botocore.client import BaseClient

LARGE: Final = 64 * 1024 * 1024
PART: Final = 16 * 1024 * 1024


def put(
    client: "BaseClient", bucket: str, key: str, data: bytes, only: Mapping[str, str], facts: Mapping[str, Any]
) -> str:
    """Gives the etag. `only` are the conditions, `facts` metadata and content type. Errors are boto3's."""
    place = {"Bucket": bucket, "Key": key}
    if len(data) <= LARGE:
        return str(client.put_object(**place, Body=data, **only, **facts)["ETag"]).strip('"')
    upload = {**place, "UploadId": client.create_multipart_upload(**place, **facts)["UploadId"]}
    written = False
    try:
        parts = _parts(client, upload, data)
        answer = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **only)
        written = True
        return str(answer["ETag"]).strip('"')
    finally:
        if not written:  # what is begun costs storage until it is given up
            client.abort_multipart_upload(**upload)


def _parts(client: "BaseClient", upload: Mapping[str, str], data: bytes) -> list[dict[str, Any]]:
    view = memoryview(data)
    pieces = [bytes(view[start : start + PART]) for start in range(0, len(data), PART)]
    return [
        {"PartNumber": number, "ETag": client.upload_part(**upload, PartNumber=number, Body=piece)["ETag"]}
        for number, piece in enumerate(pieces, 1)
    ]


def condition(replaces: str | None) -> dict[str, str]:
    """As `Store.write` means it: only where nothing, or that version, stands."""
    return {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": f'"{replaces}"'}


def keeps_conditions(write: Callable[[Mapping[str, str]], object]) -> bool:
    """Whether the server refuses to write over an object where a condition says so; `write` writes always to one."""
    write({})
    return all(_is_refused(write, condition(replaces)) for replaces in (None, "0" * 32))


def _is_refused(write: Callable[[Mapping[str, str]], object], only: Mapping[str, str]) -> bool:
    try:
        write(only)
    except Conflict:
        return True
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
    return False
