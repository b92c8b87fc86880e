import pytest

from tests.handler.api.desk import Desk


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as desk:
        yield desk
