"""The same core between folders and buckets, in every combination."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from handler.cli.replay import Replay, Selection
from handler.config.options import DEFAULTS
from handler.config.settings import Settings
from handler.outbox.attempts import Attempts
from handler.outbox.originals import AfterPolicy
from handler.outbox.paths import ATTEMPTS, report_path
from handler.outbox.reports import ReportStore
from handler.outbox.writer import OutboxWriter
from handler.workers import child
from handler.workers.messages import Job
from handler.workers.outcome import Done, Failed, Processed, Rejected, Skipped, Vanished
from handler.workers.pool import WorkerDied
from pipeline.types import Limits
from sources.stores import aws
from sources.stores.base import Conflict
from sources.stores.s3 import S3Store
from tests.bench.requests import measure
from tests.conftest import PORTRAITS
from tests.handler.bucket_desk import AnyDesk
from tests.handler.fakes import MAX_ATTEMPTS, done, refused
from tests.handler.service_runner import environment, run
from tests.support.s3_servers import BUCKET

MIXED = [("folder", "bucket"), ("bucket", "folder"), ("bucket", "bucket")]


@pytest.fixture(params=MIXED, ids="-".join)
def desk(request, desks):
    return desks(*request.param)


def test_a_photo_becomes_portraits_and_a_report(desk):
    outcome = desk.service()(desk.photo("sales/anna b+c%25é.jpg"))

    assert outcome == Done(("sales/anna b+c%25é.png", "sales/anna b+c%25é.jpg"), outcome.stages_ms, outcome.notes)
    report = desk.report("sales/anna b+c%25é.jpg")
    assert (report["outcome"], report["source"]["uri"]) == ("done", desk.inbox.uri("sales/anna b+c%25é.jpg"))
    assert all(desk.outbox.exists(file["name"]) for file in report["outputs"])
    assert list(desk.outbox.stamps(ATTEMPTS)) == []


def test_a_photo_takes_few_requests(s3):
    requests = measure(s3("in"), s3("out"))

    assert requests["new photo"].total() <= 9, requests
    assert requests["done photo announced again"].total() <= 3, requests


def test_of_an_object_replaced_since_its_event_the_version_that_was_read_is_told(buckets):
    first, second = buckets.photo("anna.jpg"), buckets.photo("anna.jpg", b"another photo")

    assert buckets.service()(first).version == buckets.report("anna.jpg")["source"]["version"] == second.version


def test_an_event_that_comes_again_and_again_is_one_result(desk):
    event, services, pause = desk.photo("anna.jpg"), [desk.service(), desk.service()], threading.Event()

    def deliver(number):
        outcome = services[number % 2](event)
        while isinstance(outcome, Failed):
            pause.wait(0.1)
            outcome = services[number % 2](event)
        return type(outcome)

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(deliver, range(9)))
    assert (outcomes.count(Done), outcomes.count(Skipped)) == (1, 8)


def test_a_photo_that_is_in_work_is_not_worked_on_twice(desk):
    event, inside, go = desk.photo("anna.jpg"), threading.Event(), threading.Event()

    def slow(job):
        inside.set()
        go.wait(30)
        return done(job)

    first, second = desk.service(slow), desk.service()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(first, event)
        inside.wait(30)
        assert (first(event).reason, second(event).reason) == ("conflict", "conflict")
        assert [second(replace(event, attempt=attempt)).retry_in for attempt in (1, 2, 3, 99)] == [5, 10, 20, 60]
        go.set()
        assert isinstance(working.result(), Done)
    assert isinstance(second(event), Skipped)
    assert None not in [job.done_checksums for job in second.pool.jobs]


def test_another_content_is_work_again(desk):
    process = desk.service()
    process(desk.photo("anna.jpg", b"one"))
    first = desk.report("anna.jpg")["source"]["sha256"]

    assert isinstance(process(desk.photo("anna.jpg", b"another")), Done)
    assert desk.report("anna.jpg")["source"]["sha256"] != first


def test_two_photos_never_share_a_name(desk):
    process = desk.service()
    process(desk.photo("anna.jpg"))

    assert process(desk.photo("anna.heic")).outputs == ("anna.heic.png", "anna.heic.jpg")


def test_rejected_photos_are_reported_and_settled(desk):
    process = desk.service(refused)

    assert isinstance(process(desk.photo("anna.jpg")), Rejected)
    assert desk.report("anna.jpg")["reason"] == "no_face_detected"


def test_attempts_are_counted_over_services(desk):
    event = desk.photo("anna.jpg")
    for _ in range(MAX_ATTEMPTS - 1):
        assert desk.service(WorkerDied("killed"))(event).retry_in is not None

    assert desk.service(WorkerDied("killed"))(event).retry_in is None
    assert (desk.report("anna.jpg")["outcome"], desk.report("anna.jpg")["attempt"]) == ("failed", MAX_ATTEMPTS)


def test_a_photo_that_is_gone_vanishes(desk):
    event = desk.photo("anna.jpg")
    desk.inbox.delete("anna.jpg")

    assert isinstance(desk.service()(event), Vanished)


@pytest.mark.parametrize("after", ["move", "delete"])
def test_done_photos_are_taken_out_with_their_sidecars(desk, after):
    event, _ = desk.photo("sales/anna.jpg"), desk.photo("sales/anna.jpg.toml", b"width = 80")

    assert isinstance(desk.service(after=after)(event), Done)

    assert list(desk.inbox.list()) == []
    moved = [f"originals/sales/anna.jpg{end}" for end in ("", ".toml")] if after == "move" else []
    assert sorted(path for path in desk.outbox.list() if path.startswith("originals")) == moved


@pytest.mark.parametrize("after", ["keep", "tag", "move", "delete"])
def test_nothing_is_written_into_a_bucket_s_inbox_but_tags(buckets, after):
    buckets.photo("anna.jpg")
    event, written = buckets.photo("anna.jpg.toml", b"width = 80"), set()

    def note(params, model, **_):
        if model.name.startswith(("Put", "Copy", "Create")) and params["Key"].startswith(buckets.inbox.prefix):
            written.add(model.name)

    aws.client("s3").meta.events.register("before-parameter-build.s3", note)
    buckets.service(after=after)(replace(event, path="anna.jpg", uri=buckets.inbox.uri("anna.jpg")))

    assert written == ({"PutObjectTagging"} if after == "tag" else set())
    assert buckets.inbox.exists("anna.jpg") == (after in ("keep", "tag"))


def test_what_was_done_already_is_taken_out_too(desk):
    event = desk.photo("anna.jpg")
    desk.service()(event)

    assert isinstance(desk.service(after="move")(event), Skipped)
    assert not desk.inbox.exists("anna.jpg")


def test_the_report_says_in_its_metadata_what_it_was_made_from(buckets):
    event, sidecar = buckets.photo("anna.jpg"), buckets.photo("anna.jpg.toml", b"width = 80")
    buckets.service()(event)

    said = buckets.outbox.metadata(report_path("anna.jpg"))
    assert (said["source-etag"], said["sidecar-etag"]) == (event.version, sidecar.version)
    assert said["facecraft"] == "facecraft portrait; owner=anna.jpg"
    assert buckets.report("anna.jpg")["source"]["version"] == event.version


@pytest.mark.parametrize("after", ["keep", "tag"])
def test_a_photo_that_stays_is_settled(desks, after):
    desk = desks("bucket", "folder" if after == "keep" else "bucket")
    desk.service(after=after)(desk.photo("sales/anna.jpg"))

    assert desk.settled("sales/anna.jpg")


def test_done_objects_are_tagged_and_others_are_not(buckets):
    process = buckets.service(done, refused, after="tag")
    process(buckets.photo("anna.jpg"))
    process(buckets.photo("otto.jpg"))

    assert tags(buckets.inbox, "anna.jpg") == [{"Key": "facecraft", "Value": "done"}]
    assert tags(buckets.inbox, "otto.jpg") == []


def test_a_photo_that_could_not_be_taken_out_yet_is_not_settled(buckets):
    class Away(AfterPolicy):
        def act(self, path, checksums):
            raise OSError("the bucket is away")

    process = replace(buckets.service(), after=Away(buckets.inbox, buckets.outbox, "delete"))
    process(buckets.photo("anna.jpg"))

    assert "source-etag" not in buckets.outbox.metadata(report_path("anna.jpg"))
    assert not buckets.settled("anna.jpg")


def test_photos_that_are_put_back_to_work_are_not_settled(buckets):
    event = buckets.photo("anna.jpg")
    buckets.service()(event)
    settings = Settings(inbox=str(buckets.inbox), outbox=str(buckets.outbox))

    assert [each.fate for each in Replay(settings).run(Selection(frozenset({"done"})))] == ["replay"]

    assert not buckets.settled("anna.jpg")
    assert isinstance(buckets.service()(event), Done)
    assert buckets.settled("anna.jpg")


class Unconditional(S3Store):
    """As on a server that keeps no conditions."""

    conditional = False


def test_without_conditional_writes_the_same_comes_out(s3):
    desk = AnyDesk(s3("in"), Unconditional(BUCKET, s3("out").prefix))
    event, process = desk.photo("anna.jpg"), desk.service()

    assert isinstance(process(event), Done)
    assert isinstance(process(event), Skipped)
    desk.begun[0].close()
    assert [page for page in desk.outbox._pages(Prefix=f"{desk.outbox.prefix}.facecraft") if "Contents" in page] == []


def test_the_service_writes_into_a_bucket(tmp_path, s3, models_dir):
    outbox = s3("out")
    (tmp_path / "anna.png").write_bytes((PORTRAITS / "astronaut.png").read_bytes())

    first, second = (run("once", tmp_path, outbox, environ=environment(models_dir)) for _ in range(2))

    assert (first.returncode, first.stderr) == (0, "")
    assert "1 done, 0 skipped, 0 rejected" in first.stdout
    assert "0 done, 0 skipped, 0 rejected" in second.stdout
    assert sorted(outbox.list()) == ["anna.jpg", "anna.png", "reports/anna.png.json"]


def test_once_on_a_bucket_that_cannot_be_listed_does_not_end_well(tmp_path, s3, models_dir):
    ended = run("once", "s3://no-such-bucket/in", tmp_path, environ=environment(models_dir))

    assert ended.returncode == 1
    assert "inbox 's3://no-such-bucket/in' cannot be scanned" in ended.stderr
    assert "then repeat the command" in ended.stderr


def tags(store, path):
    return aws.client("s3").get_object_tagging(Bucket=store.bucket, Key=f"{store.prefix}{path}")["TagSet"]


def test_a_photo_that_was_replaced_meanwhile_is_work_again(buckets):
    event = buckets.photo("anna.jpg", b"one")

    def replaced(job):
        reply = done(job)
        buckets.photo("anna.jpg", b"two")
        return reply

    process = buckets.service(replaced)
    assert process(event).reason == "conflict"
    assert buckets.report("anna.jpg")["source"]["version"] == event.version
    assert len(buckets.outbox.stamps(ATTEMPTS)) == 1  # the dates may hide it, the marker does not
    assert isinstance(process(event), Done)
    assert buckets.report("anna.jpg")["source"]["version"] == buckets.inbox.version("anna.jpg")


@dataclass(frozen=True)
class Late(OutboxWriter):
    """Something happens as soon as a report stands."""

    then: Callable[[], object]

    def commit(self, *arguments, **more):
        version = super().commit(*arguments, **more)
        self.then()
        return version


@pytest.mark.parametrize("answers", [(done,), (refused,), (WorkerDied("killed"),) * MAX_ATTEMPTS])
def test_a_photo_that_was_replaced_before_its_report_stood_is_found_again_after_a_kill(buckets, answers):
    event = buckets.photo("anna.jpg", b"one")
    late = Late(buckets.outbox, lambda: buckets.photo("anna.jpg", b"two"))
    process = replace(buckets.service(*answers), writer=late)

    outcomes = [process(event) for _ in answers]
    assert (outcomes[-1].reason, outcomes[-1].retry_in) == ("conflict", 1.0)

    buckets.begun[0].close()  # as if it were killed then
    attempts = Attempts(buckets.outbox)
    buckets.begun.append(attempts)
    assert attempts.suspects(lambda path: not buckets.settled(path)) == {"anna.jpg"}
    assert attempts.begin("anna.jpg", alone=True).number == 1


class Killed(BaseException):
    """What no code of ours catches."""


def killed_at_its_last_report(desk, then):
    """Photo and service after the last of the attempts that all failed, and a death while that was being reported."""
    event = desk.photo("anna.jpg", b"one")
    writer = Late(desk.outbox, then)
    process = replace(desk.service(*[WorkerDied("killed")] * MAX_ATTEMPTS), writer=writer)
    with pytest.raises(Killed):
        [process(event) for _ in range(MAX_ATTEMPTS)]
    desk.begun[0].close()
    desk.begun.append(Attempts(desk.outbox))
    return desk.begun[-1]


@pytest.mark.parametrize("kind", ["bucket", "folder"])
def test_attempts_that_a_report_tells_of_count_no_more_for_the_photo_that_came_meanwhile(desks, kind):
    desk = desks(kind, kind)

    def then():
        desk.photo("anna.jpg", b"two")
        raise Killed

    attempts = killed_at_its_last_report(desk, then)
    assert attempts.suspects(lambda path: not desk.settled(path)) == {"anna.jpg"}
    assert attempts.begin("anna.jpg", alone=True).number == 1


@pytest.mark.parametrize("kind", ["bucket", "folder"])
def test_attempts_that_no_report_tells_of_yet_still_count(desks, kind):
    desk = desks(kind, kind)

    def then():
        desk.outbox.delete(report_path("anna.jpg"))  # as if it had not come so far
        raise Killed

    attempts = killed_at_its_last_report(desk, then)
    assert attempts.suspects(lambda path: True) == {"anna.jpg"}
    assert attempts.begin("anna.jpg", alone=True).number == MAX_ATTEMPTS + 1


def test_a_folder_s_photos_are_told_settled_by_their_stamps(desks):
    desk = desks("folder", "bucket")
    process = desk.service()
    event = desk.photo("sales/anna.jpg")
    process(event)
    process(replace(event, attempt=2))  # a report that came within the clock's tick is stamped by the next look

    settled = ReportStore(desk.outbox).done_in("sales")
    assert settled("anna.jpg", desk.inbox.read("sales/anna.jpg").changed_ns)
    assert not settled("anna.jpg", 1)
    assert not settled("otto.jpg", 1)


class PortraitPipeline:
    """Makes of every photo what its options say."""

    def process(self, data, recipe, limits, path):
        return recipe.width


def answer(store, path):
    return child.process_photo(Job(store, path, DEFAULTS, {}, Limits()), PortraitPipeline())


def test_options_come_from_the_object_s_metadata_and_the_sidecar_is_stronger(buckets):
    buckets.photo("anna.jpg", metadata={"facecraft-width": "800", "facecraft-max-size-kb": "50", "camera": "x"})
    reply = answer(buckets.inbox, "anna.jpg")
    assert isinstance(reply, Processed)
    assert (reply.recipe["width"], reply.recipe["max_size_kb"], reply.result) == (800, 50, 800)
    assert reply.recipe["from"]["width"] == "metadata"

    buckets.photo("anna.jpg.toml", b"width = 700")
    reply = answer(buckets.inbox, "anna.jpg")
    assert (reply.result, reply.recipe["from"]["width"]) == (700, "sidecar")


def test_metadata_that_is_not_right_rejects_the_photo(buckets):
    buckets.photo("anna.jpg", metadata={"facecraft-widht": "800"})

    reply = answer(buckets.inbox, "anna.jpg")
    assert (type(reply), reply.reason) == (Rejected, "invalid_options")
    assert "the object's metadata says" in reply.hint


def test_results_that_come_back_are_known_by_their_metadata(buckets):
    buckets.service()(buckets.photo("anna.jpg"))
    back = f"{buckets.outbox.prefix}anna.png"
    source = {"Bucket": buckets.outbox.bucket, "Key": back}
    key = f"{buckets.inbox.prefix}back.png"
    aws.client("s3").copy_object(Bucket=buckets.inbox.bucket, Key=key, CopySource=source)

    assert answer(buckets.inbox, "back.png").reason == "own_output"


def test_a_photo_that_is_too_large_is_settled_with_its_etag(buckets):
    event = buckets.photo("anna.jpg", b"12345")
    job = Job(buckets.inbox, "anna.jpg", DEFAULTS, {}, Limits(max_bytes=4))

    reply = child.process_photo(job, PortraitPipeline())
    assert (reply.reason, reply.seen.etags) == ("too_large", (event.version,))
    assert isinstance(
        child.process_photo(replace(job, done_checksums=reply.seen.checksums), PortraitPipeline()), Skipped
    )


def test_a_killed_service_s_photo_waits_until_its_lease_has_ended_and_runs_alone_then(buckets):
    dead, living = Attempts(buckets.outbox), Attempts(buckets.outbox)
    dead.begin("anna.jpg")
    with pytest.raises(Conflict, match="another service works on"):
        living.begin("anna.jpg")

    dead.close()  # its object goes at once here; otherwise half a minute after the last beat
    with pytest.raises(Conflict, match="runs alone next"):
        living.begin("anna.jpg")
    assert living.is_suspect("anna.jpg")
    assert living.begin("anna.jpg", alone=True).number == 1
    living.close()


def test_settings_take_buckets_at_both_ends():
    settings = Settings(inbox="s3://photos/in", outbox="s3://photos/out/", after="tag")
    assert (settings.inbox, settings.outbox) == (S3Store("photos", "in"), S3Store("photos", "out"))
    assert Settings(inbox="s3://photos", outbox="/portraits").inbox == S3Store("photos")


@pytest.mark.parametrize(
    ("inbox", "outbox", "words"),
    [
        ("s3://photos/in", "s3://photos/in/out", "side by side, for example s3://photos/in and s3://photos/out"),
        ("s3://photos", "s3://photos/out", "portraits would be taken for photos"),
        ("gs://photos/in", "/out", "is neither a folder nor a bucket"),
        ("s3://photos//in", "/out", "for example s3://photos/in"),
    ],
)
def test_places_that_cannot_be_are_refused(inbox, outbox, words):
    with pytest.raises(ValueError, match=words):
        Settings(inbox=inbox, outbox=outbox)


def test_files_cannot_be_tagged():
    with pytest.raises(ValueError, match="files have no tags; write FACECRAFT_AFTER=keep"):
        Settings(inbox="/photos", outbox="s3://photos/out", after="tag")


def test_archived_photo_is_rejected_and_done_once_it_is_restored(buckets):
    event, key = buckets.photo("anna.jpg"), {"Bucket": BUCKET, "Key": f"{buckets.inbox.prefix}anna.jpg"}
    s3 = aws.client("s3")
    s3.copy_object(**key, CopySource=key, StorageClass="GLACIER", MetadataDirective="COPY")
    job = Job(buckets.inbox, "anna.jpg", DEFAULTS, {}, Limits())

    archived = child.with_photo(job, lambda *_: pytest.fail("it was read"))
    assert (archived.reason, "restore-object" in archived.hint) == ("archived", True)
    assert isinstance(buckets.service(lambda _job: archived)(event), Rejected)
    assert buckets.report("anna.jpg")["reason"] == "archived"

    s3.restore_object(**key, RestoreRequest={"Days": 1})
    assert isinstance(buckets.service()(event), Done)


def test_sidecar_with_a_capital_ending_is_read_from_a_bucket(buckets):
    buckets.photo("B.JPG"), buckets.photo("B.JPG.TOML", b"width = 80")
    assert buckets.inbox.sidecar("B.JPG") == "B.JPG.TOML"
