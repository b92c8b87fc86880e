from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.recipe import OPTIONS, OptionError, Recipe, parse_option

DEFAULTS = Recipe()
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.text()),
    st.sampled_from([10**5000, "9" * 5000, "1e400", "\udcff", "-0", "٣", "0_5"]),
)
RIGHT = st.one_of(
    st.tuples(st.sampled_from(["width", "height"]), st.integers(64, 4096)),
    st.tuples(st.just("max_size_kb"), st.integers(10, 1000)),
    st.tuples(st.just("dpi"), st.integers(36, 2400)),
    st.tuples(st.sampled_from(["face_margin", "enhance_fidelity"]), st.decimals(0, 1, places=6).map(float)),
    st.tuples(st.sampled_from(["oval_mask", "photo_enhance"]), st.booleans()),
    st.tuples(st.just("restore"), st.sampled_from(["auto", "on", "off"])),
    st.tuples(st.just("face_policy"), st.sampled_from(["largest", "center", "all", "reject"])),
    st.tuples(st.just("background"), st.integers(0, 0xFFFFFF).map("#{:06X}".format)),
)


def test_defaults_are_the_contracts():
    assert DEFAULTS.as_dict() == {
        "width": 648,
        "height": 648,
        "background": "#F0F0F0",
        "face_margin": 0.3,
        "oval_mask": True,
        "photo_enhance": True,
        "restore": "auto",
        "enhance_fidelity": 0.7,
        "face_policy": "largest",
        "max_size_kb": 99,
        "dpi": 300,
    }
    assert list(OPTIONS) == list(DEFAULTS.as_dict())


@given(st.sampled_from([*OPTIONS, "widht", "", "\udcff"]), ANYTHING)
def test_a_value_is_parsed_or_refused_in_one_printable_line(name, value):
    try:
        parsed = parse_option(name, value)
    except OptionError as error:
        assert str(error).isprintable() or not name.isprintable()
    else:
        assert parse_option(name, parsed) == parsed


@given(RIGHT)
def test_a_right_value_survives_as_itself_and_as_text(option):
    name, value = option
    assert parse_option(name, value) == value
    assert parse_option(name, format(value, "f") if isinstance(value, float) else f" {value} ") == value


@pytest.mark.parametrize(
    ("name", "value", "canonical"),
    [
        ("background", "#fff", "#FFFFFF"),
        ("background", "0, 128,255", "#0080FF"),
        ("background", "#a1b2c3", "#A1B2C3"),
        ("face_policy", "Centre", "center"),
        ("oval_mask", "No", False),
        ("photo_enhance", "1", True),
        ("face_margin", 1, 1.0),
        ("face_margin", ".5", 0.5),
        ("width", "+800", 800),
    ],
)
def test_other_spellings_become_the_canonical_one(name, value, canonical):
    parsed = parse_option(name, value)
    assert (parsed, type(parsed)) == (canonical, type(canonical))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 63),
        ("width", 4097),
        ("width", 648.0),
        ("width", True),
        ("max_size_kb", 9),
        ("dpi", 2401),
        ("face_margin", 1.01),
        ("face_margin", float("nan")),
        ("face_margin", "inf"),
        ("face_margin", "0,3"),
        ("enhance_fidelity", -0.1),
        ("background", "#12345"),
        ("background", "256,0,0"),
        ("background", "transparent"),
        ("restore", True),
        ("oval_mask", 1),
        ("face_policy", "smallest"),
    ],
)
def test_wrong_values_are_refused(name, value):
    with pytest.raises(OptionError, match=f"for example {OPTIONS[name].example}"):
        parse_option(name, value)


def test_the_message_names_value_range_and_example():
    with pytest.raises(OptionError) as caught:
        parse_option("width", "abc")
    assert str(caught.value) == "width: 'abc' is not a whole number from 64 to 4096; for example 648"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(OptionError, match=r"did you mean background\?"):
        parse_option("backgruond", "#FFF")
    with pytest.raises(OptionError, match=r"known: background, dpi, .*, width"):
        parse_option("zzz", 1)


def test_every_example_is_a_right_value():
    assert all(parse_option(name, option.example) is not None for name, option in OPTIONS.items())


def test_a_recipe_checks_and_canonicalises_what_it_is_given():
    assert Recipe(background="#abc", face_margin=0) == Recipe(background="#AABBCC", face_margin=0.0)
    with pytest.raises(OptionError, match="height"):
        replace(DEFAULTS, height=10)


def test_equal_recipes_have_one_digest_and_any_change_another():
    changes = {"width": 800, "background": "#000", "oval_mask": False, "restore": "off", "face_margin": 0.31}
    digests = {replace(DEFAULTS, **{name: value}).digest for name, value in changes.items()}
    assert len(digests | {DEFAULTS.digest}) == len(changes) + 1
    assert replace(DEFAULTS, background="#f0f0f0", face_margin="0.30").digest == DEFAULTS.digest


def test_the_digest_is_stable_between_processes_and_versions():
    """A report's digest is compared with later ones: change it only together with FORMAT, or with the options."""
    assert DEFAULTS.digest == "814de957089b98bb3c0ffeeb73bd2afe82f918ce0ab11592867ba22e61194391"


def test_background_rgb_gives_the_three_channels():
    assert Recipe(background="10,20,30").background_rgb == (10, 20, 30)
