"""What a studio is built from. Light: importing it loads no model and no model's library."""

from dataclasses import dataclass

from pipeline.models import Verified


@dataclass(frozen=True, slots=True)
class Kit:
    """Verified models, and the device and threads (0: one for each core) to run them on. Picklable."""

    landmarks: Verified
    cutout: Verified
    mmod: Verified | None = None
    device: str = "auto"
    threads: int = 0

    @property
    def models(self) -> tuple[Verified, ...]:
        return tuple(model for model in (self.landmarks, self.mmod, self.cutout) if model)
