"""What a server or the way to it says, as the errors that files have too."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from sources.aws import NO_CREDENTIALS
from sources.base import Conflict

_GONE: Final = ("NoSuchKey", "NoSuchVersion", "404")
_NO_KEY: Final = ("KeyTooLongError", "XMinioInvalidObjectName", "XMinioInvalidResourceName", "InvalidObjectName")
_FULL: Final = ("XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded")
_TAKEN: Final = (409, 412)
_DENIED: Final = (401, 403)
_STALE: Final = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken")


@contextmanager
def as_files_have_them(uri: str) -> Iterator[None]:
    """Turns boto3's errors into FileNotFoundError, PermissionError, Conflict and OSError."""
    try:
        yield
    except ClientError as error:
        raise _from_answer(error, uri) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise PermissionError(errno.EACCES, f"{error}: {NO_CREDENTIALS}", uri) from error
    except BotoCoreError as error:
        raise OSError(errno.EIO, str(error), uri) from error


def _from_answer(error: ClientError, uri: str) -> Exception:
    code, status, said = told(error)
    if status in _TAKEN:
        return Conflict(f"{uri} was written by another one first ({code})")
    if code == "NoSuchBucket":
        return OSError(errno.ENXIO, "there is no such bucket: make it, or name another one", uri)
    if code in _GONE:
        return FileNotFoundError(errno.ENOENT, "there is no such object", uri)
    if code in _NO_KEY:
        return FileNotFoundError(errno.ENAMETOOLONG, f"the server takes no such key ({said}): rename the photo", uri)
    if status in _DENIED or code in _STALE:
        return PermissionError(errno.EACCES, f"{code}: {said}; {_allow(code, said)}", uri)
    number = errno.ENOSPC if code in _FULL else errno.ENOTSUP if status == HTTPStatus.NOT_IMPLEMENTED else errno.EIO
    return OSError(number, f"{code} ({status}): {said}", uri)


def told(error: ClientError) -> tuple[str, int, str]:
    """Code, HTTP status and message of an answer."""
    answer: Any = error.response
    said = answer.get("Error", {})
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(said.get("Code", "")), int(status), str(said.get("Message", ""))


def _allow(code: str, said: str) -> str:
    if code in _STALE:
        return "the credentials have expired: renew them"
    if "kms" in said.lower():
        return "allow kms:Decrypt for the inbox's key, and kms:GenerateDataKey for the outbox's"
    return (
        "check the policy: without s3:ListBucket a missing object answers so too, "
        "and encrypted ones need kms:Decrypt and kms:GenerateDataKey"
    )
