"""docker-compose.yml, read by the real Docker Compose: what every profile starts, and how it is confined."""

import json
import os
import re
import subprocess

import pytest

from handler.config.load import load
from tests.support import compose

SERVICES = {
    "cpu": {"folders", "facecraft-cpu"},
    "gpu": {"folders-gpu", "facecraft-gpu"},
    "minio": {"minio", "minio-setup", "facecraft-minio"},
    "rustfs": {"rustfs", "rustfs-setup", "facecraft-rustfs"},
    "lambda": {"folders", "facecraft-lambda"},
}


@pytest.fixture(scope="module")
def everything():
    """All profiles at once."""
    return compose.config(*compose.PROFILES)["services"]


@pytest.fixture(scope="module")
def facecraft(everything):
    return {name: service for name, service in everything.items() if name.startswith("facecraft-")}


def environment(service):
    """What the container is given; what is null is not."""
    return {name: value for name, value in service["environment"].items() if value is not None}


def ports(services):
    return [port for service in services.values() for port in service.get("ports", [])]


@pytest.mark.parametrize("profile", compose.PROFILES)
def test_every_profile_is_valid_by_itself(profile):
    assert set(compose.config(profile)["services"]) == SERVICES[profile]


def test_without_a_profile_the_folders_are_watched_on_the_cpu():
    assert set(compose.config()["services"]) == SERVICES["cpu"]


