"""A photo that comes with its call: the answer holds its report and its images, and nothing is stored."""

import base64
import io
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handler.config.options import DEFAULTS
from handler.config.settings import CommonSettings
from handler.serverless.direct import ANSWER_BYTES, InlineProcess, parse_request
from handler.serverless.function import FunctionError, Invocation, LambdaFunction
from handler.workers import child
from handler.workers.outcome import Failed, Processed
from handler.workers.pool import PoolUnavailable
from handler.workers.worker_process import WorkerDied, WorkerTimedOut
from pipeline.recipe import OPTIONS
from pipeline.types import Limits, Picture, Rendered
from sources.stores.local import FileStore
from sources.stores.memory import MemoryStore
from tests.handler.fakes import FakePool, done, portrait, refused, result

REQUEST = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
PHOTO = b"\xff\xd8a photo"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def encoded(photo=PHOTO):
    return base64.b64encode(photo).decode()


def ask(*answers, outbox=None, **event):
    """What a call with the photo is answered, and the job that the pool was given."""
    pool = FakePool(*answers)
    inline = InlineProcess(DEFAULTS, Limits(), pool, outbox)
    asked = parse_request({"image": encoded()} | event)
    return inline(asked.image, asked.options, REQUEST), pool.jobs


def large(job, size=ANSWER_BYTES):
    """A worker's reply with a PNG of so many bytes."""
    reply = done(job)
    picture = Picture("png", b"\x00" * size, 8, 8)
    rendered = Rendered((picture, portrait("image").pictures[0]), reply.result.portraits[0].facts)
    return Processed(reply.recipe, replace(reply.result, portraits=(rendered,)), seen=reply.seen)


def test_inline_answer_is_report_with_images():
    answer, jobs = ask()

    assert jobs[0].inbox.read(jobs[0].path).data == PHOTO
    assert (answer["outcome"], answer["attempt"], answer["recipe"]["width"]) == ("done", 1, 648)
    assert [file["name"] for file in answer["outputs"]] == ["portrait.png", "portrait.jpg"]
    for file in answer["outputs"]:
        data = base64.b64decode(file["image"], validate=True)
        assert (len(data), Image.open(io.BytesIO(data)).size) == (file["bytes"], (file["width"], file["height"]))


def test_inline_answer_is_the_same_for_each_call():
    assert ask()[0] == ask()[0]
    assert ask()[0]["source"]["uri"] == "invocation:image"


def test_inline_several_portraits_are_all_in_answer():
    answer, _ = ask(lambda job: done(job, faces=3))

    names = [file["name"] for part in (answer, *answer["more"]) for file in part["outputs"]]
    assert names == [f"portrait-{number}.{kind}" for number in (1, 2, 3) for kind in ("png", "jpg")]
    assert all("image" in file for part in answer["more"] for file in part["outputs"])


def test_inline_options_are_used_and_their_origin_reported():
    _, jobs = ask(options={"width": 800, "oval_mask": False})

    assert (jobs[0].base.recipe.width, jobs[0].base.recipe.oval_mask) == (800, False)
    assert (jobs[0].base.origins["width"], jobs[0].base.origins["height"]) == ("invocation", "default")


@pytest.mark.parametrize("options", [{"widht": 800}, {"width": "wide"}, {"width": -1}, {"": ""}])
def test_inline_invalid_options_reject_photo(options):
    answer, jobs = ask(options=options)

    assert (answer["outcome"], answer["reason"], jobs) == ("rejected", "invalid_options", [])
    assert "the invocation says" in answer["hint"]
    assert answer["source"]["bytes"] == len(PHOTO)


def test_inline_rejected_photo_is_an_answer():
    answer, _ = ask(refused)

    assert (answer["outcome"], answer["reason"], answer["outputs"]) == ("rejected", "no_face_detected", [])
    assert "No face was found" in answer["hint"]


def test_inline_photo_over_limit_is_an_answer():
    def too_large(job):
        return child.process_photo(replace(job, limits=Limits(max_bytes=4)), portrait_pipeline=None)

    answer, _ = ask(too_large)
    assert (answer["outcome"], answer["reason"], answer["source"]["bytes"]) == ("rejected", "too_large", len(PHOTO))


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (PoolUnavailable("the service is stopping"), "RetryLater", "the service is stopping: call again"),
        (WorkerDied("exit code -11"), "ProcessingCrashed", "ended its process.*exit code -11"),
        (WorkerTimedOut("no result after 9.0 s"), "ProcessingTimedOut", "no result after 9.0 s"),
        (Failed("processing_error", "ValueError: x"), "ProcessingError", "ValueError: x"),
    ],
)
def test_inline_failure_that_is_not_the_photo_s_raises(fault, kind, words):
    with pytest.raises(FunctionError, match=words) as caught:
        ask(fault)
    assert caught.value.kind == kind


