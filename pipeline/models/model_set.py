"""What a pipeline is built from. Importing it loads no model and no model's library."""

from dataclasses import dataclass

from pipeline.models.catalog import Verified


@dataclass(frozen=True, slots=True)
class ModelSet:
    """Verified models, and the device and threads (0: one for each core) to run them on. Picklable.

    `unrestored` says why there is no `restorer`. A restored face is dropped if dlib's distance between it and the
    photo's is above `identity_limit`.
    """

    landmarks: Verified
    cutout: Verified
    mmod: Verified | None = None
    restorer: Verified | None = None
    unrestored: str = ""
    identity: Verified | None = None
    identity_limit: float = 0.5
    device: str = "auto"
    threads: int = 0

    @property
    def models(self) -> tuple[Verified, ...]:
        every = (self.landmarks, self.mmod, self.cutout, self.restorer, self.identity)
        return tuple(model for model in every if model)
