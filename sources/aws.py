"""Clients of S3 and SQS, and of servers that speak like them, set up by boto3's own variables and files."""

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from botocore.client import BaseClient

_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 30  # above the 20 s of a long poll, far below the time limit of a photo
_CONNECTIONS: Final = 64
_REGIONS: Final = ["AWS_DEFAULT_REGION", "AWS_REGION"]
"""boto3 reads the first alone; Lambda and ECS set the second."""


@cache
def client(service: str) -> "BaseClient":
    """One client a process, for all its threads; retries are boto3's own. ValueError where its settings are wrong."""
    import boto3  # noqa: PLC0415 - a third of a second that a service on folders need not pay
    import botocore.config  # noqa: PLC0415 - as above
    import botocore.session  # noqa: PLC0415 - as above

    session = botocore.session.Session(session_vars={"region": ("region", _REGIONS, None, None)})
    config = botocore.config.Config(
        connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, max_pool_connections=_CONNECTIONS
    )
    return boto3.Session(botocore_session=session).client(service, config=config)
