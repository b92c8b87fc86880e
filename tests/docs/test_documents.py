"""The documents stay short, and every link, path, module and class that they name exists."""

import ast
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("handler", "sources", "pipeline")
DOCUMENTS = [
    ROOT / name
    for name in (
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        *(f"{folder}/README.md" for folder in (*PACKAGES, "docker", "tests")),
    )
]
LONGEST = {"README.md": 150, "ARCHITECTURE.md": 150}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


@cache
def prose(document):
    """The document without its fenced examples."""
    return FENCE.sub("", document.read_text("utf-8"))


def quoted(document):
    """What is in backticks in the document's prose."""
    return sorted(set(re.findall(r"`([^`\n]+)`", prose(document))))


@cache
def anchors(document):
    """The anchors of the document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def defined():
    """Names of all classes, functions, constants and fields of the product."""
    names = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def is_module(dotted):
    """Whether there is such a module or package, or such a name in one."""
    path = ROOT.joinpath(*dotted.split("."))
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module, _, name = dotted.rpartition(".")
    file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return file.is_file() and name in file.read_text("utf-8")


@pytest.mark.parametrize("name", LONGEST)
def test_document_is_short(name):
    assert len((ROOT / name).read_text("utf-8").splitlines()) <= LONGEST[name]


@every_document
def test_relative_links_lead_somewhere(document):
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / unquote(path)).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(target)
    assert wrong == []


@every_document
def test_named_paths_exist(document):
    """Paths of source files and of our folders; those of users (photos, queue.json, ...) are not ours to check."""
    ours = re.compile(r"(?:(?:handler|sources|pipeline|docker|tests)/[\w./-]*|[\w./-]+\.(?:py|md|yml|yaml|sh))$")
    bases = (ROOT, document.parent, *(ROOT / package for package in PACKAGES))
    named = [token for token in quoted(document) if ours.match(token)]
    assert [token for token in named if not any((base / token).exists() for base in bases)] == []


@every_document
def test_named_modules_exist(document):
    text = document.read_text("utf-8")
    named = set(re.findall(r"python -m ((?:handler|sources|pipeline|tests)[\w.]*)", text))
    named |= {word for word in quoted(document) if re.fullmatch(r"(?:handler|sources|pipeline|tests)(?:\.\w+)+", word)}
    assert [name for name in sorted(named) if not (name.endswith(".py") or is_module(name))] == []


def test_names_in_architecture_are_in_the_code():
    """Classes as `Name` or `Class.method`, functions as `name(...)`."""
    words = quoted(ROOT / "ARCHITECTURE.md")
    dotted = [word for word in words if re.fullmatch(r"[A-Z][a-z]+[A-Za-z]*(?:\.\w+)?", word)]
    called = [word.split("(")[0] for word in words if re.fullmatch(r"\w+\([^)]*\)", word)]
    names = [part for word in (*dotted, *called) for part in word.split(".")]
    assert {"PortraitPipeline", "Process", "settings_table"} <= set(names)
    assert [name for name in names if name not in defined()] == []


def test_drawn_names_in_architecture_are_in_the_code():
    (drawing, *_) = [body for _, body in FENCE.findall((ROOT / "ARCHITECTURE.md").read_text("utf-8"))]
    names = set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)*\b", drawing)) - {"JPEG"}
    assert sorted(names - defined()) == []


def test_every_room_is_in_architecture():
    from tests.test_house import ROOMS

    words = " ".join(quoted(ROOT / "ARCHITECTURE.md"))
    missing = [
        f"{package}/{room}"
        for package, rooms in ROOMS.items()
        for room in rooms.split()
        if not re.search(rf"(?:^|[ /]){room}(?:/|\.py)", words)
    ]
    assert missing == []


@every_document
def test_makefile_has_the_named_targets(document):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text("utf-8"), re.MULTILINE))
    assert sorted(named - targets) == []
