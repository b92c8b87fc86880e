"""Which sources announce photos: what FACECRAFT_SOURCES may say beside the other settings, and its default. Pure."""

from typing import Final, Literal, get_args

from handler.config.loopback import is_loopback

Name = Literal["folder", "sqs", "webhook", "poll"]

NAMES: Final[tuple[Name, ...]] = get_args(Name)
_QUEUE: Final = "FACECRAFT_SQS_QUEUE_URL"
_TOKEN: Final = "FACECRAFT_WEBHOOK_TOKEN"  # noqa: S105 - the name of a setting


class SourcesError(ValueError):
    """Settings that do not go together; the message names them and the fix."""


def parsed(text: str) -> tuple[Name, ...]:
    """A comma list, in our own order, each name once. ValueError for other words."""
    words = {word.strip().lower() for word in text.split(",")} - {""}
    if wrong := sorted(words.difference(NAMES)):
        raise ValueError(f"{wrong[0]!r} is not one of {', '.join(NAMES)}")
    return tuple(name for name in NAMES if name in words)


def chosen(named: tuple[Name, ...], *, bucket: bool, queue: bool, token: bool, host: str) -> tuple[Name, ...]:
    """The sources to use. `bucket`: the inbox is one; `queue`, `token`: those settings are there. SourcesError."""
    if not bucket:
        return _folder(named, queue=queue)
    names = named or _default(queue=queue, token=token)
    if "folder" in names:
        raise SourcesError(
            "FACECRAFT_SOURCES: folder needs a folder as FACECRAFT_INBOX, and it is a bucket; write for example poll"
        )
    if "sqs" in names and not queue:
        raise SourcesError(f"FACECRAFT_SOURCES: sqs needs {_QUEUE}; set it, or write for example poll")
    if "webhook" in names and not token and not is_loopback(host):
        raise SourcesError(
            f"{_TOKEN} is required where FACECRAFT_SOURCES has webhook and FACECRAFT_HOST={host} can be reached by "
            "others; set it to a long random word, or write FACECRAFT_HOST=127.0.0.1"
        )
    return names


def without_effect(names: tuple[Name, ...], *, queue: bool, token: bool) -> list[str]:
    """Lines for the log about settings that are there and change nothing."""
    idle = [(_QUEUE, "sqs")] * (queue and "sqs" not in names) + [(_TOKEN, "webhook")] * (
        token and "webhook" not in names
    )
    return [
        f"{variable} has no effect: {source} is none of the sources ({', '.join(names)})" for variable, source in idle
    ]


def _folder(named: tuple[Name, ...], *, queue: bool) -> tuple[Name, ...]:
    instead = "remove it, or write a bucket such as FACECRAFT_INBOX=s3://photos/in"
    if others := [name for name in named if name != "folder"]:
        raise SourcesError(
            f"FACECRAFT_SOURCES: {others[0]} announces objects of a bucket, and FACECRAFT_INBOX is a folder; {instead}"
        )
    if queue:
        raise SourcesError(f"{_QUEUE} announces objects of a bucket, and FACECRAFT_INBOX is a folder; {instead}")
    return ("folder",)


def _default(*, queue: bool, token: bool) -> tuple[Name, ...]:
    told: dict[Name, bool] = {"sqs": queue, "webhook": token}
    return tuple(name for name, there in told.items() if there) or ("poll",)
