"""The image as a Lambda function: in AWS's own emulator, confined, as a user that it does not know."""

import base64
import json
import shutil
from pathlib import Path

from tests.image.docker import docker, inspected, proved
from tests.image.service import CONFINED, PORTRAITS
from tests.support import rie

USER = "993:990"
LISTEN = ("--runtime-interface-emulator-address", "127.0.0.1:8080", "--runtime-api-address", "127.0.0.1:9001")
CALL = f"""
import sys, time, urllib.error, urllib.request
call = urllib.request.Request("http://127.0.0.1:8080{rie.PATH}", sys.stdin.buffer.read())
for _ in range(120):
    try:
        sys.stdout.buffer.write(urllib.request.urlopen(call, timeout=300).read())
        break
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError:
        time.sleep(0.5)  # the emulator does not listen yet
"""


def a_function(image, folder, photo):
    """One call with a photo in it. The emulator is mounted, because it is not part of the image."""
    emulator = shutil.copy(rie.fetch(), Path(folder) / "rie")
    mount = ("--mount", f"type=bind,source={emulator},target=/rie,readonly", "--entrypoint", "/rie")
    config = inspected(image)["Config"]
    command = (*config["Entrypoint"], *config["Cmd"])
    started = docker("run", "--detach", "--user", USER, *CONFINED, *mount, image, *LISTEN, *command)
    container = started.stdout.strip()
    event = json.dumps({"image": base64.b64encode((PORTRAITS / photo).read_bytes()).decode()})
    try:
        answer = json.loads(docker("exec", "--interactive", container, "python3", "-c", CALL, given=event).stdout)
    finally:
        docker("rm", "--force", container)
    proved(answer.get("outcome") == "done", f"the function answered {str(answer)[:500]}")
    return f"a call with a photo: {answer['outcome']}"
