"""Photos that are put into a bucket, told of by a queue: a real server of S3 and SQS."""

import json
import threading

import pytest

from sources.sqs.client import Queue, QueueUnavailable, connect
from sources.sqs.source import SqsSource
from tests.sources.notifications.payloads import batch, bridge, direct, record, sns, test_event
from tests.sources.sqs.sqs_helpers import SOON, OneAtATime, Run
from tests.support.waiting import eventually

ODD = ["a+b c/é%25.jpg", "%20.jpg", "a&b=c#d?.jpg", "😀/ü.jpg", "~/a.jpg", "tab\t.jpg", "'\"<>\\.jpg"]


@pytest.fixture
def bucket(cloud, queue):
    return cloud.bucket(queue)


@pytest.fixture
def run(cloud, queue, bucket):
    with Run(cloud.client("sqs"), queue.url, bucket) as running:
        yield running


def put(cloud, bucket, *keys, body=b"photo"):
    return [cloud.s3.put_object(Bucket=bucket, Key=key, Body=body)["ETag"].strip('"') for key in keys]


def test_a_photo_put_into_the_bucket_is_yielded(cloud, queue, bucket, run):
    (etag,) = put(cloud, bucket, "in/sales/anna.jpg")
    event = run.next()
    assert (event.uri, event.path) == (f"s3://{bucket}/in/sales/anna.jpg", "sales/anna.jpg")
    assert (event.version, event.attempt) == (etag, 1)
    assert run.source.attached() is None
    run.ack(event)
    assert queue.comes_to((0, 0))


def test_odd_keys_come_as_they_are(cloud, queue, bucket, run):
    put(cloud, bucket, *(f"in/{name}" for name in ODD))
    paths = []
    for _ in ODD:
        event = run.next()
        paths.append(event.path)
        run.ack(event)
    assert sorted(paths) == sorted(ODD)
    assert queue.comes_to((0, 0))


def test_an_upload_in_parts_is_one_photo_however_many_events_tell_of_it(cloud, queue, bucket):
    place = {"Bucket": bucket, "Key": "in/anna.jpg"}
    upload = {**place, "UploadId": cloud.s3.create_multipart_upload(**place)["UploadId"]}
    part = cloud.s3.upload_part(**upload, PartNumber=1, Body=b"photo")
    whole = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    etag = cloud.s3.complete_multipart_upload(**upload, MultipartUpload=whole)["ETag"].strip('"')
    assert queue.counts() == (2, 0)
    with Run(cloud.client("sqs"), queue.url, bucket, slots=2) as run:
        event = run.next()
        assert (event.path, event.version) == ("anna.jpg", etag)
        run.ack(event)
        assert queue.comes_to((0, 0))
        assert run.drained(queue)


def test_what_is_no_new_photo_is_acknowledged_and_counted(cloud, queue, bucket, run):
    put(cloud, bucket, "out/anna.png", "in/", "in/.hidden.jpg")
    cloud.s3.delete_object(Bucket=bucket, Key="in/")
    queue.send(test_event())
    queue.send({"Records": []})
    assert run.counted("ignored", 6)
    assert queue.comes_to((0, 0))
    assert run.counts["events"] == 0


def test_the_first_key_outside_the_inbox_is_logged_and_no_other(cloud, queue, bucket, run, caplog):
    put(cloud, bucket, *(f"out/{number}.png" for number in range(5)))
    assert run.counted("ignored", 5)
    assert [entry.message for entry in caplog.records if "not in the inbox" in entry.message] == [
        f"'out/0.png' in bucket '{bucket}' is not in the inbox: such events are acknowledged, "
        "and from here on only counted."
    ]


@pytest.mark.parametrize("wrap", [direct, lambda one: sns(direct(one)), lambda one: batch(direct(one))])
def test_every_envelope_leads_to_its_photo(cloud, queue, wrap):
    queue.send(wrap(record("in/anna.jpg")))
    with Run(cloud.client("sqs"), queue.url) as run:
        event = run.next()
        assert event.path == "anna.jpg"
        run.ack(event)
        assert queue.comes_to((0, 0))


def test_a_sidecar_is_news_of_its_photo(cloud, queue, bucket, run):
    put(cloud, bucket, "in/anna.jpg.toml")
    event = run.next()
    assert (event.path, event.version) == ("anna.jpg", "")
    run.ack(event)
    assert queue.comes_to((0, 0))


