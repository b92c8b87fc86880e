"""`make compose-check`: starts docker-compose.yml on a real engine and puts photos in. Needs the image (`make image`).

    python -m tests.docker.compose_check [--minio-from-source] [--folder DIR] [cpu] [lambda] [minio] [rustfs]

The engine must see DIR, by default a folder in the temporary one. Without a registry `--minio-from-source` plays
MinIO's image: the real programs, built from source (needs Go), on our own image.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

from tests.support import minio
from tests.support.compose import FILE
from tests.support.ports import free_port
from tests.support.waiting import eventually

PORTRAITS = Path(__file__).parents[1] / "portraits"
PHOTOS = ("sally_ride_small.jpg", "grace_hopper.jpg", "no_face_cat.png")
COUNT = 50
STAND_IN = "facecraft-check-minio:source"
PHOTO_SECONDS = 60
INVOKE = "/2015-03-31/functions/function/invocations"


class Stack:
    """One profile of the file, under a project name, ports and folders of its own. Everything is removed at the end."""

    def __init__(self, profile, folder, **variables):
        self.folder = folder
        self.profile = profile
        self.server = profile.upper()
        published = ("CPU", "LAMBDA", self.server, f"{self.server}_CONSOLE", f"{self.server}_FACECRAFT")
        self.port = {name: free_port() for name in published}
        ports = {f"{name}_PORT": str(port) for name, port in self.port.items()}
        folders = {f"{name}_FOLDER": str(folder / name.lower()) for name in ("INBOX", "OUTBOX")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FACECRAFT_")}
        self.environ = {**kept, "FACECRAFT_RESTORE": "off", **ports, **folders, **variables}

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            say(self.compose("logs", "--tail", "40", check=False).stdout)
            say(self.compose("exec", f"facecraft-{self.profile}", "python3", "/app/ready.py", check=False).stdout)
        self.compose("down", "--volumes", check=False)

    def compose(self, *words, check=True):
        command = ["docker", "compose", "-p", f"facecraft-check-{self.profile}", "-f", FILE, "--profile", self.profile]
        done = subprocess.run([*command, *words], env=self.environ, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"docker compose {' '.join(words)}: {done.stderr[-2000:]}"
        return done

    def up(self):
        """Return when everything is healthy."""
        begun = time.monotonic()
        self.compose("up", "--detach", "--wait", "--no-build")
        say(f"up and healthy after {time.monotonic() - begun:.0f} s")

    def ask(self, port, path, body=None, **headers):
        """Status and answer of one of the published ports."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port[port]}{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310 - our own
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def check_cpu(stack):
    """A folder that Docker made belongs to the service's user, and what is put into it is worked on."""
    inbox, outbox = stack.folder / "inbox", stack.folder / "outbox"
    stack.up()
    assert {each.stat().st_uid for each in (inbox, outbox)} == {1000}, "the folders do not belong to uid 1000"
    for name in PHOTOS:
        shutil.copy(PORTRAITS / name, inbox)
    reports = [outbox / "reports" / f"{name}.json" for name in PHOTOS]
    until(lambda: all(report.exists() for report in reports), PHOTO_SECONDS * len(PHOTOS), "reports in the outbox")
    outcomes = [json.loads(report.read_text())["outcome"] for report in reports]
    assert outcomes == ["done", "done", "rejected"], outcomes
    assert (outbox / "grace_hopper.png").stat().st_uid == 1000
    say(f"{len(PHOTOS)} photos in a folder: {', '.join(outcomes)}")


def check_lambda(stack):
    """The endpoint answers whoever has the key."""
    stack.up()
    event = json.dumps({"image": base64.b64encode((PORTRAITS / PHOTOS[0]).read_bytes()).decode()}).encode()
    without, _ = stack.ask("LAMBDA", INVOKE, event)
    status, answer = stack.ask("LAMBDA", INVOKE, event, **{"X-API-Key": "facecraft"})
    assert (without, status) == (403, 200), (without, status, answer[:500])
    assert json.loads(answer)["outcome"] == "done", answer[:500]
    say("a call without the key: 403; with it: a portrait")


def check_buckets(stack):
    """50 photos in, 50 reports out; down and up again: nothing is redone, and what nobody told of is found."""
    stack.up()
    s3 = client(stack, "facecraft-root", "facecraft-root")
    for number in range(COUNT):
        put(s3, f"folder {number % 5}/a b+c é {number:02}.jpg", PHOTOS[number % 2])
    reports(s3, COUNT)
    told = metric(stack, 'facecraft_events_received_total{source="webhook"}')
    assert told > 0, "no photo was told of by the webhook"
    say(f"{COUNT} photos in a bucket, {COUNT} reports, {told:.0f} photos told of by the webhook")
    least_rights(client(stack, "facecraft", "facecraft"))
    before = outbox_of(s3)

    s3.put_bucket_notification_configuration(Bucket="inbox", NotificationConfiguration={})
    put(s3, "nobody told of it.jpg", PHOTOS[0])
    stack.compose("down")
    stack.up()
    reports(s3, COUNT + 1)
    until(lambda: not status(stack)["inflight"] and not status(stack)["pending"], PHOTO_SECONDS, "an end of the work")
    counts, after = status(stack)["counts"], outbox_of(s3)
    assert counts == {"done": 1}, counts
    assert {key: after.get(key) for key in before} == before, "results were written anew"
    put(s3, "told of again.jpg", PHOTOS[0])
    reports(s3, COUNT + 2)
    assert metric(stack, 'facecraft_events_received_total{source="webhook"}') > 0, "the notification was not set again"
    say("down and up again: nothing redone, one photo found that nobody had told of, the next one told of")


