"""Who may call: with a key, from this machine, out of a browser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.config.fields import is_loopback
from handler.http.auth import Guard

KEY = "9Kc4tZ"
CLOSED, OPEN = Guard(loopback=False), Guard(loopback=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_guard_loopback_addresses_are_recognised(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "10.0.0.1", "localhost.example.com", "127.0.0.1.nip.io", "2130706433"],  # noqa: S104
)
def test_guard_other_addresses_are_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": KEY}, {"Host": "127.0.0.1:8000"}])
def test_guard_public_address_without_key_refuses_all(headers):
    why = CLOSED.refusal(headers)
    assert "set FACECRAFT_API_KEY to a long random word, and send it as X-API-Key" in why


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize("sent", [None, "", "9kc4tz", KEY + "x", f"Bearer {KEY}", "é", "\udcff"])
def test_guard_wrong_key_is_refused_and_key_is_never_shown(loopback, sent):
    guard = Guard(loopback, KEY)
    why = guard.refusal({} if sent is None else {"X-API-Key": sent})
    assert "FACECRAFT_API_KEY" in why
    assert KEY not in f"{why} {guard}"


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://example.com", "Host": "example.com"}])
@pytest.mark.parametrize("loopback", [True, False])
def test_guard_right_key_is_accepted_from_anywhere(loopback, headers):
    assert Guard(loopback, KEY).refusal({"X-API-Key": KEY, **headers}) is None


@pytest.mark.parametrize("host", [None, "127.0.0.1", "127.0.0.1:8000", "localhost:9000", "[::1]:8000", "LocalHost"])
def test_guard_loopback_program_needs_no_key(host):
    assert OPEN.refusal({} if host is None else {"Host": host}) is None


@pytest.mark.parametrize("name", ["Origin", "Sec-Fetch-Site"])
@pytest.mark.parametrize("value", ["null", "https://example.com", "http://127.0.0.1:8000", "same-origin"])
def test_guard_browser_request_is_refused_even_from_loopback_page(name, value):
    why = OPEN.refusal({"Host": "127.0.0.1:8000", name: value})
    assert why.startswith("calls out of a browser are refused")
    assert "FACECRAFT_API_KEY" in why


@pytest.mark.parametrize(
    "host", ["example.com", "example.com:8000", "localhost.example.com", "127.0.0.1@x.org", "[::1", ""]
)
def test_guard_rebound_host_name_is_refused(host):
    why = OPEN.refusal({"Host": host})
    assert why.startswith(f"Host: {host} is no name of this machine alone: call 127.0.0.1 or localhost")


@given(st.text() | st.from_regex(r"[a-z0-9.\[\]:@/%-]*", fullmatch=True))
def test_guard_any_host_header_is_checked(host):
    why = OPEN.refusal({"Host": host})
    assert why is None or "FACECRAFT_API_KEY" in why
