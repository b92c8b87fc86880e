"""The contact sheet: what it shows, and that nothing in a name or a report is anything but text."""

import base64
import io
import json
import os
import re
import shutil
from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from handler.config.load import SettingsError, load
from handler.web import cards
from handler.web.contact_sheet import Stopped, cards_of, sheet_path, write
from handler.web.thumbnails import Thumbnails
from pipeline.reasons import NOTES
from sources.stores.local import FileStore
from tests.conftest import BAD_INPUTS, PORTRAITS
from tests.handler.service_runner import environment, run

VOID = {"meta", "img", "input", "br"}
WHEN = datetime(2025, 11, 21, 12, 34, 56, tzinfo=UTC)
ODD = os.fsdecode(b"a\"b'<script>alert(1)<script>\n\xe9&amp;.jpg")
DONE = {
    "outcome": "done",
    "recipe": {"background": "#FFFFFF"},
    "faces": {"count": 3},
    "cutout": "kept_background",
    "restoration": "not_needed",
    "notes": ["enlarged", "unheard_of"],
    "outputs": [{"name": "anna.png"}, {"name": "anna.jpg"}],
    "more": [{"outputs": [{"name": "anna-2.png"}]}],
    "stages_ms": {"decode": 41.0, "detect": 1060.2},
}


