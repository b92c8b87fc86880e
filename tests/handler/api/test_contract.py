"""The exchanges that were recorded from the original, replayed: same status, same keys, same types."""

import base64
import io

import pytest
from PIL import Image

from handler.api.models import ProcessResponse
from tests.handler.api.desk import Desk, jpeg

PROCESS = {
    "success": bool, "job_id": str, "processing_time_ms": int, "result": (dict, type(None)), "download_url": type(None),
    "png_url": (str, type(None)), "jpg_url": (str, type(None)), "png_base64": (str, type(None)),
    "jpg_base64": (str, type(None)), "error": (str, type(None)), "error_message": (str, type(None)),
}  # fmt: skip
NO_FACE = b"no face"


def has(content, types):
    return [name for name, kind in types.items() if name not in content or not isinstance(content[name], kind)] == []


def test_health(desk):
    answer = desk.get("/health")
    assert (answer.status, answer.json["status"]) == (200, "healthy")


def test_root_leads_to_docs(desk):
    answer = desk.get("/")
    assert (answer.status, answer.headers["Location"], answer.body) == (307, "/docs", b"")


def test_unknown_path_and_wrong_method(desk):
    assert (desk.get("/nothing").status, desk.get("/nothing").detail) == (404, "Not Found")
    answer = desk.get("/api/v1/process")
    assert (answer.status, answer.detail, answer.headers["Allow"]) == (405, "Method Not Allowed", "POST")
    assert desk.get("/redoc").status == 404


def test_process_answers_with_all_keys(desk):
    answer = desk.process()
    content = answer.json
    assert (answer.status, answer.headers.get_content_type()) == (200, "application/json")
    assert has(content, PROCESS)
    assert (content["success"], content["error"], content["status"]) == (True, None, "done")
    assert has(content["result"], {"face_detected": bool, "face_count": int, "file_size_bytes": int})
    assert has(content["result"]["face_position"], dict.fromkeys(("x", "y", "width", "height"), int))
    assert has(content["result"]["output_size"], dict.fromkeys(("width", "height"), int))
    assert content["png_url"].startswith(f"/api/v1/download/{content['job_id']}/png?t=")
    assert content["jpg_url"].startswith(f"/api/v1/download/{content['job_id']}/jpg?t=")
    assert (content["png_base64"], content["jpg_base64"], content["report"]["outcome"]) == (None, None, "done")


def test_process_without_a_face_is_200_and_no_success(desk):
    answer = desk.process(NO_FACE)
    content = answer.json
    assert (answer.status, has(content, PROCESS)) == (200, True)
    assert (content["success"], content["result"], content["png_url"], content["jpg_url"]) == (False, None, None, None)
    assert content["error"] == "no_face_detected"
    assert content["error_message"] == "No face could be detected in the image"


@pytest.mark.parametrize(("data", "reason"), [(b"x", "not_an_image"), (b"", "empty_file")])
def test_process_of_an_unreadable_picture_is_200_with_a_reason_and_no_path(desk, data, reason):
    answer = desk.process(data)
    assert (answer.status, answer.json["success"], answer.json["error"]) == (200, False, reason)
    assert "/" not in answer.json["error_message"]


def test_process_without_oval_mask_keeps_no_png(desk):
    content = desk.process(use_oval_mask="no").json
    assert (content["png_url"], content["result"]["file_size_bytes"]) == (
        None,
        content["report"]["outputs"][0]["bytes"],
    )
    assert desk.get(content["jpg_url"]).status == 200
    answer = desk.get(content["jpg_url"].replace("/jpg", "/png"))
    assert (answer.status, answer.detail) == (404, "PNG file not found")


def test_process_returns_images_in_base64(desk):
    content = desk.process(return_base64="TRUE").json
    png = base64.b64decode(content["png_base64"], validate=True)
    assert png == desk.get(content["png_url"]).body
    assert Image.open(io.BytesIO(base64.b64decode(content["jpg_base64"], validate=True))).format == "JPEG"


def test_process_of_what_is_no_picture_by_name_nor_content_is_400(desk):
    answer = desk.process(("file", "a.txt", b"text"))
    assert (answer.status, answer.detail) == (
        400,
        "Invalid format. Allowed: .avif, .bmp, .gif, .heic, .heif, .jpeg, .jpg, .png, .tif, .tiff, .webp",
    )
    assert desk.stored() == []
    assert desk.process(("file", "a.txt", jpeg())).json["success"]


