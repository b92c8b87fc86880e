"""Who may: with a key, in the open, from this machine, from web pages; and whoever guesses."""

import pytest

from tests.handler.api.desk import Desk, jpeg

KEY = "9Kc4tZ"
PAGE = "https://www.example.com"
ELSEWHERE = "10.0.0.1"
PATHS = ("process", "process/quick", "process/batch")


@pytest.fixture
def make(tmp_path):
    made = []

    def make(**settings):
        made.append(Desk(tmp_path, **settings).__enter__())
        return made[-1]

    yield make
    for desk in made:
        desk.__exit__()


@pytest.mark.parametrize("path", PATHS)
def test_without_a_key_elsewhere_than_on_loopback_it_is_closed(make, path):
    desk = make(HOST=ELSEWHERE)
    answer = desk.post(path, jpeg())
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "FACECRAFT_API_KEY" in answer.detail
    assert "FACECRAFT_OPEN=true" in answer.detail
    for open_path in ("/health", "/ready", "/docs", "/openapi.json"):
        assert desk.get(open_path).status == 200


@pytest.mark.parametrize("path", PATHS[:2])
def test_open_needs_no_key(make, path):
    assert make(HOST=ELSEWHERE, OPEN="true").post(path, jpeg()).status == 200


@pytest.mark.parametrize(
    "sent", [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}]
)
def test_with_the_key_everybody_may(make, sent):
    assert make(HOST=ELSEWHERE, API_KEY=KEY).process(headers=sent).status == 200


@pytest.mark.parametrize("sent", [{}, {"X-API-Key": "x"}, {"X-API-Key": ""}, {"Authorization": f"Basic {KEY}"}])
def test_without_the_right_key_nobody_may(make, sent):
    desk = make(API_KEY=KEY)
    answer = desk.process(headers=sent)
    assert (answer.status, answer.headers["WWW-Authenticate"], desk.pool.jobs) == (401, "Bearer", [])
    assert KEY not in answer.detail
    assert desk.ask("DELETE", "/api/v1/jobs/00000000", **sent).status == 401


def test_links_open_without_the_key_and_bare_paths_do_not(make):
    desk = make(API_KEY=KEY)
    content = desk.process(headers={"X-API-Key": KEY}).json
    bare = content["png_url"].split("?")[0]
    assert desk.get(content["png_url"]).status == 200
    assert desk.get(bare).status == 401
    assert desk.get(bare, X_API_Key=KEY).status == 200
    assert desk.get(f"{bare}?t={'0' * 32}").status == 401
    assert desk.get("/api/v1/download/00000000/png").status == 401


def test_bare_paths_answer_in_the_open(make):
    desk = make(HOST=ELSEWHERE, OPEN="true")
    bare = desk.process().json["png_url"].split("?")[0]
    assert desk.get(bare).status == 200


def test_who_guesses_ids_is_stopped_and_who_has_a_link_is_not(make):
    desk = make(HOST=ELSEWHERE, OPEN="true")
    url = desk.process().json["png_url"]
    statuses = [desk.get(f"/api/v1/download/{number:08x}/png").status for number in range(31)]
    assert (statuses[:30], statuses[30]) == ([404] * 30, 429)
    assert desk.get("/api/v1/jobs/00000000").headers["Retry-After"]
    assert desk.get(url.split("?")[0]).status == 429
    assert desk.get(url).status == 200


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:8000", "127.0.0.1.nip.io"])
def test_a_name_that_was_made_to_lead_here_is_refused(desk, host):
    assert desk.process(headers={"Host": host}).status == 401


@pytest.mark.parametrize("headers", [{"Origin": PAGE}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
@pytest.mark.parametrize(
    "settings", [{}, {"HOST": ELSEWHERE, "OPEN": "true"}, {"CORS_ORIGINS": "https://a.example.com"}]
)
def test_pages_of_other_sites_may_not(make, headers, settings):
    desk = make(**settings)
    answer = desk.process(headers=headers)
    assert (answer.status, desk.pool.jobs) == (403, [])
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_our_own_page_may(desk):
    own = f"http://127.0.0.1:{desk.server.port}"
    assert desk.process(headers={"Origin": own, "Sec-Fetch-Site": "same-origin"}).status == 200


def test_a_listed_page_may_and_its_preflight_is_answered(make):
    desk = make(CORS_ORIGINS=f"{PAGE}, https://b.example.com")
    ask = {"Origin": PAGE, "Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "x-api-key"}
    answer = desk.ask("OPTIONS", "/api/v1/process", **ask)
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert (answer.headers["Access-Control-Max-Age"], answer.headers["Access-Control-Allow-Headers"]) == (
        "600",
        "x-api-key",
    )
    answer = desk.process(headers={"Origin": PAGE})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]) == (
        200,
        PAGE,
        "Origin",
    )
    assert desk.get("/health", Origin=PAGE).headers["Access-Control-Allow-Origin"] == PAGE
    assert desk.ask("OPTIONS", "/api/v1/process", **(ask | {"Origin": "https://x.example.com"})).status == 400
    assert desk.ask("OPTIONS", "/api/v1/process").status == 405


def test_every_page_may_without_credentials(make):
    desk = make(CORS_ORIGINS="*", API_KEY=KEY)
    answer = desk.process(headers={"Origin": PAGE, "X-API-Key": KEY})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert desk.process(headers={"Origin": PAGE}).headers["Access-Control-Allow-Origin"] == "*"
