"""What the tests of the core over real folders and buckets share."""

import io
import logging

import pytest

from handler.telemetry import log
from sources.stores.local import FileStore
from tests.handler.bucket_desk import AnyDesk
from tests.handler.fakes import Desk


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    for attempts in desk.services:
        attempts.close()


@pytest.fixture
def desks(tmp_path, s3):
    made = []

    def make(inbox, outbox):
        (tmp_path / "in").mkdir()
        (tmp_path / "out").mkdir()
        stores = {"in": FileStore(tmp_path / "in"), "out": FileStore(tmp_path / "out")}
        ends = {"in": inbox, "out": outbox}
        made.append(AnyDesk(*(stores[end] if kind == "folder" else s3(end) for end, kind in ends.items())))
        return made[-1]

    yield make
    for attempts in made[0].begun:
        attempts.close()


@pytest.fixture
def buckets(desks):
    return desks("bucket", "bucket")


@pytest.fixture(autouse=True)
def logging_as_before():
    """What sets up the process's own logging does not change what later tests see of theirs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def stream():
    """What is logged, from DEBUG on."""
    logged = io.StringIO()
    log.setup("DEBUG", logged)
    return logged
