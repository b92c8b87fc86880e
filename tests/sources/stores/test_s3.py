"""What objects have and files have not."""

import errno
import io
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import given
from hypothesis import strategies as st

from sources.stores import aws
from sources.stores.base import Conflict, TooLarge, Unavailable
from sources.stores.s3 import S3Store
from sources.stores.s3_keys import changed_ns, key_of, parsed_uri
from sources.stores.s3_locks import S3Lease, TicketLock
from sources.stores.s3_stamps import ObjectStamps
from tests.sources.folder.writers import versions_of_writers
from tests.support.s3_servers import BUCKET, s3_at

LONG = f"s3://photos/{'x' * 150}"
ONE = {"Key": "facecraft", "Value": "done"}


class Unconditional(S3Store):
    """As on a server that keeps no conditions."""

    conditional = False


@pytest.mark.parametrize("server", ["moto", "seaweed"])
def test_conditions_are_found_to_be_kept(server, request):
    with s3_at(request.getfixturevalue(server)) as stores:
        store = stores("out")
        assert store.conditional
        assert list(store.stamps(".facecraft/tmp")) == []


@pytest.mark.parametrize("server", ["moto", "seaweed"])
def test_large_results_are_written_under_the_same_conditions(server, request):
    data = os.urandom(1 << 20) * 65
    with s3_at(request.getfixturevalue(server)) as stores:
        store = stores("out")
        version = store.write("large.png", data)

        assert store.read("large.png").data == data
        with pytest.raises(Conflict):
            store.write("large.png", data + b"other")
        assert store.write("large.png", data + b"x", replaces=version) == store.version("large.png")


def test_what_is_said_of_an_object_comes_with_it(s3):
    store = s3("out")
    store.write("anna.png", b"x", stamp_ns=5, metadata={"facecraft": "mark", "source-etag": "e1"})

    wanted = {"facecraft": "mark", "source-etag": "e1", "source-stamp": "5"}
    assert store.read("anna.png").metadata == store.metadata("anna.png") == wanted
    head = aws.client("s3").head_object(Bucket=BUCKET, Key=f"{store.prefix}anna.png")
    assert head["ContentType"] == "image/png"


def test_a_stamp_that_stands_already_writes_nothing(s3):
    store = s3("out")
    version = store.write("a.json", b"x", stamp_ns=5, metadata={"source-etag": "e1"})
    versions(store, "Enabled")
    store.stamp("a.json", 5, version, {"source-etag": "e1"})
    store.stamp("a.json", 6, version, {"source-etag": "e2"})

    listed = aws.client("s3").list_object_versions(Bucket=BUCKET, Prefix=store.prefix)["Versions"]
    versions(store, "Suspended")
    assert len(listed) == 2
    assert store.metadata("a.json") == {"source-etag": "e2", "source-stamp": "6"}


def versions(store, status):
    aws.client("s3").put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": status})


def test_one_tag_is_added_and_the_others_stay(s3):
    store, client = s3("in"), aws.client("s3")
    version = store.write("anna.jpg", b"x")
    place = {"Bucket": BUCKET, "Key": f"{store.prefix}anna.jpg"}
    other = {"Key": "who", "Value": "me"}
    client.put_object_tagging(**place, Tagging={"TagSet": [other, {"Key": "facecraft", "Value": "no"}]})

    store.tag("anna.jpg", version, "facecraft", "done")

    assert client.get_object_tagging(**place)["TagSet"] == [other, ONE]
    with pytest.raises(Conflict):
        store.tag("anna.jpg", "another", "facecraft", "done")


def test_an_object_with_ten_tags_is_left_as_it_is(s3):
    store = s3("in")
    version = store.write("anna.jpg", b"x")
    tags = [{"Key": str(number), "Value": ""} for number in range(10)]
    aws.client("s3").put_object_tagging(Bucket=BUCKET, Key=f"{store.prefix}anna.jpg", Tagging={"TagSet": tags})

    with pytest.raises(OSError, match="10 tags already"):
        store.tag("anna.jpg", version, "facecraft", "done")


def test_an_original_keeps_what_its_uploader_said(s3):
    store, target = s3("in"), s3("out")
    version = store.write("anna.jpg", b"x", metadata={"facecraft-width": "800"})

    store.move("anna.jpg", version, target, "originals/anna.jpg")

    assert target.read("originals/anna.jpg").metadata == {"facecraft-width": "800"}


