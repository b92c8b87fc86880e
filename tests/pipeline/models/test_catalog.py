"""The registry is DESIGN's table, and a file is used only while it is the published one."""

import hashlib
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import ModelError
from pipeline.models.catalog import REGISTRY, ModelCard, card, check, cutout_model, locate, verified

CONTENT = b"weights" * 1000
TINY = ModelCard(
    name="u2netp",
    file="tiny.onnx",
    bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="CC0",
    purpose="tests",
    url="http://example.invalid/tiny.onnx",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / TINY.file
    path.write_bytes(CONTENT)
    return path


def test_registry_holds_the_eight_models_in_order():
    names = [each.name for each in REGISTRY]
    assert names == [
        "landmarks_68", "landmarks_5", "mmod", "u2net_human_seg", "u2net", "u2netp", "codeformer", "identity"
    ]  # fmt: skip
    assert {each.name for each in REGISTRY if each.bundled} == set(names) - {"u2net", "u2netp"}


@pytest.mark.parametrize("each", REGISTRY, ids=lambda each: each.name)
def test_every_card_is_complete(each: ModelCard):
    assert len(bytes.fromhex(each.sha256)) == 32
    assert each.url.removesuffix(".bz2").endswith(Path(each.file).name)
    assert each.licence
    assert each.purpose
    assert (each.package is None) == (each.member == "")
    assert each.package is None or len(bytes.fromhex(each.package.sha256)) == 32


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ModelError, match=r"'unet' is not a model.*u2netp"):
        card("unet")


def test_a_setting_moves_one_model(tmp_path: Path):
    own = Path("/elsewhere/face.pth")
    assert locate(tmp_path, card("codeformer")) == tmp_path / "codeformer" / "codeformer.pth"
    assert locate(tmp_path, card("codeformer"), {"codeformer": own}) == own
    assert locate(tmp_path, card("mmod"), {"codeformer": own}).parent == tmp_path


def test_right_bytes_are_verified(file: Path):
    assert check(TINY, file).path == file


def test_missing_file_names_the_fix(tmp_path: Path):
    with pytest.raises(ModelError, match=r"mmod_human.*missing.*facecraft models fetch mmod"):
        verified(tmp_path, "mmod")


def test_wrong_size_is_told_before_hashing(file: Path):
    file.write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match=r"tiny\.onnx: 6,999 bytes instead of 7,000"):
        check(TINY, file)


def test_one_wrong_byte_is_found(file: Path):
    file.write_bytes(b"W" + CONTENT[1:])
    with pytest.raises(ModelError, match=f"instead of {TINY.sha256}.*models fetch"):
        check(TINY, file)


def test_folder_instead_of_a_file_is_a_model_error(tmp_path: Path):
    with pytest.raises(ModelError, match="cannot be read"):
        check(TINY, tmp_path)


def test_verified_model_travels_to_a_worker_and_is_still_the_same(file: Path):
    seen = check(TINY, file)
    there = pickle.loads(pickle.dumps(seen))  # noqa: S301 - our own bytes
    there.check_unchanged()
    assert there == seen


def test_changed_file_is_noticed_without_hashing(file: Path):
    seen = check(TINY, file)
    os.utime(file, ns=(0, seen.mtime_ns + 1))
    with pytest.raises(ModelError, match="changed since"):
        seen.check_unchanged()


def test_vanished_file_is_noticed(file: Path):
    seen = check(TINY, file)
    file.unlink()
    with pytest.raises(ModelError, match="No such file"):
        seen.check_unchanged()


def test_resized_file_with_its_old_time_is_noticed(file: Path):
    seen = replace(check(TINY, file), size=1)
    with pytest.raises(ModelError, match="changed since"):
        seen.check_unchanged()


def test_cutout_prefers_the_model_for_people(tmp_path: Path):
    (tmp_path / "u2net.onnx").touch()
    (tmp_path / "u2netp.onnx").touch()
    assert cutout_model(tmp_path).name == "u2net"
    (tmp_path / "u2net_human_seg.onnx").touch()
    assert cutout_model(tmp_path).name == "u2net_human_seg"


def test_tiny_cutout_is_never_chosen_by_itself(tmp_path: Path):
    (tmp_path / "u2netp.onnx").touch()
    with pytest.raises(ModelError, match=r"neither u2net_human_seg\.onnx nor u2net\.onnx"):
        cutout_model(tmp_path)