def test_a_message_is_deleted_when_all_its_photos_are_settled(cloud, queue):
    queue.send(direct(record("in/a.jpg"), record("in/b.jpg"), record("in/c.jpg")))
    with Run(cloud.client("sqs"), queue.url, slots=3) as run:
        events = [run.next() for _ in range(3)]
        for event in events[:2]:
            run.ack(event)
        assert queue.counts() == (0, 1)
        run.ack(events[2])
        assert queue.comes_to((0, 0))


def test_no_more_messages_are_held_than_there_are_slots(cloud, queue, bucket):
    put(cloud, bucket, *(f"in/{number}.jpg" for number in range(6)))
    with Run(cloud.client("sqs"), queue.url, bucket, slots=2) as run:
        events = [run.next(), run.next()]
        assert queue.counts() == (4, 2)
        run.ack(events[0])
        run.next()
        assert queue.comes_to((3, 2))


def test_a_hundred_events_of_one_photo_are_one_work(cloud, queue):
    for _ in range(100):
        queue.send(direct(record("in/anna.jpg")))
    with Run(cloud.client("sqs"), queue.url, slots=2) as run:
        event = run.next()
        assert queue.comes_to((0, 1))
        assert run.drained(queue)
        run.ack(event)
        assert queue.comes_to((0, 0))


def test_a_photo_that_changes_in_hand_comes_again_afterwards(cloud, queue, bucket):
    (first,) = put(cloud, bucket, "in/anna.jpg", body=b"one")
    with Run(cloud.client("sqs"), queue.url, bucket, slots=3) as run:
        event = run.next()
        (second,) = put(cloud, bucket, "in/anna.jpg", body=b"two")
        assert queue.comes_to((0, 2))
        assert run.drained(queue)
        run.ack(event)
        again = run.next()
        assert (event.version, again.version) == (first, second)
        run.ack(again)
        assert queue.comes_to((0, 0))


def test_work_of_8_s_and_what_waits_for_it_outlive_a_visibility_of_5_s(cloud):
    queue = cloud.queue(VisibilityTimeout=5)
    queue.send(direct(*(record(f"in/{number}.jpg") for number in range(3))))
    client, beats = cloud.client("sqs"), []
    client.meta.events.register("after-call.sqs.ChangeMessageVisibilityBatch", lambda **_: beats.append("beat"))
    with Run(client, queue.url, slots=1) as run:
        events = [run.next()]
        with Run(cloud.client("sqs"), queue.url, slots=1) as other:
            assert eventually(lambda: len(beats) == 5, 3 * SOON)  # three within a visibility timeout
            assert other.drained(queue)
        assert queue.comes_to((0, 1))
        run.ack(events[0])
        for _ in range(2):
            events.append(run.next())
            run.ack(events[-1])
        assert queue.comes_to((0, 0))
        assert run.drained(queue)
    assert [(event.path, event.attempt) for event in events] == [(f"{number}.jpg", 1) for number in range(3)]


def test_a_retry_comes_again_from_the_queue_with_its_attempt(cloud, queue, bucket, run):
    put(cloud, bucket, "in/anna.jpg")
    event = run.next()
    run.retry(event, 1.0)
    again = run.next()
    assert (again.path, again.attempt) == ("anna.jpg", 2)
    assert again.queued_at - event.queued_at >= 0.9
    run.ack(again)
    assert queue.comes_to((0, 0))


def test_a_message_with_a_photo_to_retry_comes_again_whole(cloud, queue):
    queue.send(direct(record("in/a.jpg"), record("in/b.jpg")))
    with Run(cloud.client("sqs"), queue.url) as run:
        run.ack(run.next())
        run.retry(run.next())
        again = [run.next(), run.next()]
        assert {(event.path, event.attempt) for event in again} == {("a.jpg", 2), ("b.jpg", 2)}


def test_what_nobody_has_begun_is_visible_again_when_the_service_stops(cloud, queue):
    for number in range(3):
        queue.send(direct(record(f"in/{number}.jpg")))
    source = SqsSource(queue.url, "photos", "in", slots=3, client=cloud.client("sqs"), wait_seconds=1)
    first = next(iter(source))
    assert queue.counts() == (0, 3)
    source.stop()
    assert queue.comes_to((2, 1))
    source.ack(first)
    source.close()
    assert queue.counts() == (2, 0)
    assert first.receipt not in {message["MessageId"] for message in [*queue.receive(), *queue.receive()]}