@pytest.mark.parametrize("body", [None, b"{}"])
def test_process_without_a_form_misses_its_file(desk, body):
    answer = desk.ask("POST", "/api/v1/process", body, Content_Type="application/json")
    assert (answer.status, answer.detail) == (
        422,
        [{"type": "missing", "loc": ["body", "file"], "msg": "Field required", "input": None}],
    )


def test_process_with_a_text_for_a_file(desk):
    answer = desk.process(("file", None, b"abc"))
    assert (answer.status, answer.detail) == (
        422,
        [
            {
                "type": "value_error",
                "loc": ["body", "file"],
                "msg": "Value error, Expected UploadFile, received: <class 'str'>",
                "input": "abc",
                "ctx": {"error": {}},
            }
        ],
    )


def test_process_with_an_empty_file_name(desk):
    answer = desk.process(("file", "", jpeg()))
    assert (answer.status, answer.detail) == (400, "No file provided")
    assert desk.process(("file", "", b"")).status == 422


def test_wrong_fields_are_told_one_by_one(desk):
    answer = desk.process(jpeg(), width="abc", face_margin="x", use_oval_mask="maybe", height="400.5")
    assert answer.status == 422
    assert {(each["type"], *each["loc"]) for each in answer.detail} == {
        ("int_parsing", "body", "width"),
        ("int_parsing", "body", "height"),
        ("float_parsing", "body", "face_margin"),
        ("bool_parsing", "body", "use_oval_mask"),
    }
    assert all(each.keys() == {"type", "loc", "msg", "input"} for each in answer.detail)


@pytest.mark.parametrize(
    ("field", "value", "kind", "context"),
    [
        ("width", "63", "greater_than_equal", {"ge": 64}),
        ("height", "-5", "greater_than_equal", {"ge": 64}),
        ("width", "4097", "less_than_equal", {"le": 4096}),
        ("background_r", "999", "less_than_equal", {"le": 255}),
        ("face_margin", "1.5", "less_than_equal", {"le": 1}),
        ("enhance_fidelity", "-0.1", "greater_than_equal", {"ge": 0}),
        ("max_size_kb", "9", "greater_than_equal", {"ge": 10}),
    ],
)
def test_values_out_of_range_are_refused(desk, field, value, kind, context):
    (fault,) = desk.process(**{field: value}).detail
    assert (fault["type"], fault["loc"], fault["ctx"]) == (kind, ["body", field], context)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_no_number_is_refused(desk, value):
    assert desk.process(face_margin=value).status == 422


def test_fields_are_read_as_the_original_reads_them(desk):
    """A whole number with a point, an empty value, any case, query parameters and unknown fields."""
    answer = desk.post("process?width=900", jpeg(), width="400.0", height="", USE="x", enhance_face="OFF")
    recipe = answer.json["report"]["recipe"]
    used = desk.pool.jobs[-1].base.recipe
    assert (used.width, used.height, used.restore) == (400, 648, "off")
    assert recipe["digest"]


def test_a_field_sent_twice_counts_as_sent_last(desk):
    parts = [("width", None, b"100"), ("width", None, b"200"), ("file", "a.jpg", b"x"), ("file", "b.jpg", jpeg())]
    content = desk.process(*parts).json
    assert (content["success"], content["report"]["source"]["name"]) == (True, "b.jpg")
    assert desk.pool.jobs[-1].base.recipe.width == 200


def test_quick_answers_with_the_png_alone_and_stores_nothing(desk):
    answer = desk.post("process/quick", ("file", "a.txt", jpeg()), size=300)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(answer.body)).format == "PNG"
    assert "Content-Disposition" not in answer.headers
    assert (desk.pool.jobs[-1].base.recipe.width, desk.pool.jobs[-1].base.recipe.height) == (300, 300)
    assert desk.stored() == []


@pytest.mark.parametrize(("data", "reason"), [(NO_FACE, "no_face_detected"), (b"x", "not_an_image")])
def test_quick_without_a_portrait_is_400(desk, data, reason):
    answer = desk.post("process/quick", data)
    assert (answer.status, answer.detail) == (400, reason)


