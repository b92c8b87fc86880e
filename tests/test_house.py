"""The rules of the house, checked: who imports whom, how long things are, who reads the environment."""

import ast
import re
import subprocess
import sys
import tokenize
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("handler", "sources", "pipeline")
PRODUCT = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
IMPURE = {"boto3", "botocore", "logging", "threading", "multiprocessing", "asyncio", "subprocess", "socket", "environ"}
ENVIRONMENT = ("handler/config/load.py", "handler/models/libraries.py", "handler/models/numba_cache.py")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path):
    """Each module that the file imports, and each name that it imports from one."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(path):
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def code_lines(path, function):
    """Its lines from `def` on that hold more than blanks, a comment or the docstring."""
    first, last = function.lineno, function.end_lineno
    return len({line for line in _code(path) if first <= line <= last} - _docstrings(function))


@cache
def _code(path):
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    with tokenize.open(path) as file:
        tokens = [token for token in tokenize.generate_tokens(file.readline) if token.type not in blank]
    return {line for token in tokens for line in (token.start[0], token.end[0])}


def _docstrings(function):
    inner = [node for node in ast.walk(function) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    first = [node.body[0] for node in inner if ast.get_docstring(node, clean=False) is not None]
    return {line for node in first for line in range(node.lineno, node.end_lineno + 1)}


ROOMS = {
    "pipeline": "reasons errors types recipe stopwatch models formats image face cutout tone restore pipeline",
    "sources": "backoff events memory filters notifications stores scanning folder bucket sqs merged",
    "handler": "config telemetry models outbox workers processing serverless http api service web cli aws __main__",
}
"""The rooms of each package, in the one order in which they may import: what comes later knows what comes earlier."""
MAY_IMPORT = {"pipeline": {"pipeline"}, "sources": {"sources"}, "handler": {"handler", "sources", "pipeline"}}


def room_of(module):
    return module.split(".")[1] if "." in module else ""


def modules():
    return {name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in PRODUCT}


def imported_modules(path, known):
    """The product's modules that a file imports."""
    found = set()
    for name in imported(path):
        owner = name
        while owner and owner not in known:
            owner = owner.rpartition(".")[0]
        found.add(owner)
    return found - {""}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_between_rooms_go_one_way(package):
    known = modules()
    order = ["", *ROOMS[package].split()]
    wrong = []
    for module, path in known.items():
        if module.split(".")[0] != package:
            continue
        for other in imported_modules(path, known):
            foreign = other.split(".")[0]
            if foreign != package:
                wrong += [(module, other)] if foreign not in MAY_IMPORT[package] else []
            elif room_of(other) != room_of(module) and order.index(room_of(other)) > order.index(room_of(module)):
                wrong.append((module, other))
    assert wrong == []


def test_files_do_not_import_in_circles():
    known = modules()
    left = {module: imported_modules(path, known) - {module} for module, path in known.items()}
    while free := [module for module, others in left.items() if not others & left.keys()]:
        for module in free:
            del left[module]
    assert left == {}


def test_imports_are_absolute_and_the_product_does_not_know_its_tests():
    wrong = [
        (name_of(path), module) for path in PRODUCT for module in imported(path) if module.startswith((".", "tests"))
    ]
    assert wrong == []


def test_the_pipeline_knows_no_clouds_threads_logs_or_environment():
    wrong = [
        (name_of(path), module)
        for path in (ROOT / "pipeline").rglob("*.py")
        for module in imported(path)
        if IMPURE & set(module.split("."))
    ]
    wrong += [(name_of(path), name) for path in (ROOT / "pipeline").rglob("*.py") for name in _environment(path)]
    assert wrong == []


def test_only_three_files_read_the_environment():
    assert [name_of(path) for path in PRODUCT if _environment(path)] == list(ENVIRONMENT)


def _environment(path):
    names = [node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)]
    return sorted(
        {"environ", "environb", "getenv", "putenv"} & {*names, *(each.split(".")[-1] for each in imported(path))}
    )


def test_the_service_s_own_process_loads_no_library_that_can_crash_it():
    heavy = {"torch", "rembg", "onnxruntime", "cv2", "dlib", "numba", "scipy", "pymatting", "awslambdaric"}
    code = "import sys, handler.service.service, handler.cli.commands, handler.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "handler.workers.pool" in loaded.split()
    assert heavy & set(loaded.split()) == set()


def test_no_function_has_more_than_50_lines():
    sizes = {(name_of(path), each.name): code_lines(path, each) for path in PRODUCT for each in functions(path)}
    assert {place: size for place, size in sizes.items() if size > 50} == {}


def test_no_file_has_more_than_500_lines():
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in (*PRODUCT, *TESTS)}
    assert {name: lines for name, lines in lengths.items() if lines > 500} == {}


def test_no_folder_has_more_than_14_python_files():
    counts = Counter(name_of(path.parent) for path in (*PRODUCT, *TESTS))
    assert {folder: count for folder, count in counts.items() if count > 14} == {}


def test_nothing_is_left_to_do():
    later = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")))
    assert [name_of(path) for path in (*PRODUCT, *TESTS) if later.search(path.read_text(encoding="utf-8"))] == []


def test_tests_wait_for_events_and_do_not_sleep():
    sleepy = [name_of(path) for path in TESTS if {"time.sleep", "asyncio.sleep"} & set(_calls(path))]
    assert [name for name in sleepy if not name.startswith(("tests/bench/", "tests/demo"))] == []


def _calls(path):
    return [ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]


def test_our_own_code_is_never_patched():
    patched = re.compile(r"monkeypatch\.setattr\(\s*\"?(handler|sources|pipeline)|mock\.patch|unittest\.mock")
    here = Path(__file__)
    assert [name_of(path) for path in TESTS if path != here and patched.search(path.read_text(encoding="utf-8"))] == []


def test_broad_excepts_are_few_and_say_why():
    caught = [
        (name_of(path), node.lineno)
        for path in PRODUCT
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    api = {"handler/api/jobs.py", "handler/api/routes.py"}
    assert {name for name, _ in caught} <= {"handler/processing/process.py", "handler/workers/child.py"} | api
    assert len(caught) <= 7


def test_the_changelog_has_a_place_for_this_version():
    from handler import __version__

    headings = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"Unreleased", __version__} & set(headings)
