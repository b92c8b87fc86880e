import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ModelError, PhotoRejected
from pipeline.face import geometry
from pipeline.image.affine import apply, sample
from pipeline.image.provenance import owner_of
from pipeline.pipeline import PortraitPipeline
from pipeline.recipe import Recipe
from pipeline.types import Limits, Result
from tests.conftest import PORTRAITS, model_set, pixels


def made(portrait_pipeline: PortraitPipeline, name: str, **options) -> Result:
    return portrait_pipeline.process((PORTRAITS / name).read_bytes(), Recipe(**options), Limits(), f"photos/{name}")


def encoded(picture: np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


def opened(result: Result, kind: str, number: int = 0) -> Image.Image:
    data = next(picture.data for picture in result.portraits[number].pictures if picture.kind == kind)
    return Image.open(io.BytesIO(data))


@pytest.fixture(scope="module")
def astronaut(portrait_pipeline):
    return made(portrait_pipeline, "astronaut.png")


def test_a_portrait_is_a_png_with_alpha_and_a_small_jpeg(astronaut):
    png, jpeg = opened(astronaut, "png"), opened(astronaut, "jpg")

    assert (png.mode, png.size) == ("RGBA", (648, 648))
    assert (jpeg.mode, jpeg.size) == ("RGB", (648, 648))
    assert all(len(picture.data) <= 99 * 1024 for picture in astronaut.portraits[0].pictures if picture.kind == "jpg")
    assert {owner_of(picture.data) for picture in astronaut.portraits[0].pictures} == {"photos/astronaut.png"}


def test_the_facts_are_json_and_name_the_models(astronaut):
    facts = json.loads(json.dumps(astronaut.facts | astronaut.portraits[0].facts | {"ms": astronaut.stages_ms}))

    assert facts["source"] == {"format": "PNG", "width": 512, "height": 512}
    assert facts["face_count"] == 1
    assert len(facts["faces"]["landmarks"]) == 68
    assert facts["cutout"] == "applied"
    assert [model["name"] for model in facts["models"]] == ["landmarks_68", "mmod", "u2netp"]
    assert set(facts["ms"]) == {"decode", "detect", "landmarks", "cutout", "tone", "encode"}


def test_the_transform_in_the_report_puts_the_eyes_level_and_the_face_in_the_middle(astronaut):
    facts = astronaut.portraits[0].facts

    finished = apply(np.array(facts["geometry"]["source_to_output"]), np.array(facts["faces"]["landmarks"]))

    assert np.degrees(geometry.roll(finished)) == pytest.approx(0, abs=0.2)
    assert geometry.centre(finished)[0] == pytest.approx(323.5, abs=1)


def test_the_transform_in_the_report_is_what_the_pixels_show(portrait_pipeline):
    """The photo, sampled through the report's matrix by another library, is the portrait."""
    result = made(portrait_pipeline, "portrait_bokeh.jpg", photo_enhance=False, oval_mask=False)
    matrix = np.array(result.portraits[0].facts["geometry"]["source_to_output"])
    full = np.vstack([matrix, [0, 0, 1]])
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # PIL counts from the corner of a pixel
    back = half @ np.linalg.inv(full) @ np.linalg.inv(half)
    photo = Image.fromarray(pixels("portrait_bokeh.jpg"))

    again = photo.transform((648, 648), Image.Transform.AFFINE, tuple(back[:2].ravel()), Image.Resampling.BICUBIC)

    portrait = np.asarray(opened(result, "png"))
    solid = portrait[:, :, 3] == 255
    assert np.abs(portrait[:, :, :3].astype(int) - np.asarray(again))[solid].mean() < 1.5


def test_the_corners_are_transparent_and_the_face_is_opaque(astronaut):
    alpha = np.asarray(opened(astronaut, "png"))[:, :, 3]

    assert alpha[0, 0] == alpha[0, -1] == alpha[-1, 0] == alpha[-1, -1] == 0
    assert (alpha[300:380, 280:370] == 255).all()


def test_without_the_oval_the_shoulders_stay(portrait_pipeline, astronaut):
    whole = made(portrait_pipeline, "astronaut.png", oval_mask=False)

    assert "frame_widened" not in whole.facts["notes"]
    with_oval, without = (np.asarray(opened(each, "png"))[-20:, :, 3] > 250 for each in (astronaut, whole))
    assert with_oval.mean() < 0.3
    assert without[:, 20:200].all()  # one shoulder
    assert without.mean() > 0.8


@pytest.mark.parametrize(("width", "height"), [(64, 64), (413, 531), (1200, 300)])
def test_every_output_size_is_kept(portrait_pipeline, width, height):
    result = made(portrait_pipeline, "portrait_bokeh.jpg", width=width, height=height)

    assert opened(result, "png").size == opened(result, "jpg").size == (width, height)


def test_the_background_is_the_recipe_s(portrait_pipeline):
    corner = np.asarray(opened(made(portrait_pipeline, "portrait_bokeh.jpg", background="#1E64C8"), "jpg"))[:8, :8]

    assert np.abs(corner.reshape(-1, 3).mean(axis=0) - (30, 100, 200)).max() < 3


def test_photo_enhance_off_keeps_the_pixels_of_a_dark_photo(portrait_pipeline):
    dark = (pixels("portrait_bokeh.jpg") * 0.4).astype(np.uint8)

    plain, enhanced = (
        portrait_pipeline.process(encoded(dark), Recipe(photo_enhance=enhance), Limits(), "a.png")
        for enhance in (False, True)
    )

    matrix = np.array(plain.portraits[0].facts["geometry"]["source_to_output"])
    photo = sample(dark, matrix, 648, 648)[300:380, 280:370].astype(int)
    kept, corrected = (np.asarray(opened(each, "png"))[300:380, 280:370, :3] for each in (plain, enhanced))
    assert np.abs(kept - photo).max() <= 2
    assert corrected.mean() > 1.3 * photo.mean()


def test_a_grey_photo_gives_a_grey_portrait(portrait_pipeline):
    grey = np.repeat(pixels("portrait_bokeh.jpg")[:, :, 1:2], 3, axis=2)

    result = portrait_pipeline.process(encoded(grey), Recipe(), Limits(), "a.png")

    inside = np.asarray(opened(result, "png"))
    assert np.ptp(inside[inside[:, :, 3] > 0][:, :3].astype(int), axis=1).max() == 0


SAME = {"TIFF": {}, "BMP": {}, "WEBP": {"lossless": True}}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_picture_in_another_format_gives_the_same_files(portrait_pipeline, kind):
    picture = pixels("portrait_bokeh.jpg")
    expected = portrait_pipeline.process(encoded(picture), Recipe(), Limits(), "a")

    assert (
        portrait_pipeline.process(encoded(picture, kind, **SAME[kind]), Recipe(), Limits(), "a").portraits
        == expected.portraits
    )


def test_a_photo_turned_by_its_exif_equals_its_upright_twin(portrait_pipeline):
    upright = pixels("portrait_bokeh.jpg")
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    turned = encoded(np.ascontiguousarray(np.rot90(upright)), exif=exif)

    one, other = (portrait_pipeline.process(data, Recipe(), Limits(), "a") for data in (turned, encoded(upright)))

    assert one.portraits == other.portraits


def test_a_photo_that_lies_on_its_side_is_turned_by_its_face(portrait_pipeline):
    lying = np.ascontiguousarray(np.rot90(pixels("portrait_bokeh.jpg")))

    result = portrait_pipeline.process(encoded(lying), Recipe(), Limits(), "a.png")

    upright = made(portrait_pipeline, "portrait_bokeh.jpg")
    assert "turned" in result.facts["notes"]
    one, other = (np.asarray(opened(each, "jpg")).astype(int) for each in (result, upright))
    assert np.abs(one - other).mean() < 4


def test_all_faces_from_left_to_right(portrait_pipeline):
    result = made(portrait_pipeline, "two_people_award.jpg", face_policy="all")

    left, right = (portrait.facts["faces"]["box"][0] for portrait in result.portraits)
    assert left < right
    assert result.facts["face_count"] == 2


def test_several_faces_are_noted_and_counted(portrait_pipeline):
    result = made(portrait_pipeline, "two_people_award.jpg")

    assert len(result.portraits) == 1
    assert result.facts["face_count"] == 2
    assert "several_faces" in result.facts["notes"]


def test_policy_reject_says_how_many(portrait_pipeline):
    with pytest.raises(PhotoRejected, match="several_faces") as caught:
        made(portrait_pipeline, "two_people_award.jpg", face_policy="reject")

    assert caught.value.facts["faces"] == {"count": 2}


def test_a_cat_is_rejected_with_its_facts(portrait_pipeline):
    with pytest.raises(PhotoRejected, match="no_face_detected") as caught:
        made(portrait_pipeline, "no_face_cat.png")

    assert caught.value.facts["source"] == {"format": "PNG", "width": 451, "height": 300}


def test_a_result_that_comes_back_is_rejected(portrait_pipeline, astronaut):
    for picture in astronaut.portraits[0].pictures:
        with pytest.raises(PhotoRejected, match="own_output"):
            portrait_pipeline.process(picture.data, Recipe(), Limits(), "again.png")


def test_a_small_face_says_that_it_was_enlarged(astronaut):
    assert "enlarged" in astronaut.facts["notes"]


def test_a_face_at_the_edge_is_shown_with_a_note_and_no_invented_pixels(portrait_pipeline):
    cut = np.ascontiguousarray(pixels("portrait_bokeh.jpg")[:, 180:])

    result = portrait_pipeline.process(encoded(cut), Recipe(oval_mask=False), Limits(), "a.png")

    facts = result.portraits[0].facts
    alpha = np.asarray(opened(result, "png"))[:, :, 3]
    edge = apply(np.array(facts["geometry"]["source_to_output"]), np.array([[-0.5, 0.0], [-0.5, 511]]))[:, 0].min()
    assert "face_cut_off" in result.facts["notes"]
    assert alpha[:, : int(edge) - 2].max() == 0


def test_a_person_who_ends_with_the_photo_inside_the_oval_is_noted(portrait_pipeline):
    whole = made(portrait_pipeline, "portrait_bokeh.jpg")
    bottom = max(y for _, y in whole.portraits[0].facts["faces"]["landmarks"])
    cut = np.ascontiguousarray(pixels("portrait_bokeh.jpg")[: int(bottom) + 8])

    assert "person_cut_off" not in whole.facts["notes"]
    assert "person_cut_off" in portrait_pipeline.process(encoded(cut), Recipe(), Limits(), "a.png").facts["notes"]


def test_the_five_point_model_makes_portraits_too(models):
    result = made(PortraitPipeline(model_set(models, landmarks="landmarks_5")), "portrait_bokeh.jpg")

    assert result.portraits[0].facts["faces"]["landmark_model"] == "5"
    assert len(result.portraits[0].facts["faces"]["landmarks"]) == 5


def test_a_model_that_changed_since_it_was_verified_is_not_loaded(models):
    verified = model_set(models)
    changed = replace(verified, cutout=replace(verified.cutout, size=1))

    with pytest.raises(ModelError, match="changed since it was verified"):
        PortraitPipeline(changed)


def test_a_photo_cut_to_a_disc_gives_the_person_and_not_the_disc(portrait_pipeline):
    picture = pixels("portrait_glasses_scarf.jpg")
    y, x = np.mgrid[0:1020, 0:1020]
    disc = np.where(np.hypot(x - 510, y - 510) < 505, 255, 0).astype(np.uint8)

    result = portrait_pipeline.process(encoded(np.dstack([picture, disc])), Recipe(oval_mask=False), Limits(), "a.png")
    plain = portrait_pipeline.process(encoded(picture), Recipe(oval_mask=False), Limits(), "a.png")

    one, other = (np.asarray(opened(each, "png"))[:, :, 3].astype(int) for each in (result, plain))
    assert "had_transparency" in result.facts["notes"]
    assert np.abs(one - other).mean() < 12


def test_process_empty_or_transparent_picture_hint_says_so(portrait_pipeline):
    grey, clear = Image.new("RGB", (200, 200), (9, 9, 9)), Image.new("RGBA", (200, 200), (200, 90, 30, 0))
    face = Image.open(PORTRAITS / "astronaut.png").convert("RGB").resize((200, 200))
    files = {
        "all of it has one colour": encoded(np.asarray(grey)),
        "the picture is fully transparent": encoded(np.asarray(clear)),
        "the first of the file's pictures is empty": encoded(np.asarray(grey), save_all=True, append_images=[face]),
        "the first of the file's pictures is fully": encoded(
            np.asarray(clear), save_all=True, append_images=[clear, face]
        ),
    }
    files["pictures is empty: all"] = encoded(np.asarray(grey), "GIF", save_all=True, append_images=[face])
    for words, data in files.items():
        with pytest.raises(PhotoRejected, match="no_face_detected") as caught:
            portrait_pipeline.process(data, Recipe(), Limits(), "empty")
        assert words in caught.value.hint