# Answers that are too large


def test_inline_large_images_go_to_outbox(tmp_path):
    outbox = FileStore(tmp_path)
    answer, _ = ask(large, outbox=outbox)

    names = [f"invocations/{REQUEST}.{kind}" for kind in ("png", "jpg")]
    assert [(file["name"], file["uri"]) for file in answer["outputs"]] == [(name, outbox.uri(name)) for name in names]
    assert all("image" not in file for file in answer["outputs"])
    assert [len(outbox.read(name).data) for name in names] == [file["bytes"] for file in answer["outputs"]]
    assert sorted(outbox.list()) == sorted(names)


def test_inline_repeated_call_replaces_its_images(tmp_path):
    outbox = FileStore(tmp_path)
    for size in (ANSWER_BYTES, ANSWER_BYTES + 1):
        ask(lambda job, size=size: large(job, size), outbox=outbox)

    assert len(outbox.read(f"invocations/{REQUEST}.png").data) == ANSWER_BYTES + 1


def test_inline_large_images_without_outbox_raises():
    with pytest.raises(FunctionError, match="ask for less") as caught:
        ask(large)
    assert caught.value.kind == "AnswerTooLarge"


def test_inline_unavailable_outbox_raises(tmp_path):
    (tmp_path / "invocations").write_bytes(b"no folder")

    with pytest.raises(FunctionError, match=r"cannot be written.*call again") as caught:
        ask(large, outbox=FileStore(tmp_path))
    assert caught.value.kind == "OutboxUnavailable"


@settings(deadline=None, max_examples=20)
@given(st.integers(-40_000, 1000))
def test_inline_answer_is_never_over_limit(tmp_path_factory, more):
    """Around the size at which an answer is just small enough: base64 makes four bytes of three."""
    outbox = FileStore(tmp_path_factory.mktemp("out"))
    answer, _ = ask(lambda job: large(job, ANSWER_BYTES * 3 // 4 + more), outbox=outbox)

    assert len(json.dumps(answer)) <= ANSWER_BYTES
    assert ("image" in answer["outputs"][0]) == (list(outbox.list()) == [])


# Calls


@pytest.mark.parametrize("image", [None, 7, "", "  ", [], "no base64!", "YQ", "data:image/jpeg;base64,YQ==", "é"])
def test_parse_request_invalid_image_raises(image):
    with pytest.raises(FunctionError, match=r"base64 -w0 anna.jpg") as caught:
        parse_request({"image": image})
    assert caught.value.kind == "InvalidImage"


def test_parse_request_base64_in_lines_is_decoded():
    assert parse_request({"image": base64.encodebytes(bytes(range(256))).decode()}).image == bytes(range(256))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"option": {}}, "did you mean options"),
        ({"options": [1]}, r"write an object, as in \{\"width\": 800\}"),
        ({"options": "width=800"}, "options is 'width=800'"),
    ],
)
def test_parse_request_invalid_call_raises(event, words):
    with pytest.raises(FunctionError, match=words) as caught:
        parse_request({"image": encoded()} | event)
    assert caught.value.kind == "InvalidEvent"


def test_parse_request_empty_options_are_none():
    assert [parse_request({"image": encoded(), "options": options}).options for options in (None, {})] == [{}, {}]


class PortraitPipeline:
    """Makes one portrait of every photo."""

    def process(self, data, recipe, limits, path):
        return result(path)


class Pool:
    """The real worker's answer, its models played."""

    def run(self, job):
        return child.process_photo(job, PortraitPipeline())


@given(
    st.fixed_dictionaries(
        {"image": st.binary(max_size=20).map(encoded) | json_values},
        optional={
            "options": st.dictionaries(st.sampled_from(sorted(OPTIONS)) | st.text(), json_values),
            "x": json_values,
        },
    )
)
def test_inline_any_call_is_answered_in_json_or_raises_with_fix(event):
    try:
        answer = LambdaFunction(CommonSettings(), Pool())(event, Invocation(REQUEST, lambda: math.inf))
    except FunctionError as error:
        assert error.kind in {"InvalidEvent", "InvalidImage", "NoInbox"}
        assert str(error)
        return
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert answer["outcome"] in {"done", "rejected"}
    assert (answer["outcome"] == "done") == bool(answer["outputs"])
    assert (answer["hint"] is None) == (answer["reason"] is None) == (answer["outcome"] == "done")


def test_inline_photo_has_its_checksum_as_version():
    store = MemoryStore("invocation", {"image": PHOTO})
    assert child.read_version(ask()[1][0]).seen.checksums.sha256 == store.read("image").version
