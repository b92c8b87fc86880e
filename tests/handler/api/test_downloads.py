"""Downloads: HEAD, parts, and what a client has already."""

import pytest


@pytest.fixture
def url(desk):
    return desk.process().json["png_url"]


def test_head_answers_like_get_without_a_body(desk, url):
    whole, head = desk.get(url), desk.ask("HEAD", url)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(whole.body)))
    assert head.headers["ETag"] == whole.headers["ETag"]
    assert (whole.headers["Content-Type"], whole.headers["Accept-Ranges"]) == ("image/png", "bytes")
    assert "Content-Disposition" not in whole.headers


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-2", slice(0, 3)),
        ("bytes=5-", slice(5, None)),
        ("bytes=-4", slice(-4, None)),
        ("bytes=0-99999", slice(None)),
    ],
)
def test_a_part_is_sent(desk, url, asked, part):
    whole = desk.get(url).body
    answer = desk.get(url, Range=asked)
    assert (answer.status, answer.body) == (206, whole[part])
    assert answer.headers["Content-Range"].endswith(f"/{len(whole)}")


@pytest.mark.parametrize("asked", ["bytes=99999-", "bytes=-0"])
def test_a_part_that_is_not_there_is_416(desk, url, asked):
    answer = desk.get(url, Range=asked)
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(desk.get(url).body)}")


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "bytes=5-2", "lines=0-2", "bytes=-", "bytes=a-b"])
def test_what_is_no_range_sends_all(desk, url, asked):
    assert desk.get(url, Range=asked).status == 200


def test_if_none_match(desk, url):
    etag = desk.get(url).headers["ETag"]
    for sent in (etag, f'"x", W/{etag}', "*"):
        answer = desk.get(url, If_None_Match=sent)
        assert (answer.status, answer.body) == (304, b"")
    assert desk.get(url, If_None_Match='"x"').status == 200


def test_if_range(desk, url):
    headers = desk.get(url).headers
    for sent, status in ((headers["ETag"], 206), (headers["Last-Modified"], 206), ('"x"', 200), ("yesterday", 200)):
        assert desk.get(url, Range="bytes=0-2", If_Range=sent).status == status
