"""numba finds its compiled functions, whoever starts the service and wherever it may write.

Each case is a process of its own, since environment and cache belong to the process. Root may write everywhere, so
where the tests are run by root, that process goes without this right.
"""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OBEDIENT = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
PREPARE = """
import os, sys
from pathlib import Path
from handler.models.numba_cache import prepare
folder = prepare(Path(sys.argv[1]))
assert os.environ["NUMBA_CACHE_DIR"] == str(folder)
print(folder)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.fixture
def baked(place: Path) -> Iterator[Path]:
    (place / "baked" / "alpha_1").mkdir(parents=True)
    (place / "baked" / "alpha_1" / "index.nbi").write_bytes(b"compiled")
    with read_only(place / "baked") as folder:
        yield folder


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    folders = [folder, *(each for each in folder.iterdir() if each.is_dir())]
    for each in folders:
        each.chmod(0o555)
    yield folder
    for each in folders:
        each.chmod(0o755)


def start(place: Path, code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    return subprocess.Popen(
        [*OBEDIENT, sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**known, "TMPDIR": str(place / "tmp"), "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Path:
    out, _ = process.communicate()
    assert process.returncode == 0
    return Path(out.strip())


def prepared(place: Path, baked: Path, **environment: str) -> Path:
    return finish(start(place, PREPARE, baked, **environment))


def test_prepare_writable_folder_is_used(place: Path):
    assert prepared(place, place / "tmp" / "new" / "numba") == place / "tmp" / "new" / "numba"


def test_prepare_read_only_cache_is_copied(place: Path, baked: Path):
    copy = prepared(place, baked)
    assert copy.parent == place / "tmp"
    assert (copy / "alpha_1" / "index.nbi").read_bytes() == b"compiled"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700
    assert os.access(copy / "alpha_1", os.W_OK)


def test_prepare_own_folder_is_kept(place: Path, baked: Path):
    assert prepared(place, baked, NUMBA_CACHE_DIR=str(place / "tmp")) == place / "tmp"


def test_prepare_own_read_only_folder_is_copied(place: Path, baked: Path):
    copy = prepared(place, place / "tmp", NUMBA_CACHE_DIR=str(baked))
    assert (copy / "alpha_1" / "index.nbi").exists()


def test_prepare_concurrent_workers_share_one_copy(place: Path, baked: Path):
    started = [start(place, PREPARE, baked) for _ in range(4)]
    assert len({finish(each) for each in started}) == 1
    assert len(list((place / "tmp").iterdir())) == 1


def test_prepare_newer_cache_gets_own_copy(place: Path, baked: Path):
    first = prepared(place, baked)
    (baked / "alpha_1" / "index.nbi").write_bytes(b"compiled anew")
    assert prepared(place, baked) != first


@pytest.mark.parametrize("trap", ["open", "link"])
def test_prepare_copy_writable_by_others_is_not_used(place: Path, baked: Path, trap: str):
    first = prepared(place, baked)
    shutil.rmtree(first)
    if trap == "link":
        first.symlink_to(place)
    else:
        first.mkdir()
        (first / "index.nbi").write_bytes(b"evil")
        first.chmod(0o777)
    copy = prepared(place, baked)
    assert copy != first
    assert (copy / "alpha_1" / "index.nbi").read_bytes() == b"compiled"


@pytest.fixture
def real(place: Path) -> Iterator[Path]:
    """What `make install` compiled, in a folder that cannot be written."""
    compiled = Path(sys.prefix) / "share" / "facecraft" / "numba"
    if not compiled.exists():
        pytest.skip("`make install` fills the cache")
    shutil.copytree(compiled, place / "real")
    with read_only(place / "real") as folder:
        yield folder


def test_prepare_without_writable_place_uses_cache_read_only(place: Path, real: Path):
    """Nothing is compiled: numba would fail where it cannot keep that."""
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
    assert finish(start(place, f"{full}\n{PREPARE}\nimport rembg", real)) == real
    assert list((place / "tmp").iterdir()) == []


def test_prepare_read_only_image_compiles_nothing(place: Path, real: Path):
    """The real thing: what `make install` compiled serves a process that may not write to it."""
    with read_only(real) as folder:
        copy = finish(start(place, f"{PREPARE}\nimport rembg", folder))
    assert copy.parent == place / "tmp"
    assert sum(1 for _ in copy.rglob("*.nbc")) == sum(1 for _ in real.rglob("*.nbc"))
