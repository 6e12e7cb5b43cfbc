"""The import table of docs/architecture.md, checked on the source text."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "streamstyle"

# room -> rooms of ours that it may import. A room may always import itself.
ALLOWED = {
    "types": set(),
    "errors": set(),
    "config": {"types", "errors"},
    "telemetry": {"types", "errors"},
    "urls": set(),
    "metrics": {"types", "errors", "nets"},
    "files": {"types", "errors"},
    "page": {"types", "errors", "files"},
    "regions": {"types", "errors"},
    "explain": {"types", "errors", "telemetry", "files", "page", "nets", "metrics", "styles"},
    "media": {"types", "errors", "urls", "files", "web"},
    "client": {"types", "errors", "media"},
    "temporal": {"types", "errors"},
    "nets": {"types", "errors"},
    "bench": {"types", "errors", "pipeline", "page", "media", "metrics", "temporal", "explain"},
    "styles": {"types", "errors", "files"},
    "engines": {"types", "errors", "nets"},
    "flow": {"types", "errors", "telemetry"},
    "control": {"types", "errors", "config", "files", "flow"},
    "web": {"types", "errors", "config", "urls", "telemetry", "flow", "control"},
    "train": {
        *("types", "errors", "config", "telemetry", "files", "page"),
        *("media", "nets", "temporal", "metrics", "styles"),
    },
}
ANYTHING = {"pipeline", "cli", "live", "__main__", "__init__"}

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
    "onnx": {"engines"},
    "onnxruntime": {"engines"},
    "torch": {"nets", "engines", "train", "metrics", "explain"},
    "pickle": set(),
    "asyncio": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web"},
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> list[str]:
    modules = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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


def test_functions_and_files_stay_short() -> None:
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, f"{path} is longer than 400 lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno < 66, f"{path}:{node.lineno} {node.name} is too long"
