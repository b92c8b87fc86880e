"""Restoration inside the whole pipeline, with a painter in the network's place."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import PhotoRejected
from pipeline.image.affine import apply
from pipeline.models.catalog import Verified, card
from pipeline.pipeline import PortraitPipeline
from pipeline.recipe import Recipe
from pipeline.types import Limits, Result
from tests.conftest import PORTRAITS, model_set

ROOT = Path(__file__).parents[2]


class Painter:
    def __init__(self):
        self.faces = 0

    def restore(self, face, fidelity):
        self.faces += 1
        return 255 - face


@pytest.fixture(scope="module")
def painter():
    return Painter()


@pytest.fixture(scope="module")
def painted(models, painter):
    return PortraitPipeline(model_set(models), painter.restore)


@pytest.fixture
def restored_faces(painter):
    """How many faces the network has seen since the test began."""
    before = painter.faces
    return lambda: painter.faces - before


def made(portrait_pipeline: PortraitPipeline, data: bytes, **options) -> Result:
    return portrait_pipeline.process(data, Recipe(**options), Limits(), "a.png")


def sample(name: str) -> bytes:
    return (PORTRAITS / name).read_bytes()


def png(result: Result) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(result.portraits[0].pictures[0].data)))


def test_without_a_network_the_report_says_unavailable(portrait_pipeline):
    facts = made(portrait_pipeline, sample("astronaut.png")).facts

    assert (facts["restoration"], facts["restored_faces"]) == ("unavailable", [])


def test_restoration_that_is_required_and_not_there_is_an_answer(portrait_pipeline):
    with pytest.raises(PhotoRejected, match="restore is on, but") as rejection:
        made(portrait_pipeline, sample("astronaut.png"), restore="on")

    assert rejection.value.reason == "invalid_options"


def test_off_is_off(painted, restored_faces):
    result = made(painted, sample("astronaut.png"), restore="off")

    assert result.facts["restoration"] == "off"
    assert "restore" not in result.stages_ms
    assert restored_faces() == 0


def test_a_small_face_is_restored_and_the_report_says_so(painted):
    result = made(painted, sample("astronaut.png"))

    (face,) = json.loads(json.dumps(result.facts["restored_faces"]))
    assert result.facts["restoration"] == face["outcome"] == "applied"
    assert face["why"] == "43 px between the eyes, fewer than 126"
    assert face["box"] == result.portraits[0].facts["faces"]["box"]
    assert result.stages_ms["restore"] > 0


def test_a_large_sharp_face_is_left_alone(painted, restored_faces):
    facts = made(painted, sample("portrait_glasses_scarf.jpg")).facts

    assert facts["restoration"] == "not_needed"
    assert "and sharp" in facts["restored_faces"][0]["why"]
    assert restored_faces() == 0


def test_a_restored_face_changes_no_bit_of_anything_else(painted, portrait_pipeline):
    """The light is judged without it: else a face that comes out brighter would darken the collar."""
    before, after = (made(each, sample("astronaut.png")) for each in (portrait_pipeline, painted))

    facts = before.portraits[0].facts
    points = apply(np.array(facts["geometry"]["source_to_output"]), np.array(facts["faces"]["landmarks"]))
    hull = cv2.convexHull(np.round(points).astype(np.int32))
    near = cv2.dilate(cv2.fillConvexPoly(np.zeros((648, 648), np.uint8), hull, 1), np.ones((141, 141)))
    changed = np.abs(png(after).astype(int) - png(before))
    assert changed[near == 0].max() == 0
    assert changed[:, :, 3].max() == 0
    assert changed.max() > 100


def test_of_many_faces_the_four_largest_are_restored(painted, restored_faces):
    one = Image.open(PORTRAITS / "astronaut.png").convert("RGB").crop((130, 0, 330, 260))
    crowd = Image.new("RGB", (1000, 260))
    for place, height in enumerate((260, 250, 240, 230, 220)):
        crowd.paste(one.resize((200 * height // 260, height)), (200 * place, 0))
    buffer = io.BytesIO()
    crowd.save(buffer, "PNG")

    facts = made(painted, buffer.getvalue(), face_policy="all").facts

    sides = [face["box"][2] for face in facts["restored_faces"]]
    assert facts["face_count"] == 5
    assert restored_faces() == len(sides) == 4
    assert sides == sorted(sides, reverse=True)


def test_a_grey_photo_stays_grey(painted):
    picture = png(made(painted, sample("scrap_paper_1942.jpg")))

    assert np.ptp(picture[:, :, :3], axis=2).max() == 0


def test_the_real_network_runs_in_the_pipeline(models, codeformer_file):
    """Its weights are random, so the face is none; that it ran, where and how long, is what the report tells."""
    file = codeformer_file.stat()
    restorer = Verified(card("codeformer"), codeformer_file, file.st_size, file.st_mtime_ns)

    result = made(PortraitPipeline(replace(model_set(models), restorer=restorer)), sample("astronaut.png"))

    assert result.facts["restoration"] == "applied"
    assert "codeformer" in [model["name"] for model in result.facts["models"]]


def test_five_landmarks_have_no_restoration_and_say_so(models):
    facts = made(PortraitPipeline(model_set(models, landmarks="landmarks_5")), sample("portrait_bokeh.jpg")).facts

    assert facts["restoration"] == "unavailable"
    assert "needs_68" in facts["notes"]


def test_without_restoration_torch_is_not_loaded(models):
    script = (
        "from handler.models import libraries; libraries.prepare()\n"
        "import sys\nfrom pathlib import Path\n"
        "from tests.conftest import model_set\nfrom pipeline.pipeline import PortraitPipeline\n"
        "PortraitPipeline(model_set(Path(sys.argv[1])))\n"
        "print(sorted({'torch', 'torchvision', 'basicsr'} & set(sys.modules)))\n"
    )

    ran = subprocess.run([sys.executable, "-c", script, models], check=True, capture_output=True, text=True, cwd=ROOT)

    assert ran.stdout.strip() == "[]"