def test_batch_answers_for_each_photo_in_order(desk):
    photos = [("files", "a.jpg", jpeg()), ("files", "b.png", NO_FACE), ("files", "sub/a.png", jpeg())]
    answer = desk.post("process/batch", *photos)
    content = answer.json
    counts = {name: content[name] for name in ("total", "successful", "failed")}
    assert (answer.status, counts) == (200, {"total": 3, "successful": 2, "failed": 1})
    assert [each["filename"] for each in content["results"]] == ["a.jpg", "b.png", "sub/a.png"]
    assert content["results"][1]["error"] == "no_face_detected"
    assert content["results"][1]["error_message"] == "No face could be detected in the image"
    urls = [each["download_url"].split("?")[0] for each in content["results"] if each["success"]]
    assert urls == [f"/api/v1/download/{content['job_id']}/{stem}/png" for stem in ("a", "a-2")]
    for each in content["results"]:
        assert has(each, {"filename": str, "success": bool})
        assert {"png_base64", "jpg_base64"}.isdisjoint(each)
        assert each["download_url"] is None or desk.get(each["download_url"]).status == 200


def test_batch_whose_photos_all_fail_is_200(desk):
    answer = desk.post("process/batch", ("files", "a.jpg", NO_FACE))
    assert (answer.status, answer.json["failed"], answer.json["status"]) == (200, 1, "failed")


def test_batch_returns_base64_only_where_it_was_asked_for(desk):
    item = desk.post("process/batch", ("files", "a.jpg", jpeg()), return_base64="true").json["results"][0]
    assert base64.b64decode(item["png_base64"]) == desk.get(item["download_url"]).body


def test_batch_wants_the_field_files(desk):
    assert desk.post("process/batch", jpeg()).detail[0]["loc"] == ["body", "files"]


def test_batch_has_no_file_of_its_own(desk):
    content = desk.post("process/batch", ("files", "a.jpg", jpeg())).json
    answer = desk.get(f"/api/v1/download/{content['job_id']}/png")
    assert (answer.status, answer.detail) == (404, "PNG file not found")


def test_deleting_a_job(desk):
    job_id = desk.process().json["job_id"]
    assert desk.ask("DELETE", f"/api/v1/jobs/{job_id}").json == {"message": f"Job {job_id} deleted"}
    answer = desk.ask("DELETE", f"/api/v1/jobs/{job_id}")
    assert (answer.status, answer.json) == (200, {"message": f"Job {job_id} not found"})
    assert list(desk.settings.outbox.joinpath("jobs").iterdir()) == []


@pytest.mark.parametrize("job_id", ["%2e%2e", "..%2f..", "%00", "AAAAAAAA", "1234567", "123456789"])
@pytest.mark.parametrize("path", ["/api/v1/jobs/{}", "/api/v1/download/{}/png", "/api/v1/download/{}/a/png"])
def test_an_id_that_no_job_has_reaches_no_file(desk, job_id, path):
    desk.settings.outbox.joinpath("a.png").write_bytes(b"x")
    for method in ("GET", "DELETE") if "jobs" in path else ("GET",):
        answer = desk.ask(method, path.format(job_id))
        assert (answer.status, answer.detail) in ((404, "Job not found"), (404, "Not Found"))
    assert desk.settings.outbox.joinpath("a.png").exists()


def test_download_of_another_format(desk):
    job_id = desk.process().json["job_id"]
    for format_ in ("jpeg", "PNG"):
        answer = desk.get(f"/api/v1/download/{job_id}/{format_}")
        assert (answer.status, answer.detail) == (400, "Invalid format. Use 'png' or 'jpg'")
    assert desk.get("/api/v1/download/00000000/jpeg").status == 404


def test_settings_are_the_defaults_of_fields(tmp_path):
    variables = {"DEFAULT_WIDTH": 300, "DEFAULT_BACKGROUND_R": 10, "DEFAULT_OVAL_MASK": "false", "RESTORE": "off"}
    with Desk(tmp_path, **variables) as desk:
        for path in ("process", "process/quick"):
            desk.post(path, jpeg())
            used = desk.pool.jobs[-1].base.recipe
            assert (used.width, used.background, used.oval_mask) == (300, "#0AF0F0", False)
        assert "enhance_face_ignored" in desk.process(enhance_face="true").json["report"]["notes"]


def test_every_model_has_the_keys_of_the_original():
    assert list(ProcessResponse.model_fields)[: len(PROCESS)] == list(PROCESS)


def test_the_smoke_test_of_the_original_finds_its_words_also_where_there_is_no_face(desk):
    """It looks for `no face` in a 400, which the original's own `no_face_detected` does not contain: the hint does."""
    answer = desk.post("process/quick", NO_FACE)
    assert (answer.status, b"no face" in answer.body.lower()) == (400, True)
