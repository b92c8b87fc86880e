"""What a bad network between us and the buckets comes to: nothing lost, nothing done twice, and it is said."""

from dataclasses import replace
from functools import partial

from handler_fakes import MAX_ATTEMPTS

from handler import modelworker
from handler.ledger import Ledger
from handler.naming import ATTEMPTS, report_path
from handler.outcome import Done
from handler.sink import Sink
from sources.s3 import S3Store


def test_an_inbox_that_is_away_is_no_photo_s_fault(desks):
    desk = desks("bucket", "folder")
    event = desk.photo("anna.jpg")
    process = replace(
        desk.service(*[lambda job: modelworker.answer(job, None)] * 6), inbox=S3Store("no-such-bucket", "in")
    )

    outcomes = [process(replace(event, attempt=attempt + 1)) for attempt in range(2 * MAX_ATTEMPTS)]

    assert {outcome.reason for outcome in outcomes} == {"inbox_unavailable"}
    assert [outcome.retry_in for outcome in outcomes] == [10, 20, 30, 40, 50, 60]
    assert not desk.outbox.exists(report_path("anna.jpg"))
    assert list(desk.outbox.stamps(ATTEMPTS)) == []
    assert isinstance(desk.service()(event), Done)


def test_an_outbox_that_is_away_is_no_photo_s_fault(buckets):
    event = buckets.photo("anna.jpg")
    away = partial(S3Store, "no-such-bucket")
    process = buckets.service()
    lost = replace(process, sink=Sink(away("out")), ledger=Ledger(away("out")))
    assert lost(event).reason == "outbox_unavailable"
    assert list(buckets.outbox.stamps(ATTEMPTS)) == []
