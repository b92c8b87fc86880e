"""The report's fields: what people script against."""

import json

import pytest

from handler.config.options import DEFAULTS, recipe_facts
from handler.outbox.photo_version import Checksums, PhotoVersion
from handler.processing import report
from handler.workers.outcome import Processed, Rejected
from pipeline.reasons import REASONS
from pipeline.recipe import OPTIONS
from sources.events import Event
from tests.handler.fakes import SOURCE, face, result

EVENT = Event("file:///in/sales/anna%FF.jpg", "sales/anna\udcff.jpg", "17-1-17", attempt=1)
SEEN = PhotoVersion(Checksums("ab" * 32, 1234, "cd" * 32), 10, 20)
CONTENT = {
    "uri": EVENT.uri, "version": "17-1-17", "sha256": "ab" * 32, "bytes": 1234, "sidecar_sha256": "cd" * 32,
}  # fmt: skip
RECIPE = recipe_facts(DEFAULTS)


def files(stem):
    return [{"name": f"{stem}.{kind}", "sha256": "ef", "bytes": 1, "width": 8, "height": 8} for kind in ("png", "jpg")]


def done(*stems):
    reply = Processed(RECIPE, result(EVENT.path, len(stems)), seen=SEEN)
    return report.done(EVENT, reply, [files(stem) for stem in stems], 2)


def test_a_done_photo_s_report_has_every_field_of_the_contract():
    assert done("anna") == {
        "outcome": "done",
        "reason": None,
        "hint": None,
        "source": CONTENT | SOURCE,
        "recipe": RECIPE,
        "faces": {"count": 1, **face(0)["faces"]},
        "geometry": face(0)["geometry"],
        "cutout": "applied",
        "restoration": "unavailable",
        "restored_faces": [],
        "notes": ["enlarged"],
        "outputs": files("anna"),
        "more": [],
        "models": [{"name": "u2net", "sha256": "8d", "licence": "Apache-2.0"}],
        "attempt": 2,
        "stages_ms": {"decode": 41.0, "detect": 60.2},
    }


def test_the_recipe_holds_every_option_and_where_it_came_from():
    recipe = done("anna")["recipe"]

    assert set(recipe) == {"digest", "from", *OPTIONS}
    assert set(recipe["from"]) == set(OPTIONS)


def test_further_faces_are_described_in_more_from_left_to_right():
    told = done("team-1", "team-2", "team-3")

    assert (told["faces"]["count"], told["outputs"]) == (3, files("team-1"))
    assert told["more"] == [
        {**face(100), "outputs": files("team-2")},
        {**face(200), "outputs": files("team-3")},
    ]


def test_a_rejected_photo_s_report_says_why_and_what_to_do():
    facts = {"source": SOURCE, "faces": {"count": 0}, "notes": ["first_frame_only"]}
    reply = Rejected("no_face_detected", "send another photo", RECIPE, facts, seen=SEEN)

    assert report.rejected(EVENT, reply, 1) == {
        "outcome": "rejected",
        "reason": "no_face_detected",
        "hint": "send another photo",
        "source": CONTENT | SOURCE,
        "recipe": RECIPE,
        "faces": {"count": 0},
        "notes": ["first_frame_only"],
        "outputs": [],
        "attempt": 1,
    }


def test_a_photo_that_could_not_be_decoded_has_a_report_all_the_same():
    told = report.rejected(EVENT, Rejected("not_an_image", "send a JPEG", seen=SEEN), 1)

    assert (told["source"], told["recipe"], told["notes"], told["outputs"]) == (CONTENT, {}, [], [])


@pytest.mark.parametrize("reason", ["unreadable", "processing_crashed", "processing_timed_out", "processing_error"])
def test_a_failed_photo_s_report_has_the_hint_of_its_reason_and_the_error(reason):
    assert report.failed(EVENT, SEEN, reason, "exit code -11", 3) == {
        "outcome": "failed",
        "reason": reason,
        "hint": REASONS[reason],
        "error": "exit code -11",
        "source": CONTENT,
        "notes": [],
        "outputs": [],
        "attempt": 3,
    }


def test_reports_are_json_whatever_the_names_are():
    for told in (done("anna\udcff"), report.failed(EVENT, SEEN, "unreadable", "\udcff\x00", 1)):
        assert json.loads(json.dumps(told)) == told
