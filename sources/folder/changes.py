"""The changes that a watched folder reports."""

from collections.abc import Callable
from typing import Literal

ChangeKind = Literal["created", "changed", "unfinished", "gone", "folder", "lost", "overflow"]
"""Of a file: created, changed, unfinished (still being written), gone. `folder`: a new folder. `lost`: the root is
gone. `overflow`: the kernel dropped events."""

OnChange = Callable[[ChangeKind, str], None]
"""(kind, path below the root). Called from the watcher's own thread."""
