"""Every kind of body, by every server: the right photo, or ignored, or not understood."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.notifications.notification import Notification, is_older
from sources.notifications.parse import parse_notification
from tests.sources.notifications.bodies import CREATED, IGNORED, NAMED, SECOND, SEEN, SEVERAL, WAYS, WRONG, second
from tests.sources.notifications.payloads import batch, direct, record


@pytest.mark.parametrize("as_bytes", [False, True], ids=["parsed", "bytes"])
@pytest.mark.parametrize(("body", "photo"), CREATED.values(), ids=CREATED)
def test_parse_created_object_gives_all_its_fields(body, photo, as_bytes):
    notification = parse_notification(json.dumps(body).encode() if as_bytes and not isinstance(body, bytes) else body)
    assert notification == Notification((photo,), ())


@pytest.mark.parametrize(("body", "created", "ignored"), SEVERAL.values(), ids=SEVERAL)
def test_parse_several_events_gives_each(body, created, ignored):
    notification = parse_notification(body)
    assert notification == Notification(tuple(created), tuple(ignored))


@pytest.mark.parametrize(("body", "name"), IGNORED.values(), ids=IGNORED)
def test_parse_other_event_is_ignored_by_name(body, name):
    notification = parse_notification(json.dumps(body))
    assert notification == Notification((), (name,))


@pytest.mark.parametrize(("body", "wrong"), WRONG.values(), ids=WRONG)
def test_parse_malformed_body_gives_short_error(body, wrong):
    error = parse_notification(body).error
    assert wrong in error
    assert len(error) < 700


def test_parse_partly_malformed_body_keeps_the_rest():
    notification = parse_notification(
        batch(direct(record(), record(version="9")), "hello", direct(second), *[None] * 3)
    )
    assert notification.created == (SEEN, SECOND)
    assert "eventVersion is '9'" in notification.error
    assert notification.error.endswith("and 2 more")


@pytest.mark.parametrize(("body", "name"), NAMED.values(), ids=NAMED)
def test_parse_odd_name_is_unchanged(body, name):
    (photo,) = parse_notification(body).created
    assert photo.key == f"in/{name}"


keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@given(key=keys)
def test_parse_any_key_is_unchanged(way, key):
    (photo,) = parse_notification(json.dumps(way(f"in/{key}"))).created
    assert photo.key == f"in/{key}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NAMES = ("Records", "s3", "Sns", "body", "Message", "Type", "Event", "detail-type", "detail", "object", "bucket", "key",
         "name", "eventName", "eventSource", "eventVersion", "event_type", "message", "new_entry", "EventName", "Key",
         "attributes", "extended", "md5", "source")  # fmt: skip
VALUES = ("Notification", "ObjectCreated:Put", "aws:s3", "aws:sqs", "aws.s3", "Object Created", "create", "rename",
          "2.1", "/buckets/photos/a", "%FF", "\ud800", "")  # fmt: skip
look_alikes = st.recursive(
    st.sampled_from(VALUES) | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
)


def reads(body):
    return all(photo.bucket and photo.key for photo in parse_notification(body).created)


@given(st.binary() | st.text())
def test_no_bytes_break_it(body):
    assert reads(body)


@given(json_values)
def test_no_json_breaks_it(value):
    assert reads(json.dumps(value))


@given(st.dictionaries(st.sampled_from(NAMES), look_alikes))
def test_nothing_that_looks_like_an_event_breaks_it(value):
    assert reads(value)


@given(st.data())
def test_no_field_of_a_real_event_breaks_it(data):
    body = data.draw(st.sampled_from([body for body, _ in (*CREATED.values(), *IGNORED.values())]).filter(bool))
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    whole = json.loads(text)
    place = whole
    while isinstance(place, dict | list) and place:
        name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[name], dict | list) or data.draw(st.booleans()):
            place[name] = data.draw(json_values)
            break
        place = place[name]
    assert reads(whole)


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        ("0064D3901D00059242", "0064D3901D00059243", True),
        ("FF", "100", True),
        ("0ff", "FE", False),
        ("A", "a", False),
        (None, "1", False),
        ("1", None, False),
    ],
)
def test_sequencers_of_any_length_compare_as_numbers(one, other, older):
    assert is_older(one, other) is older