def test_at_the_redrive_policy_s_limit_a_failed_photo_is_left_to_it(cloud, queue):
    dead = queue.redrive(2)
    name = queue.send(direct(record("in/anna.jpg")))
    with Run(cloud.client("sqs"), queue.url) as run:
        run.retry(run.next())
        event = run.next()
        assert (event.attempt, run.source.most_attempts) == (2, 2)
        run.give_up(event)
        assert dead.comes_to((1, 0))
        assert run.drained(queue)
    assert dead.receive()[0]["MessageId"] == name


def test_a_photo_given_up_before_that_limit_goes_there_without_being_yielded(cloud, queue):
    dead = queue.redrive(3)
    queue.send(direct(record("in/anna.jpg")))
    with Run(cloud.client("sqs"), queue.url) as run:
        run.give_up(run.next())
        assert dead.comes_to((1, 0))
        assert run.drained(queue)


def test_a_photo_given_up_without_a_redrive_policy_is_deleted(cloud, queue):
    queue.send(direct(record("in/anna.jpg")))
    with Run(cloud.client("sqs"), queue.url) as run:
        run.give_up(run.next())
        assert run.source.most_attempts is None
        assert queue.comes_to((0, 0))


@pytest.mark.parametrize("body", ["hello", "<xml/>", json.dumps({"a": 1}), json.dumps(direct(record(version="3.0")))])
def test_what_is_not_understood_goes_to_the_dead_letters(cloud, queue, body, caplog):
    dead = queue.redrive(2)
    queue.send(body)
    with Run(cloud.client("sqs"), queue.url) as run:
        assert dead.comes_to((1, 0))
        assert run.drained(queue)
    assert len([entry for entry in caplog.records if "not understood" in entry.message]) == 1


def test_what_is_not_understood_is_deleted_where_nothing_takes_it(cloud, queue, caplog):
    queue.send("hello")
    with Run(cloud.client("sqs"), queue.url):
        assert queue.comes_to((0, 0))
    (entry,) = [entry for entry in caplog.records if "not understood" in entry.message]
    assert (entry.levelname, "'hello'" in entry.message) == ("ERROR", True)


def test_of_a_message_that_is_half_understood_the_photos_are_worked_on(cloud, queue):
    dead = queue.redrive(3)
    queue.send(direct(record("in/a.jpg"), record("in/b.jpg", version="3.0")))
    with Run(cloud.client("sqs"), queue.url) as run:
        run.retry(run.next())
        event = run.next()
        assert (event.path, event.attempt) == ("a.jpg", 2)
        run.ack(event)
        assert dead.comes_to((1, 0))
        assert run.drained(queue)


def test_two_services_share_a_queue_and_nothing_is_done_twice(cloud, queue, bucket):
    names = {f"{number}.jpg" for number in range(40)}
    put(cloud, bucket, *(f"in/{name}" for name in names))
    done = []
    client = OneAtATime(cloud.client("sqs"))
    with Run(client, queue.url, bucket, slots=3) as one, Run(client, queue.url, bucket, slots=3) as two:

        def work(run):
            while event := run.next():
                done.append(event.path)
                run.ack(event)

        threads = [threading.Thread(target=work, args=(run,)) for run in (one, two)]
        for thread in threads:
            thread.start()
        assert queue.comes_to((0, 0))
        one.source.stop(), two.source.stop()
        for thread in threads:
            thread.join(SOON)
    assert sorted(done) == sorted(names)


def test_a_queue_is_idle_when_nothing_waits_anywhere(cloud, queue):
    bystander = SqsSource(queue.url, "photos", "in", slots=1, client=cloud.client("sqs"))
    assert bystander.idle()
    queue.send(direct(record("in/anna.jpg")))
    assert not bystander.idle()
    with Run(cloud.client("sqs"), queue.url) as run:
        run.retry(run.next(), 60)
        assert queue.comes_to((0, 1))
        assert not run.source.idle()
        assert not bystander.idle()


def test_where_there_are_no_credentials_the_variables_are_named(tmp_path, monkeypatch):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/photos"
    with pytest.raises(QueueUnavailable, match="set AWS_ACCESS_KEY_ID"):
        Queue(connect(url), url).attributes()


def test_a_client_takes_its_region_from_the_queue_and_the_rest_from_the_environment(cloud, queue, monkeypatch):
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "eu-central-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    aws = connect("https://sqs.ap-southeast-2.amazonaws.com/123456789012/photos")
    assert aws.meta.endpoint_url == "https://sqs.ap-southeast-2.amazonaws.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", cloud.endpoint)
    queue.send(bridge(key="in/anna.jpg"))
    source = SqsSource(queue.url, "photos", "in", slots=1, client=connect(queue.url))
    source.ack(next(iter(source)))
    source.close()
    assert queue.counts() == (0, 0)
