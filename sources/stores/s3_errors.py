"""Maps botocore errors to OSError subclasses and Conflict, so that both stores raise the same."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from sources.stores.aws import NO_CREDENTIALS
from sources.stores.base import Archived, Conflict, Unavailable

_GONE: Final = ("NoSuchKey", "NoSuchVersion", "404")
_NO_KEY: Final = ("KeyTooLongError", "XMinioInvalidObjectName", "XMinioInvalidResourceName", "InvalidObjectName")
_FULL: Final = ("XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded")
_TAKEN: Final = (409, 412)
_DENIED: Final = (401, 403)
_STALE: Final = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken")
_SKEWED: Final = ("RequestTimeTooSkewed", "RequestExpired")
_UNKNOWN: Final = ("InvalidAccessKeyId", "SignatureDoesNotMatch")
_REMEDIES: Final = (
    dict.fromkeys(_STALE, "the credentials have expired: renew them")
    | dict.fromkeys(_SKEWED, "this machine's clock is wrong: set it, for example by NTP")
    | dict.fromkeys(_UNKNOWN, "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
)
_LATER: Final = (408, 429, 500, 502, 503, 504)


@contextmanager
def as_os_errors(uri: str) -> Iterator[None]:
    """Turns botocore errors into FileNotFoundError, PermissionError, Conflict, Unavailable or OSError."""
    try:
        yield
    except ClientError as error:
        raise _from_answer(error, uri) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise Unavailable(errno.EACCES, f"{error}: {NO_CREDENTIALS}", uri) from error
    except BotoCoreError as error:
        raise Unavailable(errno.EIO, str(error), uri) from error


def _from_answer(error: ClientError, uri: str) -> Exception:
    code, status, said = parse_error(error)
    if status in _TAKEN:
        return Conflict(f"{uri} was changed by someone else first ({code})")
    if code in _GONE:
        return FileNotFoundError(errno.ENOENT, "there is no such object", uri)
    if code in _NO_KEY:
        return FileNotFoundError(errno.ENAMETOOLONG, f"the server takes no such key ({said}): rename the photo", uri)
    if away := _away(code, status, said):
        return Unavailable(*away, uri)
    if status in _DENIED:
        archived = code == "InvalidObjectState"
        return Archived(errno.EACCES, said, uri) if archived else _denied(code, said, uri)
    number = errno.ENOSPC if code in _FULL else errno.ENOTSUP if status == HTTPStatus.NOT_IMPLEMENTED else errno.EIO
    return OSError(number, f"{code} ({status}): {said}", uri)


def _away(code: str, status: int, said: str) -> tuple[int, str] | None:
    """Error number and message, if the answer would be the same for every other object; else None."""
    if code == "NoSuchBucket":
        return errno.ENXIO, "there is no such bucket: create it, or name another one"
    if code in _REMEDIES:
        return errno.EACCES, f"{code}: {said}; {_REMEDIES[code]}"
    if status in _LATER and code not in _FULL:
        return errno.EIO, f"{code} ({status}): {said}"
    return None


def parse_error(error: ClientError) -> tuple[str, int, str]:
    """Code, HTTP status and message of an error answer."""
    answer: Any = error.response
    said = answer.get("Error", {})
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(said.get("Code", "")), int(status), str(said.get("Message", ""))


def _denied(code: str, said: str, uri: str) -> PermissionError:
    return PermissionError(errno.EACCES, f"{code}: {said}; {_allow(said)}", uri)


def _allow(said: str) -> str:
    if "kms" in said.lower():
        return "allow kms:Decrypt for the inbox's key, and kms:GenerateDataKey for the outbox's"
    return (
        "check the policy: without s3:ListBucket a missing object answers so too, "
        "and encrypted ones need kms:Decrypt and kms:GenerateDataKey"
    )
