"""The whole service and the folders around it: what it touches, and what it does where they fail it."""

import pytest

from tests.chaos.audit import snapshot
from tests.handler.service_runner import Watch

SMALL = "sally_ride_small.jpg"


@pytest.fixture(scope="module")
def portraits(pytestconfig):
    return pytestconfig.rootpath / "tests" / "portraits"


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    """Where nothing but the outbox and TMPDIR may change."""
    folder = tmp_path_factory.mktemp("around")
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    return folder


@pytest.fixture(scope="module")
def service(around, models_dir):
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("HOME", str(around / "home"))
        environ.setenv("TMPDIR", str(around / "tmp"))
        watch = Watch(around, models_dir)
    with watch:
        yield watch.ready()


def test_an_empty_file_is_answered_once_it_is_quiet(service):
    (service.inbox / "empty.jpg").touch()

    assert service.settled((service.inbox / "empty.jpg").as_uri())["reason"] == "empty_file"
    assert service.report("empty.jpg")["hint"].endswith("copy it again from its origin.")


def test_while_the_outbox_is_away_nothing_is_tried_and_then_all_is_done(service, portraits):
    away = service.outbox.with_name("away")
    service.outbox.rename(away)
    service.until("/ready", lambda _, answer: any("make it writable" in why for why in answer.get("reasons", ())))
    uris = [service.drop(portraits / SMALL, f"late-{number}.jpg") for number in range(3)]
    service.until("/status", lambda _, status: status["pending"] + len(status["inflight"]) == len(uris))
    away.rename(service.outbox)

    outcomes = [service.settled(uri)["outcome"] for uri in uris]
    assert outcomes.count("retried") <= 1  # the one that a slot was waiting for
    service.until("/status", lambda _, status: not status["pending"] and not status["inflight"])
    assert {service.report(f"late-{number}.jpg")["attempt"] for number in range(3)} == {1}


def test_nothing_but_outbox_and_temporary_folder_is_touched(service, around, portraits):
    """The last one that uses the service."""
    uris = [service.drop(portraits / SMALL, path, sidecar="width = 300") for path in ("sales/anna.jpg", "bert.jpg")]
    inbox, home = snapshot(service.inbox), snapshot(around / "home")
    assert [service.settled(uri)["outcome"] for uri in uris] == ["done"] * 2

    assert service.stop() == 0

    assert (snapshot(service.inbox), snapshot(around / "home")) == (inbox, home)
    assert {path.name for path in around.iterdir()} == {"home", "tmp", "in", "out"}
    assert list((around / "tmp").iterdir()) == []
    assert list((service.outbox / ".facecraft" / "tmp").iterdir()) == []
