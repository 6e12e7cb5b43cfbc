"""The import table of docs/architecture.md, checked on the source text."""

from __future__ import annotations

import ast
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
    "telemetry": {"types", "errors"},
    "urls": set(),
    "metrics": {"types", "errors"},
    "files": {"types", "errors"},
    "regions": {"types", "errors"},
    "explain": {"types", "errors", "telemetry", "files", "nets", "styles"},
    "media": {"types", "errors", "urls", "files", "web"},
    "client": {"types", "errors", "media"},
    "temporal": {"types", "errors"},
    "nets": {"types", "errors"},
    "styles": {"types", "errors", "files"},
    "engines": {"types", "errors", "files", "nets"},
    "flow": {"types", "errors", "telemetry"},
    "control": {"types", "errors", "config", "files", "flow"},
    "web": {"types", "errors", "config", "urls", "telemetry", "flow", "control"},
    "train": {
        *("types", "errors", "config", "telemetry", "files"),
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


MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
MOST_PARAMETERS = 8
MOST_ATTRIBUTES = 12

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


def attributes_of(class_: Definition) -> int:
    """Number of attributes that the methods set; 0 of classes of data, and of networks, whose layers are
    named in files of weights."""
    assert isinstance(class_, ast.ClassDef)
    outside = ast.dump(ast.Module([*class_.decorator_list, *class_.bases], []))  # type: ignore[list-item]
    if any(f"'{name}'" in outside for name in ("dataclass", "Struct", "Module")):
        return 0
    written = (node for node in ast.walk(class_) if isinstance(node, ast.Attribute))
    return len(
        {
            node.attr
            for node in written
            if isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        }
    )


def over(found: dict[str, int], limit: int) -> dict[str, int]:
    return {name: count for name, count in found.items() if count > limit}


def test_files_stay_short() -> None:
    for path in SOURCES:
        assert path.read_text(encoding="utf-8").count("\n") <= MOST_LINES_OF_A_FILE, path


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_functions_stay_short() -> None:
    found: dict[str, int] = {}
    for name, node in definitions(*FUNCTIONS):
        found[name] = max(lines_of(node), found.get(name, 0))
    assert over(found, MOST_LINES_OF_A_FUNCTION) == {}


def test_functions_take_few_parameters() -> None:
    found: dict[str, int] = {}
    for name, node in definitions(*FUNCTIONS):
        if not name.startswith("train/"):  # a training step does take a batch, a motion, weights ...
            found[name] = max(parameters_of(node), found.get(name, 0))
    assert over(found, MOST_PARAMETERS) == {}


def test_classes_of_behaviour_have_few_attributes() -> None:
    found = {name: attributes_of(node) for name, node in definitions(ast.ClassDef)}
    assert over(found, MOST_ATTRIBUTES) == {}


def test_no_two_classes_have_one_name() -> None:
    names = (node.name for _, node in definitions(ast.ClassDef) if not node.name.startswith("_"))
    found: dict[str, int] = Counter(names)
    assert over(found, 1) == {}


def test_no_two_files_have_one_name() -> None:
    found: dict[str, int] = Counter(path.name for path in SOURCES if path.name != "__init__.py")
    assert over(found, 1) == {}


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
