"""Who may call: with a key, from this machine, out of a browser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.config.fields import is_loopback
from handler.http.auth import Guard

KEY = "9Kc4tZ"
CLOSED, OPEN = Guard(loopback=False), Guard(loopback=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_these_addresses_only_this_machine_reaches(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "10.0.0.1", "localhost.example.com", "127.0.0.1.nip.io", "2130706433"],  # noqa: S104
)
def test_these_others_may_reach(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": KEY}, {"Host": "127.0.0.1:8000"}])
def test_where_others_reach_it_and_no_key_is_set_nobody_may_call(headers):
    why = CLOSED.refusal(headers)
    assert "set FACECRAFT_API_KEY to a long random word, and send it as X-API-Key" in why


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize("sent", [None, "", "9kc4tz", KEY + "x", f"Bearer {KEY}", "é", "\udcff"])
def test_where_a_key_is_set_nobody_may_call_without_it_and_it_is_never_shown(loopback, sent):
    guard = Guard(loopback, KEY)
    why = guard.refusal({} if sent is None else {"X-API-Key": sent})
    assert "FACECRAFT_API_KEY" in why
    assert KEY not in f"{why} {guard}"


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://example.com", "Host": "example.com"}])
@pytest.mark.parametrize("loopback", [True, False])
def test_whoever_has_the_key_may_call_from_anywhere(loopback, headers):
    assert Guard(loopback, KEY).refusal({"X-API-Key": KEY, **headers}) is None


@pytest.mark.parametrize("host", [None, "127.0.0.1", "127.0.0.1:8000", "localhost:9000", "[::1]:8000", "LocalHost"])
def test_programs_of_this_machine_need_no_key(host):
    assert OPEN.refusal({} if host is None else {"Host": host}) is None


@pytest.mark.parametrize("name", ["Origin", "Sec-Fetch-Site"])
@pytest.mark.parametrize("value", ["null", "https://example.com", "http://127.0.0.1:8000", "same-origin"])
def test_a_web_page_may_not_call_even_where_it_seems_to_be_ours(name, value):
    why = OPEN.refusal({"Host": "127.0.0.1:8000", name: value})
    assert why.startswith("calls out of a browser are refused")
    assert "FACECRAFT_API_KEY" in why


@pytest.mark.parametrize(
    "host", ["example.com", "example.com:8000", "localhost.example.com", "127.0.0.1@x.org", "[::1", ""]
)
def test_a_name_that_was_made_to_lead_to_this_machine_is_refused(host):
    why = OPEN.refusal({"Host": host})
    assert why.startswith(f"Host: {host} is no name of this machine alone: call 127.0.0.1 or localhost")


@given(st.text() | st.from_regex(r"[a-z0-9.\[\]:@/%-]*", fullmatch=True))
def test_whatever_stands_in_host_is_judged(host):
    why = OPEN.refusal({"Host": host})
    assert why is None or "FACECRAFT_API_KEY" in why