def least_rights(s3):
    """What the service's own user must not do."""
    forbidden = {
        "put into the inbox": partial(s3.put_object, Bucket="inbox", Key="mine.jpg", Body=b""),
        "delete from the inbox": partial(s3.delete_object, Bucket="inbox", Key="anna.jpg"),
        "make a bucket": partial(s3.create_bucket, Bucket="another"),
        "list the buckets' settings": partial(s3.get_bucket_policy, Bucket="outbox"),
    }
    allowed = [what for what, call in forbidden.items() if not denied(call)]
    assert allowed == [], f"the user facecraft may {', '.join(allowed)}"
    say("the service's user may not do more than it has to")


def denied(call):
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


def client(stack, user, secret):
    endpoint = f"http://127.0.0.1:{stack.port[stack.server]}"
    keys = {"aws_access_key_id": user, "aws_secret_access_key": secret}
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)


def put(s3, key, photo):
    s3.put_object(Bucket="inbox", Key=key, Body=(PORTRAITS / photo).read_bytes())


def outbox_of(s3):
    """Portraits and reports, with what would change if they were written anew."""
    listed = s3.list_objects_v2(Bucket="outbox").get("Contents", [])
    mine = (entry for entry in listed if not entry["Key"].startswith(".facecraft/"))
    return {entry["Key"]: (entry["ETag"], entry["LastModified"]) for entry in mine}


def reports(s3, wanted):
    def count():
        return sum(key.startswith("reports/") for key in outbox_of(s3))

    until(lambda: count() >= wanted, PHOTO_SECONDS * COUNT, f"{wanted} reports in the bucket")
    assert count() == wanted


def status(stack):
    return json.loads(stack.ask(f"{stack.server}_FACECRAFT", "/status")[1])


def metric(stack, name):
    lines = stack.ask(f"{stack.server}_FACECRAFT", "/metrics")[1].splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} "))


def until(holds, seconds, what):
    assert eventually(holds, seconds, 0.5), f"no {what} after {seconds:.0f} s"


def stand_in(folder, image):
    """MinIO's image without a registry: its programs and its entry point, on our own image."""
    name = f"github.com/minio/minio@{minio.VERSION}"
    told = subprocess.run([minio.go(), "mod", "download", "-json", name], capture_output=True, check=True).stdout
    for source, target in ((minio.build(), "minio"), (minio.build_client(), "mc")):
        shutil.copy(source, folder / target)
    shutil.copy(Path(json.loads(told)["Dir"], "dockerscripts", "docker-entrypoint.sh"), folder)
    (folder / "Dockerfile").write_text(
        f"FROM {image}\nUSER 0:0\nHEALTHCHECK NONE\nENV MC_CONFIG_DIR=/tmp/.mc\n"
        "COPY --chmod=755 minio mc docker-entrypoint.sh /usr/bin/\n"
        'VOLUME ["/data"]\nENTRYPOINT ["/usr/bin/docker-entrypoint.sh"]\nCMD ["minio"]\n'
    )
    subprocess.run(["docker", "build", "--quiet", "--tag", STAND_IN, folder], check=True, stdout=subprocess.DEVNULL)
    say("MinIO from source, in place of its image")


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


CHECKS = {"cpu": check_cpu, "lambda": check_lambda, "minio": check_buckets, "rustfs": check_buckets}


def main():
    parser = argparse.ArgumentParser(prog="tests.docker.compose_check")
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", default=["cpu", "lambda", "minio"])
    parser.add_argument("--minio-from-source", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the folders for containers are made")
    chosen = parser.parse_args()
    if wrong := set(chosen.profiles) - set(CHECKS):
        parser.error(f"no check of the profile {', '.join(sorted(wrong))}; name some of {', '.join(CHECKS)}")
    image = os.environ.get("CPU_IMAGE", "facecraft:cpu")
    known = subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False)
    if known.returncode != 0:
        sys.exit(f"compose-check: {known.stderr.decode().strip()}; it needs Docker, and the image: make image")
    with tempfile.TemporaryDirectory(dir=chosen.folder, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        variables = {}
        if chosen.minio_from_source and "minio" in chosen.profiles:
            (folder / "minio").mkdir()
            stand_in(folder / "minio", image)
            variables["MINIO_IMAGE"] = STAND_IN
        for profile in chosen.profiles:
            say(f"--- profile {profile}")
            with Stack(profile, folder / profile, **variables) as stack:
                CHECKS[profile](stack)
    say("compose-check: all well")


if __name__ == "__main__":
    main()