def test_a_misspelt_key_would_be_found(tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(compose.FILE.read_text().replace("restart:", "restarts:"))
    with pytest.raises(subprocess.CalledProcessError):
        compose.config("cpu", file=wrong)


def test_compose_file_passes_on_every_setting():
    block = re.search(r"^x-settings:.*\n((?:  .*\n)*)", compose.FILE.read_text(), re.MULTILINE)
    assert block[1] == compose.settings_block(), "print it with: python -m tests.support.compose --settings"


def test_every_other_variable_has_a_default_too():
    used = re.findall(r"\$\{[^}]*\}", compose.FILE.read_text())
    assert [each for each in used if not re.fullmatch(r"\$\{[A-Z_]+:-[^${}]+\}", each)] == []


def test_settings_are_good_ones_as_they_stand(facecraft):
    inboxes = {name: str(load(environment(service)).inbox) for name, service in facecraft.items()}
    folder, bucket = "/inbox", "s3://inbox"
    assert inboxes == {f"facecraft-{p}": bucket if p in ("minio", "rustfs") else folder for p in compose.PROFILES}


def test_a_setting_of_the_shell_reaches_every_service():
    services = compose.config(*compose.PROFILES, FACECRAFT_WORKERS="2", FACECRAFT_AFTER="delete")["services"]
    got = {name: load(environment(each)) for name, each in services.items() if name.startswith("facecraft-")}
    assert {(each.workers, each.after) for each in got.values()} == {(2, "delete")}


def test_every_container_is_confined(everything):
    loose = [
        name
        for name, each in everything.items()
        if not each["read_only"] or each["cap_drop"] != ["ALL"] or each["security_opt"] != ["no-new-privileges:true"]
    ]
    assert loose == []
    assert {name for name, each in everything.items() if each.get("cap_add")} == {"folders", "folders-gpu"}


def test_every_container_has_a_limit_of_memory_and_all_that_serve_start_again(everything):
    ends = {"folders", "folders-gpu", "minio-setup", "rustfs-setup"}
    assert all(int(each["mem_limit"]) > 0 for each in everything.values())
    assert {name for name, each in everything.items() if each["restart"] != "unless-stopped"} == ends


def test_facecraft_is_no_root_and_healthy_when_it_is_ready(facecraft):
    assert {each["user"] for each in facecraft.values()} == {"1000:1000"}
    assert {"/app/ready.py" in each["healthcheck"]["test"] for each in facecraft.values()} == {True}


def test_all_servers_can_run_at_once_and_are_open_to_this_machine_alone(everything):
    published = [port["published"] for port in ports(everything)]
    assert {port["host_ip"] for port in ports(everything)} == {"127.0.0.1"}
    assert len(published) == len(set(published)) == 9


def test_the_invoke_endpoint_is_on_port_9000_and_asks_for_a_key(everything):
    service = everything["facecraft-lambda"]
    assert [(port["published"], port["target"]) for port in service["ports"]] == [("9000", 8000)]
    assert environment(service)["FACECRAFT_API_KEY"]


def test_the_gpu_is_reserved(everything):
    devices = everything["facecraft-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert [(device["driver"], device["capabilities"]) for device in devices] == [("nvidia", ["gpu"])]


def test_images_of_others_are_pinned_and_can_be_replaced(everything):
    others = {each["image"] for name, each in everything.items() if name.split("-")[0] in ("minio", "rustfs")}
    assert all(re.search(r":[^:@]+@sha256:[0-9a-f]{64}$", image) for image in others)
    mine = compose.config("minio", MINIO_IMAGE="mine:1")["services"]
    assert mine["minio"]["image"] == mine["minio-setup"]["image"] == "mine:1"


@pytest.mark.parametrize(("server", "prefix"), [("minio", "MINIO"), ("rustfs", "RUSTFS")])
def test_a_server_and_facecraft_agree_on_token_address_and_secret(everything, server, prefix):
    told, setup, ours = (environment(everything[name]) for name in (server, f"{server}-setup", f"facecraft-{server}"))
    hook = {name: told[f"{prefix}_NOTIFY_WEBHOOK_{name}_FACECRAFT"] for name in ("ENDPOINT", "AUTH_TOKEN", "QUEUE_DIR")}
    assert hook["ENDPOINT"] == f"http://facecraft-{server}:{ours['FACECRAFT_PORT']}/events"
    assert hook["AUTH_TOKEN"] == ours["FACECRAFT_WEBHOOK_TOKEN"]
    assert hook["QUEUE_DIR"].startswith(f"{everything[server]['volumes'][0]['target']}/")
    assert setup[f"{prefix}_SECRET"] == ours["AWS_SECRET_ACCESS_KEY"]


AT_MOST = {
    "keep": {"s3:GetObject"},
    "tag": {"s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging"},
    "move": {"s3:GetObject", "s3:GetObjectTagging", "s3:DeleteObject"},
    "delete": {"s3:GetObject", "s3:DeleteObject"},
}


def script_of(service):
    """What it runs, and its variables."""
    told = {name: value.replace("$$", "$") for name, value in environment(service).items()}
    return service["command"][0].replace("$$", "$"), told


def policy_of(rights, after):
    printed = run('eval "$RIGHTS"; printf %s "$policy"', FACECRAFT_AFTER=after, RIGHTS=rights)
    return {each["Resource"][0]: set(each["Action"]) for each in json.loads(printed)["Statement"]}


def run(script, path=os.environ["PATH"], **variables):
    shell = ["sh", "-ec", script]
    return subprocess.run(shell, env={"PATH": path, **variables}, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("after", AT_MOST)
def test_facecraft_may_do_in_the_inbox_what_it_does_there_and_no_more(after):
    _, variables = script_of(compose.config("minio", FACECRAFT_AFTER=after)["services"]["minio-setup"])
    allowed = policy_of(variables["RIGHTS"], after)
    assert allowed["arn:aws:s3:::inbox/*"] == AT_MOST[after]
    assert allowed["arn:aws:s3:::inbox"] == {"s3:ListBucket"}


CURL = """#!/bin/sh
for word in "$@"; do case "$word" in http*) url=$word ;; -I) exit 22 ;; esac; done
printf '%s %s\\n' "$url" "$word"
"""


def test_rustfs_is_asked_for_all_that_minio_is(everything, tmp_path):
    """By a curl that writes down what it is asked for; the buckets are not there yet."""
    curl = tmp_path / "curl"
    curl.write_text(CURL)
    curl.chmod(0o755)
    script, variables = script_of(everything["rustfs-setup"])
    asked = run(script, f"{tmp_path}:{os.environ['PATH']}", FACECRAFT_AFTER="", **variables).splitlines()
    assert [line.split()[0] for line in asked if line.startswith("http://rustfs:9000/")] == [
        f"http://rustfs:9000/{path}"
        for path in (
            "inbox",
            "outbox",
            "inbox?notification=",
            "rustfs/admin/v3/add-canned-policy?name=facecraft-buckets",
            "rustfs/admin/v3/add-user?accessKey=facecraft",
            "rustfs/admin/v3/set-user-or-group-policy?isGroup=false&policyName=facecraft-buckets&userOrGroup=facecraft",
        )
    ]
    assert '{"secretKey":"facecraft","status":"enabled"}' in asked[-2]