def test_listings_tell_version_size_and_time(s3):
    store = s3("in")
    version = store.write("sales/anna.jpg", b"12345")
    aws.client("s3").put_object(Bucket=BUCKET, Key=f"{store.prefix}sales/", Body=b"")

    (entry,) = store.entries("sales")
    assert (entry.path, entry.etag, entry.size) == ("sales/anna.jpg", version, 5)
    assert entry.changed_ns == store.read("sales/anna.jpg").changed_ns


def test_a_sidecar_s_key_may_be_longer_than_any_key(s3):
    store = s3("in")
    with pytest.raises(FileNotFoundError):
        store.read(f"{'x' * 1000}.jpg.toml")
    assert not store.exists(f"{'x' * 1000}.jpg.toml")


@pytest.mark.parametrize("path", ["a//b.jpg", "/a.jpg", "a\\b.jpg", " .jpg ", "a/%2E%2E/b.jpg", "...jpg"])
def test_keys_that_no_folder_could_hold_are_read(s3, path):
    store = s3("in")
    aws.client("s3").put_object(Bucket=BUCKET, Key=f"{store.prefix}{path}", Body=b"a photo")

    assert [entry.path for entry in store.entries()] == [path]
    assert store.read(path).data == b"a photo"
    assert store.uri(path) == f"s3://{BUCKET}/{store.prefix}{path}"


def test_a_bucket_that_is_away_does_not_look_empty(s3):
    away = S3Store("no-such-bucket", "out")
    for use in (away.read, away.exists, away.list, lambda path: away.write(path, b"x"), away.stamps):
        with pytest.raises(OSError, match="no such bucket: create it") as caught:
            list(use("anna.jpg"))
        assert caught.value.errno == errno.ENXIO


def test_without_conditions_turns_decide(s3):
    store = Unconditional(BUCKET, s3("out").prefix)
    versions = versions_of_writers(store, 3)
    assert versions == [store.version("anna.png")]
    assert store.write("anna.png", b"new", replaces=versions[0]) == store.version("anna.png")
    assert [path for path in aws_keys(store) if ".facecraft" in path] == []


def aws_keys(store):
    listing = aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=store.prefix)
    return [found["Key"] for found in listing.get("Contents", [])]


def test_the_ticket_of_a_dead_service_is_taken_away():
    lying, ages = {"dead": 1000.0}, {}
    tickets = TicketLock(
        lambda name: lying.__setitem__(name, 0.0), lambda name: lying.pop(name, None), lambda: dict(lying)
    )
    with tickets.hold(5):
        ages.update(lying)
    assert "dead" not in ages
    assert lying == {}


def test_a_turn_that_never_comes_is_told():
    tickets = TicketLock(lambda name: None, lambda name: None, lambda: {"another": 1.0})
    with pytest.raises(TimeoutError, match="another service"), tickets.hold(0.01):
        raise AssertionError("it is not ours")


def test_a_lease_beats_also_after_a_beat_was_lost():
    beats = threading.Semaphore(0)

    def beat():
        beats.release()
        if beating.is_set():
            raise OSError("away")

    beating = threading.Event()
    lease = S3Lease(beat, beats.release, beat=0.01)
    beating.set()
    assert all(beats.acquire(timeout=5) for _ in range(4))
    lease.close()


def test_stamps_are_remembered_until_the_object_is_another():
    asked = []

    def metadata(name):
        asked.append(name)
        return {"source-stamp": "7"}

    for state in ("e1@1", "e1@1", "e2@1"):
        assert ObjectStamps("s3://b/reports-of-this-test", {"a": state}, metadata)["a"] == 7
    ObjectStamps.forget("s3://b/reports-of-this-test/a")
    assert ObjectStamps("s3://b/reports-of-this-test", {"a": "e2@1"}, metadata)["a"] == 7
    assert asked == ["a", "a", "a"]


class NotImplementedAnswer(io.BytesIO):
    def stream(self, **_):
        yield self.read()


