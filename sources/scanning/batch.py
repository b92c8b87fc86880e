"""What a scan yields: parts of a listing."""

from dataclasses import dataclass, field


class ReportsAway(OSError):
    """What is settled cannot be told: nothing is wrong with the folder of the photos."""


@dataclass(slots=True)
class Batch:
    """Part of a listing: the paths below the root that are work, how many names were passed over, and the versions of
    the paths where the listing tells them."""

    paths: list[str] = field(default_factory=list)
    ignored: int = 0
    versions: dict[str, str] = field(default_factory=dict)
