"""What the tests of the core over real folders share."""

import pytest
from handler_fakes import Desk


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    for attempts in desk.services:
        attempts.close()
