import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.config.options import (
    DEFAULTS,
    SIDECAR_BYTES,
    PresetsError,
    built_in_presets,
    layered,
    load_presets,
    preset_of,
    recipe_facts,
    resolve,
)
from pipeline.errors import PhotoRejected
from pipeline.recipe import OPTIONS

PRESETS = {"linkedin": {"width": 800, "height": 800}, "web": {"width": 300}}


def refusal(sidecar):
    with pytest.raises(PhotoRejected) as caught:
        resolve(DEFAULTS, "a.jpg", PRESETS, sidecar)
    assert caught.value.reason == "invalid_options"
    return caught.value.hint


def test_without_layers_the_defaults_hold():
    assert resolve(DEFAULTS, "sales/anna.jpg", PRESETS) == DEFAULTS


def test_the_stronger_layer_wins_and_every_origin_is_told():
    base = layered(DEFAULTS, {"width": 500, "dpi": 72, "height": 500}, "settings")
    resolved = resolve(base, "linkedin/anna.jpg", PRESETS, b"height = 900\nbackground = '#fff'")
    recipe = resolved.recipe
    assert (recipe.width, recipe.height, recipe.dpi, recipe.background) == (800, 900, 72, "#FFFFFF")
    told = {name: resolved.origins[name] for name in ("width", "height", "dpi", "background", "oval_mask")}
    assert told == {
        "width": "preset:linkedin",
        "height": "sidecar",
        "dpi": "settings",
        "background": "sidecar",
        "oval_mask": "default",
    }


@pytest.mark.parametrize(
    ("path", "preset"),
    [
        ("anna.jpg", None),
        ("linkedin", None),
        ("linkedin/anna.jpg", "linkedin"),
        ("a/LinkedIn/b/anna.jpg", "linkedin"),
        ("web/linkedin/anna.jpg", "linkedin"),
        ("linkedin/web/x/anna.jpg", "web"),
        ("linkedin2/anna.jpg", None),
    ],
)
def test_the_deepest_folder_with_a_presets_name_decides(path, preset):
    assert preset_of(path, PRESETS) == preset


@pytest.mark.parametrize(
    ("sidecar", "words"),
    [
        (b"width = ", "not TOML"),
        (b"\xff\xfew\x00", "not UTF-8"),
        (b"widht = 800", "did you mean width?"),
        (b"width = 8", "8 is not a whole number from 64 to 4096; for example 648"),
        (b"restore = 'maybe'", "one of auto, on, off"),
        (b"[width]\nx = 1", "a value of type dict is not a whole number"),
        (b"a = " + b"[" * 20_000, "nested too deeply"),
        (b".".join([b"a"] * 30_000) + b" = 1", "more than 200 dots in one line"),
        (b"[" + b".".join([b"a"] * 30_000) + b"]", "more than 200 dots in one line"),
        (b"\n".join(b"a%d=1" % number for number in range(1001)), "1,001 options; there are only"),
        (b"width = " + b"9" * 5000, "not TOML"),
        (b"#" * (SIDECAR_BYTES + 1), "65,537 bytes"),
    ],
)
def test_a_broken_sidecar_rejects_the_photo_and_says_why(sidecar, words):
    assert words in refusal(sidecar)


def test_several_faults_are_told_at_once_but_not_all_of_many():
    assert "width: 1 is" in (hint := refusal(b"width = 1\nheight = 2")) and "height: 2 is" in hint
    assert "and 97 more" in refusal(b"\n".join(b"k%d = 1" % n for n in range(100)))


def test_a_sidecar_from_a_windows_editor_is_read():
    resolved = resolve(DEFAULTS, "a.jpg", {}, b"\xef\xbb\xbfwidth = 800\r\noval_mask = false\r\n")
    assert (resolved.recipe.width, resolved.recipe.oval_mask) == (800, False)


def test_an_empty_sidecar_changes_nothing():
    assert resolve(DEFAULTS, "a.jpg", {}, b"") == DEFAULTS


@given(st.binary() | st.text().map(lambda text: f"width = {text}".encode("utf-8", "surrogatepass")))
def test_no_sidecar_raises_anything_but_a_rejection(sidecar):
    try:
        resolve(DEFAULTS, "a.jpg", {}, sidecar)
    except PhotoRejected as error:
        assert error.reason == "invalid_options"


def test_the_reports_recipe_has_digest_all_options_and_their_origins():
    facts = recipe_facts(layered(DEFAULTS, {"width": 700}, "sidecar"))
    assert facts.keys() == {"digest", "from", *OPTIONS}
    assert (facts["width"], facts["from"]["width"], facts["from"]["dpi"]) == (700, "sidecar", "default")


def test_every_built_in_preset_makes_a_recipe():
    for name in built_in_presets():
        assert resolve(DEFAULTS, f"{name}/a.jpg", built_in_presets()).origins["width"] == f"preset:{name}"


def test_document_presets_leave_the_photo_as_it_is():
    for name in ("passport-eu", "passport-us", "visa-schengen", "visa-cn"):
        recipe = resolve(DEFAULTS, f"{name}/a.jpg", built_in_presets()).recipe
        assert (recipe.photo_enhance, recipe.restore, recipe.oval_mask) == (False, "off", False)


def test_a_file_adds_presets_and_replaces_built_in_ones_whole(tmp_path):
    file = tmp_path / "presets.toml"
    file.write_text("[LinkedIn]\nwidth = 1000\n[Badge]\ndpi = 600\n")
    presets = load_presets(file)
    assert presets["linkedin"] == {"width": 1000}
    assert presets["badge"] == {"dpi": 600}
    assert presets["avatar"] == built_in_presets()["avatar"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[linkedin]\nwidth = 1", "presets.toml: [linkedin] width: 1 is not"),
        ("[linkedin]\nwidt = 1", "[linkedin] widt: is not the name of an option; did you mean width?"),
        ("width = 800", "width is outside of a preset"),
        ("['a/b']\nwidth = 800", "cannot be a folder's name"),
        ("[web]\n[WEB]", "[WEB] is there twice"),
        ("[web", "presets.toml is not TOML"),
    ],
)
def test_a_bad_presets_file_names_preset_option_and_fix(tmp_path, text, words):
    file = tmp_path / "presets.toml"
    file.write_text(text)
    with pytest.raises(PresetsError) as caught:
        load_presets(file)
    assert words in str(caught.value)


def test_a_missing_presets_file_is_named(tmp_path):
    with pytest.raises(PresetsError, match=r"none\.toml cannot be read"):
        load_presets(tmp_path / "none.toml")
