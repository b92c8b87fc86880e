"""Jobs: in the outbox, found again, swept, once for each key, in turns."""

import json
import threading
import time

import pytest

from handler.api.models import Job
from handler.workers.worker_process import WorkerDied
from tests.handler.api.desk import Desk, jpeg
from tests.support.waiting import eventually


def accepted(desk, *parts, **more):
    answer = desk.post("process?async=true", *(parts or (jpeg(),)), **more)
    assert answer.status == 202
    return answer.json


def ended(desk, job):
    """The job's answer, once it has ended."""
    assert eventually(lambda: desk.get(job["status_url"]).json["status"] in ("done", "failed"))
    return desk.get(job["status_url"]).json


def test_async_job_is_answered_at_once_and_told_later(desk):
    desk.pool.go_on.clear()
    job = accepted(desk)
    assert job.keys() == {"job_id", "status", "status_url"}
    assert desk.get(job["status_url"]).json["status"] in ("queued", "running")
    desk.pool.go_on.set()
    content = ended(desk, job)
    assert (content["success"], content["job_id"]) == (True, job["job_id"])
    assert desk.get(content["png_url"]).status == 200
    assert not [path for path in desk.stored() if "upload" in path]


def test_async_batch_is_told_as_a_batch(desk):
    job = desk.post("process/batch?async=1", ("files", "a.jpg", jpeg()), ("files", "b.jpg", jpeg())).json
    assert [each["success"] for each in ended(desk, job)["results"]] == [True, True]


def test_async_that_is_no_boolean_is_refused(desk):
    assert desk.post("process?async=maybe", jpeg()).detail[0]["loc"] == ["query", "async"]


def test_a_job_of_a_dead_service_that_was_accepted_is_finished_by_the_next(tmp_path):
    with Desk(tmp_path) as first:
        first.pool.work = lambda job: (_ for _ in ()).throw(OSError("the outbox went away"))
        job = accepted(first)
        assert eventually(lambda: not first.jobs.has(job["job_id"]))
    with Desk(tmp_path) as second:
        assert ended(second, job)["success"]
        assert second.get(job["status_url"]).status == 200


def test_a_job_of_a_dead_service_whose_client_is_gone_is_told_to_have_failed(desk):
    record = Job(id="0123abcd", kind="process", created=time.time(), nonce="x", owner="dead", items=[item()])
    desk.jobs.store.create(record)
    desk.sweeper.run(time.time())
    content = desk.get("/api/v1/jobs/0123abcd").json
    assert (content["status"], content["success"], content["error"]) == ("failed", False, "interrupted")


def test_a_job_that_ended_too_many_services_is_not_tried_again(desk):
    record = Job(
        id="0123abcd", kind="process", created=time.time(), nonce="x", owner="dead", lasting=True, attempts=3,
        items=[item()],
    )  # fmt: skip
    desk.jobs.store.create(record)
    desk.sweeper.run(time.time())
    assert desk.get("/api/v1/jobs/0123abcd").json["error"] == "interrupted"
    assert desk.pool.jobs == []


def test_a_job_of_a_living_service_is_left_alone(desk, tmp_path):
    with Desk(tmp_path) as other:
        other.pool.go_on.clear()
        job = accepted(other)
        assert other.pool.begun.acquire(timeout=10)
        desk.sweeper.run(time.time())
        assert desk.get(f"/api/v1/jobs/{job['job_id']}").json["status"] in ("queued", "running")
        assert desk.pool.jobs == []


def item():
    return {"number": 1, "filename": "a.jpg", "stem": "a"}


def test_jobs_are_swept_after_their_hours_and_nothing_else_is(desk):
    job = desk.process().json
    outbox = desk.settings.outbox
    foreign = [outbox / "jobs" / "cafecafe" / "1.png", outbox / "jobs" / job["job_id"] / "mine.txt", outbox / "a.png"]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    now = time.time()
    desk.sweeper.run(now + 24 * 3600 - 60)
    assert desk.get(job["png_url"]).status == 200
    desk.sweeper.run(now + 24 * 3600 + 1)
    assert desk.get(job["png_url"]).status == 404
    assert [path.exists() for path in foreign] == [True] * 3
    assert desk.stored() == sorted(path.relative_to(outbox).as_posix() for path in foreign[:2])


def test_a_job_whose_hours_are_over_is_expired_until_it_is_swept(tmp_path):
    with Desk(tmp_path) as desk:
        record = Job(
            id="0123abcd", kind="process", created=time.time() - 90_000, nonce="x", owner="dead", items=[item()]
        )
        desk.jobs.store.create(record)
        assert desk.get("/api/v1/jobs/0123abcd").json["status"] == "expired"


def test_the_sweeper_comes_back_within_a_minute_of_the_next_job(desk):
    desk.process()
    assert desk.sweeper.run(time.time()) <= 60
    assert desk.sweeper.run(time.time() + 24 * 3600 - 5) <= 6


