"""The import table of docs/architecture.md, checked on the source text."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

PACKAGE = Path(__file__).parents[1] / "streamstyle"

# room -> rooms of ours that it may import. A room may always import itself.
ALLOWED = {
    "types": set(),
    "errors": set(),
    "config": {"types", "errors"},
    "urls": set(),
    "children": set(),
    "metrics": {"types", "errors"},
    "files": {"types", "errors"},
    "regions": {"types", "errors"},
    "explain": {"types", "errors", "files", "nets", "styles"},
    "media": {"types", "errors", "urls", "children", "files", "flow", "web"},
    "client": {"types", "errors", "media"},
    "temporal": {"types", "errors"},
    "nets": {"types", "errors"},
    "styles": {"types", "errors", "children", "files"},
    "engines": {"types", "errors", "children", "files", "nets"},
    "flow": {"types", "errors"},
    "control": {"types", "errors", "config", "files", "flow"},
    "web": {"types", "errors", "config", "urls", "children", "flow", "control"},
    "train": {
        *("types", "errors", "config", "files"),
        *("media", "nets", "temporal", "metrics", "styles"),
    },
}
ALLOWED["pipeline"] = {*ALLOWED} - {"train", "client"}
ANYTHING = {"batch", "bench", "cli", "live", "streams", "__main__", "__init__"}

# library -> the only rooms that may import it
ONLY_IN = {
    "threading": {"flow"},
    "queue": {"flow"},
    "multiprocessing": set(),
    "av": {"media", "web"},  # web: the frames of WebRTC
    "aiortc": {"web"},
    "zmq": {"media"},
    "pyvirtualcam": {"media"},
    "openvino": {"engines"},
    "tensorrt": {"engines"},
    "torch_tensorrt": {"engines"},
    "onnx": {"bench", "engines"},
    "onnxruntime": {"bench", "engines"},
    "torch": {"bench", "nets", "engines", "train", "metrics", "explain"},
    "pickle": set(),
    "ray": {"batch"},
    "fsspec": {"batch"},
    "asyncio": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "httpx": {"web"},
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> list[str]:
    modules = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    return modules


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_import_only_what_the_table_allows(path: Path) -> None:
    room = room_of(path)
    for module in imported_modules(path):
        first, *rest = module.split(".")
        if first == "streamstyle" and rest:
            target = rest[0]
            assert room in ANYTHING or target == room or target in ALLOWED[room], f"{room} imports {target}"
        elif first in ONLY_IN:
            assert room in ONLY_IN[first], f"{room} imports {first}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_opencv_comes_before_pyav(path: Path) -> None:
    modules = [m.split(".")[0] for m in imported_modules(path)]
    if "av" in modules and "cv2" in modules:
        assert modules.index("cv2") < modules.index("av")


MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 8
MAX_ATTRIBUTES = 12

Definition: TypeAlias = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def definitions(*kinds: type[Definition]) -> Iterator[tuple[str, Definition]]:
    """Every definition of the package, by "room/file.py:name"."""
    for path in SOURCES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, kinds):
                yield f"{path.relative_to(PACKAGE).as_posix()}:{node.name}", node


def lines_of(function: Definition) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def parameters_of(function: Definition) -> int:
    assert not isinstance(function, ast.ClassDef)
    given = function.args
    every = (*given.posonlyargs, *given.args, *given.kwonlyargs)
    return sum(argument.arg not in {"self", "cls"} for argument in every)


def is_data(class_: ast.ClassDef) -> bool:
    """True for data, which does not change, and for networks, whose layers are named in files of weights."""
    outside = " ".join(map(ast.unparse, (*class_.decorator_list, *class_.bases)))
    return "frozen=True" in outside or any(name in outside for name in ("Struct", "Module"))


@cache
def classes() -> dict[str, ast.ClassDef]:
    """Classes of the package by name; no two have the same."""
    every = (node for _, node in definitions(ast.ClassDef))
    return {node.name: node for node in every if isinstance(node, ast.ClassDef)}


def attributes_of(class_: ast.ClassDef) -> set[str]:
    """Names of the fields, and of the attributes that methods set, with those of bases in the package."""
    names = {
        n.target.id for n in class_.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }
    for node in ast.walk(class_):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names |= {node.attr} if isinstance(node.value, ast.Name) and node.value.id == "self" else set()
    bases = [base.id for base in class_.bases if isinstance(base, ast.Name) and base.id in classes()]
    return names.union(*(attributes_of(classes()[base]) for base in bases))


def over(found: dict[str, int], limit: int) -> dict[str, int]:
    return {name: count for name, count in found.items() if count > limit}


def test_files_stay_short() -> None:
    for path in SOURCES:
        assert path.read_text(encoding="utf-8").count("\n") <= MAX_FILE_LINES, path


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_functions_stay_short() -> None:
    found: dict[str, int] = {}
    for name, node in definitions(*FUNCTIONS):
        found[name] = max(lines_of(node), found.get(name, 0))
    assert over(found, MAX_FUNCTION_LINES) == {}


def test_functions_take_few_parameters() -> None:
    found: dict[str, int] = {}
    for name, node in definitions(*FUNCTIONS):
        if not name.startswith("train/"):  # a training step does take a batch, a motion, weights ...
            found[name] = max(parameters_of(node), found.get(name, 0))
    assert over(found, MAX_PARAMETERS) == {}


def test_classes_of_behaviour_have_few_attributes() -> None:
    found = {name: len(attributes_of(node)) for name, node in classes().items() if not is_data(node)}
    assert over(found, MAX_ATTRIBUTES) == {}


def test_no_two_classes_have_one_name() -> None:
    found: dict[str, int] = Counter(node.name for _, node in definitions(ast.ClassDef))
    assert over(found, 1) == {}


def members(class_: ast.ClassDef) -> set[str]:
    """Methods and attributes of a class, with those of bases in the package."""
    methods = {node.name for node in ast.walk(class_) if isinstance(node, FUNCTIONS)}
    bases = [base.id for base in class_.bases if isinstance(base, ast.Name) and base.id in classes()]
    return (methods | attributes_of(class_)).union(*(members(classes()[base]) for base in bases))


def words() -> set[str]:
    """Names of functions, classes, constants and rooms, and every text, such as values of options."""
    known = {room_of(path) for path in SOURCES} | set(ONLY_IN)
    for tree in map(tree_of, (*SOURCES, Path(__file__))):
        known |= {n.name for n in ast.walk(tree) if isinstance(n, (ast.ClassDef, *FUNCTIONS))}
        known |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        known |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        known |= {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return known


def is_there(name: str, known: set[str]) -> bool:
    """True for the name of a file, of a member of a class, or of anything else in the package."""
    root = PACKAGE.parent
    if "/" in name or name.endswith((".py", ".md", ".json", ".toml")):
        folders = (PACKAGE, root, root / "docs", root / "tests")
        return "NAME" in name or any((folder / name).exists() for folder in folders)
    owner, _, member = name.rpartition(".")
    return member in (members(classes()[owner]) if owner in classes() else known)


def test_what_the_architecture_page_names_exists() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    tests = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    known = words() | set(re.findall(r"def (test_\w+)", tests))
    named = re.findall(r"`([\w./]+)`", page)
    assert len(named) > 100
    assert [name for name in named if not is_there(name, known)] == []


def test_no_two_files_have_one_name() -> None:
    found: dict[str, int] = Counter(path.name for path in SOURCES if path.name != "__init__.py")
    assert over(found, 1) == {}


ENDS_WITHOUT_BEING_KILLED = {
    "media/net/relay_process.py": "ends with its standard input, or looks for its parent every second",
    "nets/vgg_file.py": "reads one file",
    "batch/workers.py": "calls `end_with`",
    "pipeline/compiling.py": "calls `end_with`",
    "streams/stream_process.py": "calls `end_with`",
}


def test_every_child_ends_with_a_parent_that_is_killed() -> None:
    for path in SOURCES:
        name, modules = path.relative_to(PACKAGE).as_posix(), imported_modules(path)
        if "subprocess" in modules and room_of(path) not in {"bench", "cli"}:
            killed = "streamstyle.children.killed_with_parent" in modules
            assert killed != (name in ENDS_WITHOUT_BEING_KILLED), name


def test_no_test_waits_for_a_child_that_only_its_end_would_end() -> None:
    """Popen's own `with` does; see `killed_on_failure`."""
    for path in Path(__file__).parent.glob("*.py"):
        assert not re.search(r"(with|,) subprocess\.Popen", path.read_text()), path.name


def test_no_module_imports_itself_by_way_of_others() -> None:
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in SOURCES}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    graph = {
        name: {m if m in modules else m.rpartition(".")[0] for m in imported_modules(path)} & set(modules)
        for name, path in modules.items()
    }
    left = dict(graph)
    while leaves := [name for name, wanted in left.items() if not wanted & set(left)]:
        for name in leaves:
            del left[name]
    assert not left, f"a circle is among {sorted(left)}"
