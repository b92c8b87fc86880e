import cv2
import numpy as np
import onnxruntime
import pytest

from pipeline.cutout.segment import Segmenter, head_outline, load_session, select_person
from pipeline.errors import ModelError
from pipeline.models.device import CUDA

FACE = np.array([(280.0, 160.0), (360.0, 160.0), (350.0, 240.0), (320.0, 260.0), (290.0, 240.0)])


def bust() -> np.ndarray:
    """A mask of head and shoulders around FACE, with soft edges."""
    mask = np.zeros((600, 640), np.uint8)
    cv2.ellipse(mask, (320, 200), (80, 110), 0, 0, 360, 255, -1)
    cv2.ellipse(mask, (320, 600), (260, 310), 0, 180, 360, 255, -1)
    return cv2.GaussianBlur(mask, (0, 0), 3)


def test_select_person_keeps_a_good_mask():
    kept = select_person(bust(), FACE)

    assert kept is not None
    assert np.abs(kept.astype(int) - bust()).max() < 7
    assert kept[200, 320] == 255


def test_select_person_removes_what_is_not_connected():
    mask = bust()
    cv2.circle(mask, (60, 80), 40, 255, -1)

    kept = select_person(cv2.GaussianBlur(mask, (0, 0), 2), FACE)

    assert kept is not None
    assert kept[20:140, :120].max() == 0
    assert kept[200, 320] == 255


@pytest.mark.parametrize(
    "mask",
    [np.zeros((600, 640), np.uint8), np.full((600, 640), 255, np.uint8), np.roll(bust(), 320, axis=1)],
    ids=["nothing", "everything", "beside the face"],
)
def test_select_person_rejects_an_implausible_mask(mask):
    assert select_person(mask, FACE) is None


def test_select_person_rejects_a_mask_with_half_of_the_face():
    mask = bust()
    mask[:, 320:] = 0

    assert select_person(mask, FACE) is None


def test_head_outline_is_above_the_centre_of_the_face():
    outline = head_outline(bust(), np.array([320.0, 205.0]), 150.0)

    assert outline[:, 1].max() < 205
    assert abs(outline[:, 1].min() - 90) < 8
    assert abs(outline[:, 0].min() - 240) < 8


def test_head_outline_of_an_empty_mask_is_empty():
    assert len(head_outline(np.zeros((50, 50), np.uint8), np.array([25.0, 25.0]), 10.0)) == 0


def test_segmenter_on_a_missing_gpu_says_what_is_there(models):
    with pytest.raises(ModelError, match=r"FACECRAFT_DEVICE=cuda:7.*only the CPU here; set it to cpu"):
        Segmenter(models / "u2netp.onnx", "cuda:7")


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this onnxruntime may have a GPU")
def test_load_session_on_an_unusable_gpu_names_the_fix(models):
    with pytest.warns(UserWarning, match=CUDA), pytest.raises(ModelError, match=r"--gpus all.*FACECRAFT_DEVICE=cpu"):
        load_session(models / "u2netp.onnx", "cuda:0", 1)
