"""The examples of the API in handler/README.md, and those of the original's README, are run as they stand."""

import io
import os
import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from tests.docs.test_handler_readme import section
from tests.handler.api.desk import Desk, jpeg

BLOCKS = dict(re.findall(r"^```(sh|python|javascript)\n(.*?)^```", section("API"), re.MULTILINE | re.DOTALL))
ORIGINAL = """
curl http://localhost:8000/health
curl -X POST http://localhost:8000/api/v1/process/quick -F "file=@photo.jpg" -o processed.png
curl -X POST http://localhost:8000/api/v1/process -F "file=@photo.jpg" -F "width=400" -F "height=400" \
  -F "background_r=255" -F "background_g=255" -F "background_b=255" -F "face_margin=0.4"
curl -X POST http://localhost:8000/api/v1/process/batch -F "files=@photo.jpg" -F "files=@photo2.jpg"
"""


@pytest.fixture
def desk(tmp_path):
    for name in ("photo.jpg", "photo2.jpg"):
        (tmp_path / name).write_bytes(jpeg())
    with Desk(tmp_path) as desk:
        yield desk


def run(desk, folder, command, text):
    """What the example prints; it calls the desk where it says localhost:8000."""
    text = text.replace("http://localhost:8000", f"http://localhost:{desk.server.port}")
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    ended = subprocess.run(
        command, input=text, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("text", [BLOCKS["sh"], ORIGINAL], ids=["ours", "original"])
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_examples(desk, tmp_path, text):
    printed = run(desk, tmp_path, ["sh", "-e"], text)
    (portrait,) = tmp_path.glob("p*.png")
    assert Image.open(io.BytesIO(portrait.read_bytes())).format == "PNG"
    assert '"success": true' in printed
    assert '"successful": 2' in printed


def test_python_example(desk, tmp_path):
    run(desk, tmp_path, [sys.executable, "-"], BLOCKS["python"])
    assert Image.open(io.BytesIO((tmp_path / "portrait.png").read_bytes())).format == "PNG"


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")
def test_javascript_example(desk, tmp_path):
    url = run(desk, tmp_path, ["node", "--input-type=module", "-"], BLOCKS["javascript"]).strip()
    assert desk.get(url.removeprefix(f"http://localhost:{desk.server.port}")).status == 200
