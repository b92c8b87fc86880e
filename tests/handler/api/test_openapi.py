"""/openapi.json is what the API does: operation ids of the original, and real answers that keep to the schemas."""

import json

import jsonschema
import pytest

from tests.handler.api.desk import Desk, jpeg

OPERATIONS = {
    ("/health", "get"): "health_check_health_get",
    ("/ready", "get"): "readiness_check_ready_get",
    ("/status", "get"): "detailed_status_status_get",
    ("/api/v1/process", "post"): "process_single_photo_api_v1_process_post",
    ("/api/v1/process/quick", "post"): "process_quick_api_v1_process_quick_post",
    ("/api/v1/process/batch", "post"): "process_batch_api_v1_process_batch_post",
    ("/api/v1/download/{job_id}/{format}", "get"): "download_processed_photo_api_v1_download__job_id___format__get",
    ("/api/v1/jobs/{job_id}", "delete"): "cleanup_job_api_v1_jobs__job_id__delete",
}


@pytest.fixture
def document(desk):
    return desk.get("/openapi.json").json


def keeps_to(document, answer, path, method="post"):
    """Whether the answer's body is what the document says of its status."""
    response = document["paths"][path][method]["responses"][str(answer.status)]
    schema = response["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json, schema | {"components": document["components"]}, jsonschema.Draft202012Validator)
    return True


def test_document_is_openapi_3_1_with_the_operation_ids_of_the_original(document):
    assert (document["openapi"], document["info"]["title"]) == ("3.1.0", "Facecraft API")
    assert {place: document["paths"][place[0]][place[1]]["operationId"] for place in OPERATIONS} == OPERATIONS
    ids = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(ids) == len(set(ids))


def test_document_refers_only_to_schemas_that_it_has(document):
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= document["components"]["schemas"].keys()
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_real_answers_keep_to_the_document(desk, document):
    files = [("files", "a.jpg", jpeg()), ("files", "b.jpg", b"no face")]
    for answer in (
        desk.process(),
        desk.process(b"no face"),
        desk.process(face_policy="all", return_base64="true"),
        desk.process(width="x"),
        desk.process(("file", "a.txt", b"x")),
        desk.post("process?async=true", jpeg()),
    ):
        assert keeps_to(document, answer, "/api/v1/process")
    assert keeps_to(document, desk.post("process/batch", *files), "/api/v1/process/batch")
    assert keeps_to(document, desk.post("process/batch", *files, return_base64="yes"), "/api/v1/process/batch")
    assert keeps_to(document, desk.post("process/quick", b"no face"), "/api/v1/process/quick")
    job = desk.process().json["job_id"]
    assert keeps_to(document, desk.get(f"/api/v1/jobs/{job}"), "/api/v1/jobs/{job_id}", "get")
    assert keeps_to(document, desk.ask("DELETE", f"/api/v1/jobs/{job}"), "/api/v1/jobs/{job_id}", "delete")
    for name in ("/health", "/ready"):
        assert keeps_to(document, desk.get(name), name, "get")


def test_refusals_keep_to_the_document(tmp_path):
    with Desk(tmp_path, MAX_UPLOAD_SIZE_MB=1, API_KEY="k") as desk:
        document = desk.get("/openapi.json").json
        key = {"X-API-Key": "k"}
        assert keeps_to(document, desk.process(), "/api/v1/process")
        assert keeps_to(document, desk.process(bytes(2**20 + 1), headers=key), "/api/v1/process")
        desk.reasons = ["not yet"]
        assert keeps_to(document, desk.process(headers=key), "/api/v1/process")
        assert keeps_to(document, desk.get("/api/v1/jobs/00000000", X_API_Key="k"), "/api/v1/jobs/{job_id}", "get")


def test_every_option_is_a_field(document):
    from pipeline.recipe import OPTIONS

    for name in ("process_single_photo_api_v1_process_post", "process_quick_api_v1_process_quick_post"):
        fields = document["components"]["schemas"][f"Body_{name}"]["properties"]
        assert OPTIONS.keys() | {"preset", "use_oval_mask", "enhance_face", "background_r"} <= fields.keys()


def test_docs_need_nothing_from_elsewhere(desk):
    answer = desk.get("/docs")
    page = answer.body.decode()
    assert (answer.status, answer.headers.get_content_type()) == (200, "text/html")
    assert "://" not in page
    assert "validatorUrl: null" in page
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "oauth2-redirect.js", "favicon-32x32.png"):
        assert desk.get(f"/docs/{name}").status == 200
    assert desk.get("/docs/oauth2-redirect").status == 200
    assert desk.get("/docs/LICENSE").status == 404


def test_swagger_ui_is_there_with_its_licence():
    from pathlib import Path

    from handler.api.docs import pages

    folder = Path(pages.__file__).with_name("swagger")
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert (folder / "NOTICE").exists()
