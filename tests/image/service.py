"""The image as a service: a container without network, capabilities or a writable disk, with two folders mounted."""

import json
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

from tests.image.docker import ROOT, docker, inspected, wait_until

CONFINED = (
    "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none",  # noqa: S108 - the container's own
)  # fmt: skip
READY_SECONDS = 300
PHOTO_SECONDS = 180
PORTRAITS = ROOT / "tests" / "portraits"


class Running:
    """A container of the image, its inbox (mounted read-only) and its outbox."""

    def __init__(self, name, folder):
        self.name, self.inbox, self.outbox = name, folder / "inbox", folder / "outbox"

    def drop(self, photo, name=None):
        shutil.copyfile(PORTRAITS / photo, self.inbox / (name or photo))

    def report(self, name):
        """Wait for the photo's report, and return it."""
        self.wait_for_reports(1)
        return json.loads((self.outbox / "reports" / f"{name}.json").read_text())

    def reports(self):
        return sorted(self.outbox.glob("reports/*.json"))

    def wait_for_reports(self, number):
        def there():
            return len(self.reports()) >= number

        wait_until(there, f"fewer than {number} reports; the log ends with:\n{self.log()[-1500:]}", PHOTO_SECONDS)

    def log(self):
        return docker("logs", self.name).stderr

    def within(self, *command, check=True):
        return docker("exec", self.name, *command, check=check)

    def wait_ready(self):
        """Seconds from the container's start to 200 from /ready."""
        began = time.monotonic()
        asked = ("python3", "-IS", "/app/ready.py")
        wait_until(lambda: self.within(*asked, check=False).returncode == 0, f"not ready:\n{self.log()}", READY_SECONDS)
        return time.monotonic() - began

    def wait_healthy(self):
        def healthy():
            return inspected(self.name)["State"]["Health"]["Status"] == "healthy"

        wait_until(healthy, "Docker does not call it healthy", READY_SECONDS)

    def stop(self):
        """Stop it with `docker stop`; returns its exit code and how many seconds it took."""
        began = time.monotonic()
        docker("stop", "--time", "120", self.name)
        return inspected(self.name)["State"]["ExitCode"], time.monotonic() - began


@contextmanager
def running(image, folder, user, *more):
    """A container that runs as `user`; it is removed at the end."""
    own = Path(folder) / user.replace(":", "-")
    (own / "inbox").mkdir(parents=True)
    (own / "outbox").mkdir()
    (own / "outbox").chmod(0o777)  # whoever it runs as
    mounts = (f"type=bind,source={own}/inbox,target=/inbox,readonly", f"type=bind,source={own}/outbox,target=/outbox")
    given = [each for mount in mounts for each in ("--mount", mount)]
    started = docker("run", "--detach", "--user", user, *CONFINED, *given, *more, image)
    container = Running(started.stdout.strip(), own)
    try:
        yield container
    finally:
        docker("rm", "--force", "--volumes", container.name)