def test_a_server_that_knows_no_condition_on_a_delete_deletes_all_the_same(s3):
    store, refused = s3("in"), []

    def refuse(request, **_):
        if "If-Match" in request.headers:
            refused.append(request.method)
            answer = NotImplementedAnswer(b"<Error><Code>NotImplemented</Code></Error>")
            return AWSResponse(request.url, 501, {}, answer)
        return None

    version = store.write("anna.jpg", b"x")
    aws.client("s3").meta.events.register("before-send.s3.DeleteObject", refuse)
    store.delete("anna.jpg", version)
    assert (refused, store.exists("anna.jpg")) == (["DELETE"], False)


class Answering(BaseHTTPRequestHandler):
    """Answers everything with one error, or with a body that ends early."""

    def do_GET(self):
        status, code, message = self.server.answer
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + (9 if status == 200 else 0)))
        for name, value in {"ETag": '"e"', "Last-Modified": "Sat, 21 Nov 2026 15:00:00 GMT"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def answers(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.server_address))
    aws.client.cache_clear()
    yield server
    aws.client("s3").close()
    aws.client.cache_clear()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((403, "AccessDenied", "no"), PermissionError, "without s3:ListBucket a missing object answers so too"),
        ((403, "AccessDenied", "not authorized to perform kms:Decrypt"), PermissionError, "allow kms:Decrypt"),
        ((400, "ExpiredToken", "old"), Unavailable, "the credentials have expired: renew them"),
        ((403, "InvalidAccessKeyId", "who?"), Unavailable, "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ((403, "RequestTimeTooSkewed", "too late"), Unavailable, "this machine's clock is wrong: set it"),
        ((503, "SlowDown", "slower"), Unavailable, "SlowDown (503): slower"),
        ((500, "InternalError", "oops"), Unavailable, "InternalError (500): oops"),
        ((507, "XMinioStorageFull", "the disk is full"), OSError, "[Errno 28]"),
        ((400, "XMinioInvalidObjectName", "long"), FileNotFoundError, "the server takes no such key"),
        ((200, "cut", "in the middle"), Unavailable, "bytes"),
    ],
)
def test_answers_are_told_as_files_errors(answers, answer, kind, words):
    answers.answer = answer
    with pytest.raises(kind) as caught:
        S3Store("photos", "in").read("anna.jpg")
    assert words in str(caught.value)


def test_a_body_without_a_length_is_limited_while_it_is_read(answers):
    answers.answer = (200, "x" * 100, "")
    with pytest.raises(TooLarge):
        S3Store("photos", "in").read("anna.jpg", 10)


def test_a_server_that_is_not_there_is_told(answers, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    aws.client.cache_clear()
    with pytest.raises(Unavailable, match="Could not connect"):
        S3Store("photos", "in").read("anna.jpg")


def test_the_region_that_lambda_and_ecs_set_is_read(monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert aws.client.__wrapped__("s3").meta.region_name == "eu-central-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert aws.client.__wrapped__("s3").meta.region_name == "eu-west-1"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://photos", ("photos", "")),
        ("s3://photos/", ("photos", "")),
        ("s3://photos/in", ("photos", "in/")),
        ("s3://photos/a/b c/", ("photos", "a/b c/")),
    ],
)
def test_places_are_read(text, place):
    assert parsed_uri(text) == place
    assert S3Store.at(text).uri("x.jpg") == f"s3://photos/{place[1]}x.jpg"
    assert str(S3Store.at(text)) == text.removesuffix("/")


@pytest.mark.parametrize(
    "text", ["s3://", "s3:///in", "s3://a b/in", "s3://photos//in", "s3://photos/../in", LONG, "x"]
)
def test_what_is_no_place_is_told(text):
    with pytest.raises(ValueError, match="for example s3://photos/in"):
        parsed_uri(text)


def test_places_overlap_where_one_lies_in_the_other():
    photos = S3Store("b", "photos")
    assert photos.overlaps(S3Store("b", "photos/in"))
    assert photos.overlaps(S3Store("b"))
    assert not photos.overlaps(S3Store("b", "photos2"))
    assert not photos.overlaps(S3Store("c", "photos"))


@given(st.text())
def test_a_key_is_below_its_prefix_or_none(path):
    try:
        key = key_of("in/", path)
    except OSError:
        return
    assert key.startswith("in/")
    assert not {".", ".."} & set(key.split("/"))


def test_two_contents_within_one_second_are_told_apart():
    now = int(time.time())
    assert changed_ns(now, "e1") != changed_ns(now, "e2")
    assert changed_ns(now, "e1") // 10**9 == now
