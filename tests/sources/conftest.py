"""What the tests of queues share."""

import pytest

from tests.sources.sqs.sqs_helpers import Cloud


@pytest.fixture(scope="module")
def cloud():
    cloud = Cloud()
    yield cloud
    cloud.close()


@pytest.fixture
def queue(cloud):
    return cloud.queue(VisibilityTimeout=30)
