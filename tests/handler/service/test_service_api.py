"""The HTTP API in the real service: beside the inbox, killed, stopped, and with real models."""

import base64
import http.client
import json
import sys
from pathlib import Path

import pytest

from tests.handler.api.desk import form, jpeg
from tests.handler.service_runner import Watch

LIGHT = (sys.executable, "-m", "tests.chaos.light_service")
PORTRAITS = Path(__file__).parents[2] / "portraits"


def watch(folder, models="models", command=LIGHT, **settings):
    return Watch(folder, models, command=command, **settings)


def post(service, path, *parts, field="file", **fields):
    body, kind = form([(field, f"{number}.jpg", data) for number, data in enumerate(parts)], fields)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    try:
        connection.request("POST", f"/api/v1/{path}", body, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_service_answers_the_api_and_its_inbox(tmp_path):
    with watch(tmp_path) as service:
        service.ready()
        uri = service.drop(PORTRAITS / "grace_hopper.jpg", "anna.jpg")
        status, body = post(service, "process", jpeg())
        assert (status, json.loads(body)["success"]) == (200, True)
        assert service.settled(uri)["event"] == "photo.done"
        _, told = service.ask("/status")
        assert told["statistics"]["total_processed"] == 2
        assert told["statistics"]["success_rate"] == 1.0
        assert (told["status"], told["device"]["type"], type(told["uptime_seconds"])) == ("operational", "cpu", int)
        assert told["models"].keys() == {"face_detector", "face_landmarks", "face_enhancer", "background_remover"}
        assert service.ask("/ready")[1] == {"ready": True, "models_loaded": True}
        assert service.stop() == 0


def test_before_the_models_are_there_the_api_says_503(tmp_path):
    with watch(tmp_path, models=tmp_path, command=(sys.executable, "-m", "handler", "watch")) as service:
        status, body = post(service, "process", jpeg())
        assert (status, "detail" in json.loads(body)) == (503, True)


def test_accepted_jobs_of_a_killed_service_are_finished_by_the_next(tmp_path):
    jobs = []
    with watch(tmp_path, MAX_CONCURRENT_JOBS=100) as service:
        service.ready()
        for number in range(30):
            status, body = post(service, "process?async=true", jpeg(number))
            jobs.append(json.loads(body)["status_url"])
            assert status == 202
        service.process.kill()
        service.process.wait()
    with watch(tmp_path, MAX_CONCURRENT_JOBS=100) as service:
        service.ready()
        for url in jobs:
            _, told = service.until(url, lambda _, told: told.get("status") == "done")
            assert told["success"]
        assert service.stop() == 0
    assert not list((tmp_path / "out" / "jobs").glob("*/upload-*"))


@pytest.mark.timeout(300)
def test_real_portraits(tmp_path, models_dir):
    with watch(
        tmp_path, models=models_dir, command=(sys.executable, "-m", "handler", "watch"), RESTORE="off"
    ) as service:
        service.ready()
        photo, cat = [(PORTRAITS / name).read_bytes() for name in ("grace_hopper.jpg", "no_face_cat.png")]
        status, body = post(service, "process", photo, width=300, height=400, return_base64="true")
        told = json.loads(body)
        assert (status, told["result"]["output_size"]) == (200, {"width": 300, "height": 400})
        assert base64.b64decode(told["png_base64"])[:4] == b"\x89PNG"
        status, body = post(service, "process/quick", photo)
        assert (status, body[:4]) == (200, b"\x89PNG")
        status, body = post(service, "process/quick", cat)
        assert (status, json.loads(body)["detail"]) == (400, "no_face_detected")
        status, body = post(service, "process/batch", photo, cat, field="files")
        assert [each["success"] for each in json.loads(body)["results"]] == [True, False]
