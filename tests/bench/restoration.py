"""What restoration does to degraded faces: `python -m tests.bench.restoration [--models DIR] [--folder DIR]`.

Sharp faces of the samples (or of a folder) are degraded in known ways, restored by the network that is present, and
compared with what they were: PSNR, SSIM and NIQE (basicsr.metrics), and dlib's identity distance. Beside it the same
figures before restoration. Without the published weights the network has random ones: that measures the plumbing.
"""

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from handler.models import libraries

libraries.prepare()  # before anything imports rembg or onnxruntime

from pipeline.errors import PhotoRejected  # noqa: E402
from pipeline.face.detect import FaceFinder  # noqa: E402
from pipeline.face.identity import Identity  # noqa: E402
from pipeline.face.landmarks import Landmarker  # noqa: E402
from pipeline.image.affine import apply, sample  # noqa: E402 - see above
from pipeline.image.decode import decode  # noqa: E402
from pipeline.models.catalog import card, locate  # noqa: E402
from pipeline.restore.inference import CodeFormerInference  # noqa: E402
from pipeline.restore.restoration import SIDE, align_to_template  # noqa: E402
from pipeline.types import Limits, Pixels, Points  # noqa: E402
from tests.bench.common.machine import machine  # noqa: E402
from tests.bench.common.weights import codeformer_weights  # noqa: E402

SAMPLES = Path(__file__).parents[1] / "portraits"
LEAST_EYES = 90.0


@dataclass(frozen=True, slots=True, eq=False)
class Clean:
    """A sharp face, aligned to 512 x 512, and its landmarks there."""

    pixels: Pixels
    landmarks: Points


def blurred(face: Pixels) -> Pixels:
    return cv2.GaussianBlur(face, (0, 0), 4)


def quartered(face: Pixels) -> Pixels:
    small = cv2.resize(face, (SIDE // 4, SIDE // 4), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def noisy(face: Pixels) -> Pixels:
    noise = np.random.default_rng(1).normal(0, 15, face.shape)
    return np.clip(np.round(face + noise), 0, 255).astype(np.uint8)


def compressed(face: Pixels) -> Pixels:
    _, data = cv2.imencode(".jpg", face[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 15])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])


def all_of_it(face: Pixels) -> Pixels:
    return compressed(noisy(quartered(blurred(face))))


KINDS: dict[str, Callable[[Pixels], Pixels]] = {
    "blur, sigma 4": blurred,
    "a quarter of the size": quartered,
    "noise, sigma 15": noisy,
    "JPEG 15": compressed,
    "all of these": all_of_it,
}


def faces(folder: Path, models: Path) -> Iterator[Clean]:
    landmarker = Landmarker(locate(models, card("landmarks_68")), 68)
    find = FaceFinder(landmarker, None)
    for path in sorted(folder.iterdir()):
        try:
            pixels = decode(path.read_bytes(), Limits(), (240, 240, 240), lambda _: None).pixels
        except (PhotoRejected, OSError):
            continue  # not a photo: the manifest
        for face in find(pixels):
            landmarks = landmarker.refine(pixels, face.landmarks)
            to_template = align_to_template(landmarks)
            if np.hypot(*to_template[:, 0]) <= 126 / LEAST_EYES:
                yield Clean(sample(pixels, to_template, SIDE, SIDE), apply(to_template, landmarks))


def figures(clean: Clean, picture: Pixels, identity: Identity) -> list[float]:
    """PSNR in dB, SSIM, NIQE (less is better) and the identity distance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # basicsr 1.4.2 is older than its libraries
        from pipeline.restore.basicsr_registry import ARCH_REGISTRY  # noqa: F401 - makes basicsr importable
        from basicsr.metrics import calculate_niqe, calculate_psnr, calculate_ssim  # isort: skip

        one, other = clean.pixels[:, :, ::-1], picture[:, :, ::-1]
        return [
            float(calculate_psnr(other, one, crop_border=0)),
            float(calculate_ssim(other, one, crop_border=0)),
            float(np.squeeze(calculate_niqe(other, crop_border=0))),
            identity.distance(clean.pixels, picture, clean.landmarks),
        ]


def run(models: Path, folder: Path, fidelity: float) -> None:
    identity = Identity(locate(models, card("identity")))
    every = list(faces(folder, models))
    with tempfile.TemporaryDirectory() as temporary:
        weights = codeformer_weights(models, Path(temporary))
        restorer = CodeFormerInference(weights, "auto")
        print(f"{machine()}; {restorer.device}; weights {weights.name}; fidelity {fidelity:g}; {len(every)} faces")
        print(f"{'degraded by':24} {'PSNR':>15} {'SSIM':>13} {'NIQE':>15} {'identity':>13}")
        for kind, degrade in KINDS.items():
            print(row(kind, every, degrade, lambda face: restorer.restore(face, fidelity), identity), flush=True)


def row(
    kind: str,
    every: list[Clean],
    degrade: Callable[[Pixels], Pixels],
    restore: Callable[[Pixels], Pixels],
    identity: Identity,
) -> str:
    """Means over all faces, before and after."""
    before, after = [], []
    for clean in every:
        picture = degrade(clean.pixels)
        before.append(figures(clean, picture, identity))
        after.append(figures(clean, restore(picture), identity))
    cells = zip(np.mean(before, axis=0), np.mean(after, axis=0), (".2f", ".3f", ".2f", ".3f"), strict=True)
    return f"{kind:24}" + "  ".join(f"{old:{form}} -> {new:{form}}" for old, new, form in cells)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--folder", type=Path, default=SAMPLES, help="measure the faces of these photos")
    parser.add_argument("--fidelity", type=float, default=0.7)
    arguments = parser.parse_args()
    run(arguments.models, arguments.folder, arguments.fidelity)