def test_a_job_deleted_while_it_is_in_work_leaves_nothing(desk):
    desk.pool.go_on.clear()
    job = accepted(desk)
    assert desk.pool.begun.acquire(timeout=10)
    desk.ask("DELETE", f"/api/v1/jobs/{job['job_id']}")
    desk.pool.go_on.set()
    assert eventually(lambda: not desk.jobs.has(job["job_id"]))
    assert desk.stored() == []


def test_the_same_key_and_form_give_the_same_job(desk):
    first, second = [desk.process(headers={"Idempotency-Key": "k1"}).json for _ in range(2)]
    assert first == second
    assert len(desk.pool.jobs) == 1
    assert desk.process(headers={"Idempotency-Key": "k2"}).json["job_id"] != first["job_id"]


@pytest.mark.parametrize("other", [{"parts": (jpeg(7),)}, {"width": 300}])
def test_the_same_key_with_something_else_is_refused(desk, other):
    desk.process(headers={"Idempotency-Key": "k"})
    answer = desk.process(*other.pop("parts", ()), headers={"Idempotency-Key": "k"}, **other)
    assert (answer.status, answer.detail[0]["loc"]) == (422, ["header", "Idempotency-Key"])


def test_a_key_outlives_its_service(tmp_path):
    jobs = []
    for _ in range(2):
        with Desk(tmp_path) as desk:
            jobs.append(desk.process(headers={"Idempotency-Key": "k"}).json["job_id"])
    assert jobs[0] == jobs[1]


def test_the_same_key_while_the_job_is_in_work_waits_for_it(desk):
    desk.pool.go_on.clear()
    answers = []
    ask = lambda: answers.append(desk.process(headers={"Idempotency-Key": "k"}))  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(3)]
    threads[0].start()
    assert desk.pool.begun.acquire(timeout=10)
    for thread in threads[1:]:
        thread.start()
    desk.pool.go_on.set()
    for thread in threads:
        thread.join(20)
    assert {(each.status, each.json["job_id"]) for each in answers} == {(200, answers[0].json["job_id"])}
    assert len(desk.pool.jobs) == 1


def test_batch_is_worked_on_by_all_threads_and_jobs_take_turns(tmp_path):
    with Desk(tmp_path, threads=2) as desk:
        desk.pool.go_on.clear()
        batch = threading.Thread(
            target=desk.post, args=["process/batch", *[("files", f"{n}.jpg", jpeg(n)) for n in range(6)]]
        )
        batch.start()
        for _ in range(2):
            assert desk.pool.begun.acquire(timeout=10)
        job = accepted(desk)
        assert len(desk.pool.jobs) == 2
        desk.pool.go_on.set()
        batch.join(20)
        ended(desk, job)
        owners = [each.path.split("/")[1] for each in desk.pool.jobs]
        assert owners.index(job["job_id"]) <= 3


def test_a_worker_that_dies_is_asked_once_more(desk):
    deaths = [WorkerDied("x")]
    work = desk.pool.work
    desk.pool.work = lambda job: (_ for _ in ()).throw(deaths.pop()) if deaths else work(job)
    assert desk.process().json["success"]
    deaths += [WorkerDied("x"), WorkerDied("x")]
    content = desk.process().json
    assert (content["success"], content["error"]) == (False, "processing_crashed")


def test_several_faces_are_all_told(desk):
    content = desk.process(face_policy="all").json
    assert content["result"]["face_count"] == 2
    assert [each["result"]["face_position"]["x"] for each in content["more"]] == [0, 100]
    images = [desk.get(each["png_url"]).body for each in content["more"]]
    assert images[0] == desk.get(content["png_url"]).body != images[1]


def test_records_hold_names_and_disks_do_not(desk):
    content = desk.process(("file", "../../etc/passwd.jpg", jpeg())).json
    names = {path.rpartition("/")[2] for path in desk.stored()}
    assert names == {"1.png", "1.jpg", "job.json"}
    record = json.loads(desk.outbox.read(f"jobs/{content['job_id']}/job.json").data)
    assert record["items"][0]["filename"].startswith("../../etc/passwd")


def test_draining_finishes_what_a_client_waits_for_and_leaves_accepted_jobs_to_the_next(tmp_path):
    answers = []
    with Desk(tmp_path, threads=1) as desk:
        desk.pool.go_on.clear()
        waiting = threading.Thread(target=lambda: answers.append(desk.process().status))
        waiting.start()
        assert desk.pool.begun.acquire(timeout=10)
        job = accepted(desk)
        draining = threading.Thread(target=desk.api.drain)
        draining.start()
        assert eventually(lambda: not desk.jobs.has(job["job_id"]))
        desk.pool.go_on.set()
        for thread in (draining, waiting):
            thread.join(20)
        assert answers == [200]
        assert desk.get(job["status_url"]).json["status"] == "queued"
    with Desk(tmp_path) as second:
        assert ended(second, job)["success"]


def test_requests_with_the_same_key_at_once_make_one_job(desk):
    answers, begin = [], threading.Barrier(6)

    def ask():
        begin.wait(10)
        answers.append(desk.process(headers={"Idempotency-Key": "k"}))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {each.status for each in answers} <= {200, 409, 429}
    assert len({each.json["job_id"] for each in answers if each.status == 200}) == 1
    assert len(desk.pool.jobs) == 1
