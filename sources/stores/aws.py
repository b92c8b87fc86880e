"""Clients for S3 and SQS, and for compatible servers, configured by boto3's own variables and files."""

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.config import Config

_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 20  # five tries at a server that never answers end before a photo's time limit
_CONNECTIONS: Final = 64
_REGIONS: Final = ["AWS_DEFAULT_REGION", "AWS_REGION"]
"""boto3 reads only the first; Lambda and ECS set the second."""


NO_CREDENTIALS: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"


class AwsSettingsError(Exception):
    """No client can be made from boto3's variables and files; the message says which one is wrong and what to write."""


@cache
def client(service: str) -> "BaseClient":
    """The process's one client, for all its threads; boto3 retries by itself. May raise AwsSettingsError."""
    import botocore.config  # noqa: PLC0415 - a third of a second that a service on folders need not pay

    config = botocore.config.Config(
        connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, max_pool_connections=_CONNECTIONS
    )
    return made(service, config)


def made(service: str, config: "Config", region: str | None = None) -> "BaseClient":
    """A new client; `region` overrides the variables. May raise AwsSettingsError."""
    import boto3  # noqa: PLC0415 - as above
    import botocore.exceptions as wrong  # noqa: PLC0415 - as above
    import botocore.session  # noqa: PLC0415 - as above

    session = botocore.session.Session(session_vars={"region": ("region", _REGIONS, None, None)})
    try:
        return boto3.Session(botocore_session=session).client(service, region_name=region, config=config)
    except (wrong.NoRegionError, wrong.InvalidRegionError) as error:
        raise AwsSettingsError(
            f"AWS_DEFAULT_REGION: {error} Set it to the region of the bucket and the queue, or with a server of your "
            "own to any; for example AWS_DEFAULT_REGION=eu-central-1"
        ) from error
    except wrong.ProfileNotFound as error:
        raise AwsSettingsError(
            f"AWS_PROFILE: {error}; name one of ~/.aws/config, for example AWS_PROFILE=default, or remove it"
        ) from error
    except ValueError as error:
        raise AwsSettingsError(
            f"AWS_ENDPOINT_URL (or AWS_ENDPOINT_URL_{service.upper()}): {error}; write the server's whole address, "
            "for example AWS_ENDPOINT_URL=http://minio:9000"
        ) from error
    except wrong.BotoCoreError as error:
        raise AwsSettingsError(
            f"The AWS_ variables or files: {error}; put right what it names, for example AWS_CONFIG_FILE=~/.aws/config"
        ) from error