class Page(HTMLParser):
    """The elements of a page as (tag, attributes), its text; fails where elements are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def card(path, report, pictures=Thumbnails()):  # noqa: B008 - frozen
    return Page(cards.render_card(1, cards.card_from(path, report), pictures))


def page_source(*rendered, **changed):
    facts = {"inbox": "in", "counts": Counter(done=2), "portraits": 3, "seconds": 75.2, "when": WHEN} | changed
    return "".join(cards.render_page(cards.Summary(**facts), rendered))


def head(**changed):
    return Page(page_source(**changed))


def test_render_page_top_has_counts_date_duration_and_version():
    page = head(counts=Counter(done=9, rejected=2))

    for said in ("Photos11", "Done9", "Rejected2", "Failed0", "Portraits3", "1 min 15 s", "2025-11-21 12:34 UTC"):
        assert said in page.text
    assert "Not processed" not in page.text
    assert page.all("time") == [{"datetime": "2025-11-21T12:34:56+00:00"}]


def test_render_page_waiting_tile_is_shown_if_any_wait():
    assert "Not processed" in head(counts=Counter(waiting=1)).text


def test_render_page_needs_no_script_network_or_file():
    page = head()

    assert {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements} == set()
    assert not re.search(r"url\(|@import|https?:|//", page_source())
    policy = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_render_page_takes_cards_one_by_one():
    taken = []
    rendered = (taken.append(number) or f"<p>card {number}</p>" for number in range(3))

    for piece in cards.render_page(cards.Summary("in", {}, 0, 0, WHEN), rendered):
        if "card 0" in piece:
            assert taken == [0]

    assert taken == [0, 1, 2]


def test_render_page_without_cards_says_so():
    assert "There are no photos in this folder." in head().text
    assert "no photos" not in page_source("<p>card</p>")


def test_card_leaves_out_durations_that_no_float_holds():
    text = card("anna.jpg", DONE | {"stages_ms": {"decode": 41, "detect": 10**400}}).text

    assert "41 ms" in text
    assert "detect" not in text


def test_render_card_done_photo_has_facts_in_words():
    text = card("sales/anna.jpg", DONE).text

    for said in ("sales/anna.jpg", "Faces3", "Kept background", "Not needed", "anna.png", "anna-2.png", "Unheard of"):
        assert said in text
    assert NOTES["enlarged"][1:] in text
    assert "1,101 ms" in text
    assert "decode 41" in text
    assert "detect 1,060" in text


def test_render_card_portrait_is_shown_on_two_backgrounds():
    page = card("anna.jpg", DONE, Thumbnails(b"photo", ((b"on", b"strong"), None)))

    images = {image["alt"]: base64.b64decode(image["src"].partition(",")[2]) for image in page.all("img")}
    assert images == {
        "Photo anna.jpg": b"photo",
        "Portrait anna.png on #FFFFFF": b"on",
        "Portrait anna.png on #185C8C": b"strong",
    }
    missing = [each["aria-label"] for each in page.all("div") if each["class"] == "missing"]
    assert missing[0] == "Portrait anna-2.png on #FFFFFF: cannot be shown"


def test_render_card_photo_without_portrait_has_reason_and_hint():
    failed = {"outcome": "failed", "reason": "processing_error", "hint": "See it.", "error": "Trace\n  x\nBoom: <b>"}
    text = card("anna.jpg", failed).text

    assert "Processing error See it.Boom: <b>" in text
    assert "Trace" not in text
    assert "run Facecraft again" in card("anna.jpg", None).text


def test_render_card_names_are_escaped():
    report = DONE | {"outputs": [{"name": ODD}], "notes": [ODD], "cutout": ODD}
    rendered = cards.render_card(1, cards.card_from(ODD, report), Thumbnails(b"", ((b"", b""),)))
    source = page_source(rendered, inbox=ODD)

    source.encode("utf-8")
    assert "<script" not in source
    page = card(ODD, report, Thumbnails(b"", ((b"", b""),)))
    shown = "a\"b'<script>alert(1)<script>\\n\\udce9&amp;.jpg"
    assert page.all("img")[0]["alt"] == f"Photo {shown}"
    assert shown in page.text


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*DONE, "name", "count"]), inner),
    max_leaves=8,
)


@given(st.text(min_size=1), st.fixed_dictionaries({}, optional=dict.fromkeys(DONE, _ANYTHING)), st.sampled_from(
    ["done", "rejected", "failed"]
))  # fmt: skip
def test_card_from_any_report_renders_well_formed(path, report, outcome):
    plain = {tag for tag, _ in card("a", DONE, Thumbnails(b"", ((b"", b""),))).elements} | {"code", "strong"}

    page = card(path, report | {"outcome": outcome}, Thumbnails(b""))

    assert {tag for tag, _ in page.elements} <= plain


@pytest.mark.parametrize(("seconds", "said"), [
    (0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (725.4, "12 min 5 s"), (11_220, "3 h 7 min"),
])  # fmt: skip
def test_duration_is_readable(seconds, said):
    assert cards.duration(seconds) == said


@pytest.mark.parametrize(("file", "said"), [
    ("in/sheet.html", "is in the inbox"),
    ("in/sub/sheet.html", "is in the inbox"),
    ("link/sheet.html", "is in the inbox"),
    ("none/sheet.html", "does not exist; make it"),
    ("sheet.png", "does not end in .html"),
    ("folder.html", "is a folder"),
    ("/proc/sheet.html", "cannot be written there"),
    ("a\0.html", "cannot be written there"),
])  # fmt: skip
def test_sheet_path_wrong_place_is_refused(tmp_path, file, said):
    for folder in ("in/sub", "folder.html"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "in")

    with pytest.raises(SettingsError, match=re.escape(said)) as error:
        sheet_path(tmp_path / file, tmp_path / "in")

    assert "for example --sheet ./sheet.html" in str(error.value)


def test_sheet_path_follows_links_and_writes_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "link.html").symlink_to(tmp_path / "sheet.html")

    assert sheet_path(tmp_path / "link.html", tmp_path / "in") == tmp_path / "sheet.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "link.html"]


def test_cards_of_lists_all_photos_in_order(tmp_path):
    for name in ("in/b.jpg", "in/a/z.jpg", "in/a.jpg.toml", "in/.hidden.jpg", "out/reports/b.jpg.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(DONE))

    found = list(cards_of(tmp_path / "in", FileStore(tmp_path / "out")))

    assert [(each.path, each.state) for each in found] == [("a/z.jpg", "waiting"), ("b.jpg", "done")]


def test_cards_of_taken_photos_have_their_new_place(tmp_path):
    for name in ("in/b.jpg", "out/originals/a/z.jpg", "out/originals/c~abababababababab.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name, outcome in {"a/z": "done", "b": "done", "c": "done", "gone": "done", "cat": "rejected"}.items():
        report = DONE | {"outcome": outcome, "source": {"sha256": "ab" * 32, "bytes": 1}}
        FileStore(tmp_path / "out").write(f"reports/{name}.jpg.json", json.dumps(report).encode())

    found = cards_of(tmp_path / "in", FileStore(tmp_path / "out"), taken=True)

    assert [(each.path, each.moved_to) for each in found] == [
        ("a/z.jpg", "originals/a/z.jpg"),
        ("b.jpg", None),
        ("c.jpg", "originals/c~abababababababab.jpg"),
        ("gone.jpg", None),
    ]


@pytest.fixture
def inbox(tmp_path):
    for folder in ("in/sales", "out"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(PORTRAITS / "grace_hopper_exif6.jpg", tmp_path / "in" / ODD)
    shutil.copy(PORTRAITS / "sally_ride_small.jpg", tmp_path / "in" / "sales" / "sally.jpg")
    (tmp_path / "in" / "sales" / "sally.jpg.toml").write_text("background = '#FF0000'")
    shutil.copy(PORTRAITS / "no_face_cat.png", tmp_path / "in")
    shutil.copy(BAD_INPUTS / "gen_portrait_truncated60.jpg", tmp_path / "in" / "broken.jpg")
    return tmp_path / "in"


def test_once_sheet_shows_inbox_and_moved_photos(inbox, tmp_path, models_dir):
    file, environ = tmp_path / "out" / "sheet.html", environment(models_dir, AFTER="move")
    ended = run("once", inbox, tmp_path / "out", "--sheet", file, environ=environ)

    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout.splitlines()[-2:] == [f"sheet     {file}", "2 done, 0 skipped, 2 rejected, 0 failed"]
    page = Page(file.read_text(encoding="utf-8"))
    assert Counter(each["class"] for each in page.all("article")) == {"card done": 2, "card rejected": 2}
    images = {each["alt"]: _opened(each["src"]) for each in page.all("img")}
    assert len(images) == 2 * 3 + 1
    photo = next(image for alt, image in images.items() if alt.startswith("Photo a"))
    assert photo.width < photo.height
    red, green, blue = images["Portrait sales/sally.png on #FF0000"].getpixel((1, 1))
    assert (red > 240, max(green, blue) < 20) == (True, True)

    assert sorted(path.name for path in inbox.rglob("*")) == ["broken.jpg", "no_face_cat.png", "sales"]
    before = file.read_bytes()
    again = run("once", inbox, tmp_path / "out", "--sheet", file, environ=environ)
    assert "0 done, 0 skipped, 0 rejected" in again.stdout
    assert re.findall(rb"<article.*</article>", before, re.DOTALL) == re.findall(
        rb"<article.*</article>", file.read_bytes(), re.DOTALL
    )
    assert list(tmp_path.glob("out/.*.tmp")) == []


def test_write_stopped_keeps_older_sheet(inbox, tmp_path):
    file = tmp_path / "sheet.html"
    file.write_text("yesterday's")
    told = []

    with pytest.raises(Stopped):
        write(file, load({}, inbox=inbox, outbox=tmp_path / "out"), 1.0, told.append, lambda: bool(told))

    assert (file.read_text(), len(told)) == ("yesterday's", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "sheet.html"]


def test_write_missing_folder_raises_oserror(inbox, tmp_path):
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "none" / "a.html", load({}, inbox=inbox, outbox=tmp_path / "out"), 1.0, print, bool)


def _opened(source):
    kind, _, data = source.partition(",")
    assert kind == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    image.load()
    assert max(image.size) <= 360
    return image


@pytest.mark.parametrize("file", ["in/sheet.html", "none/sheet.html"])
def test_once_sheet_in_wrong_place_does_no_work(inbox, tmp_path, file):
    ended = run("once", inbox, tmp_path / "out", "--sheet", tmp_path / file, environ=environment(tmp_path / "none"))

    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"--sheet {tmp_path / file}: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list((tmp_path / "out").iterdir()) == []
