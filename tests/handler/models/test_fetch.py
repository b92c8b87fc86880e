"""`models fetch`, `verify` and `list` say what is there, what is not, and what follows from it."""

from pathlib import Path

import pytest

from handler.models.fetch import FetchResult, run_fetch, run_list, run_verify, summarize
from pipeline.errors import ModelError
from pipeline.models.catalog import card


def results(*failed: str) -> list[FetchResult]:
    names = ("landmarks_68", "landmarks_5", "mmod", "identity", "u2net_human_seg", "u2net", "codeformer")
    return [FetchResult(card(name), Path(name), "failed" if name in failed else "fetched") for name in names]


@pytest.mark.parametrize("name", ["landmarks_68", "mmod"])
def test_summarize_needed_model_failed_is_error(name: str):
    code, lines = summarize(results(name), strict=False)
    assert code == 1
    assert f"error: without {name}" in lines[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [("codeformer", "face restoration is unavailable"), ("u2net_human_seg", "the cut-out uses u2net")],
)
def test_summarize_model_with_fallback_failed_is_warning(name: str, words: str):
    code, lines = summarize(results(name), strict=False)
    assert code == 0
    assert words in lines[0]


def test_summarize_no_cutout_model_is_error():
    assert summarize(results("u2net_human_seg", "u2net"), strict=False)[0] == 1


def test_summarize_named_model_failed_is_error():
    assert summarize(results("codeformer"), strict=True) == (1, ["error: codeformer is not there."])


def test_run_fetch_unwritable_folder_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "models").write_text("a file")
    assert run_fetch(["u2netp"], tmp_path / "models") == 1
    assert "models cannot be written" in capsys.readouterr().err


def test_run_fetch_unknown_name_raises(tmp_path: Path):
    with pytest.raises(ModelError, match="'nope' is not a model"):
        run_fetch(["nope"], tmp_path)


def test_run_list_shows_states(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "u2netp.onnx").write_bytes(b"wrong")
    assert run_list([], tmp_path) == 0
    states = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert " wrong " in states["u2netp"]
    assert " missing " in states["codeformer"]
    assert "S-Lab 1.0, non-commercial" in states["codeformer"]


def test_run_verify_wrong_model_names_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "u2netp.onnx").write_bytes(b"wrong")
    assert run_verify([], tmp_path) == 1
    out, err = capsys.readouterr()
    assert "u2netp: wrong" in out
    assert "5 bytes instead of 4,574,861: run `facecraft models fetch u2netp`" in err
    assert "codeformer" not in err


def test_run_verify_named_model_missing_fails(tmp_path: Path):
    assert run_verify(["codeformer"], tmp_path) == 1
