"""List the operators of our network that reach TensorRT, and torch-tensorrt's converter for each.

    pip download --no-deps torch-tensorrt==2.13.0
    python3 tools/tensorrt_operators.py torch_tensorrt-2.13.0-*.whl

Runs our own build with the wheel's own lowering, decompositions and converter registry, each node with its
validator and its support of dynamic shapes, up to where TensorRT itself would begin: it is replaced by empty
stubs, so that no GPU, driver or TensorRT is needed. Writes tests/tensorrt_operators.json.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import inspect
import json
import sys
import tempfile
import types
import warnings
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import environment

ROOT = environment.ROOT
RESULT = ROOT / "tests" / "tensorrt_operators.json"
CLASSES = ("DataType", "TensorFormat", "EngineCapability", "DeviceType")
ABSENT = ("tensorrt", "dllist", "psutil")


class _Nameless(type):
    """A class that has every attribute, for use in annotations and as a base."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=name)


class _Absent(types.ModuleType):
    """A module that is not there: interfaces and some types are empty classes, the rest is anything."""

    __path__: list[str] = []  # noqa: RUF012 - what makes a module a package
    __version__ = "0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        interface = (name[0] == "I" and name[1:2].isupper()) or name in CLASSES
        made = _Nameless(name, (), {}) if interface else MagicMock(name=name)
        setattr(self, name, made)
        return made


def import_wheel(wheel: Path, folder: Path) -> Any:
    """torch_tensorrt's Python, without its binaries."""
    import torch

    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(
            folder, [n for n in archive.namelist() if "/lib/" not in n and not n.endswith(".so")]
        )
    for name in ABSENT:
        module = _Absent(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        sys.modules[name] = module
    sys.modules["tensorrt"].tensorrt = sys.modules["tensorrt"]  # type: ignore[attr-defined]
    proxy = types.ModuleType("torch_tensorrt._TensorRTProxyModule")
    proxy.package_name = "tensorrt"  # type: ignore[attr-defined]
    sys.modules[proxy.__name__] = proxy
    torch.cuda.get_device_capability = lambda *_: (9, 0)
    torch.cuda.current_device = lambda: 0
    setattr(torch._C, "_CudaDeviceProperties", object)  # noqa: B010 - a type, which nothing may assign to
    sys.path.insert(0, str(folder))
    import torch_tensorrt

    return torch_tensorrt


def operators(library: Any, *, stateful: bool) -> dict[str, list[str]]:
    """Operators that we export, those that reach the converters, and those of the latter without a
    converter."""
    import torch
    from torch_tensorrt.dynamo._settings import CompilationSettings
    from torch_tensorrt.dynamo.conversion._ConverterRegistry import DYNAMO_CONVERTERS
    from torch_tensorrt.dynamo.lowering import get_decompositions, post_lowering, pre_export_lowering

    from streamstyle.engines.buckets import Bucket
    from streamstyle.engines.exported import deployed_network
    from streamstyle.engines.tensorrt_engine import build
    from streamstyle.styles.bundle import load_bundle

    found: dict[str, set[str]] = {"exported": set(), "converted": set(), "refused": set()}

    def compile_(program: Any, **options: Any) -> Any:
        inspect.signature(library.dynamo.compile).bind(program, **options)
        found["exported"] = {str(n.target) for n in program.graph.nodes if n.op == "call_function"}
        settings = CompilationSettings(device=torch.device("cpu"), require_full_compilation=True)
        DYNAMO_CONVERTERS.set_compilation_settings(settings)
        program = pre_export_lowering(program, settings).run_decompositions(get_decompositions())
        for node in post_lowering(program.module(), settings).graph.nodes:
            if node.op == "call_function":
                found["converted" if node in DYNAMO_CONVERTERS else "refused"].add(str(node.target))
        return program

    def save(compiled: Any, path: str, **options: Any) -> None:
        inspect.signature(library.save).bind(compiled, path, **options)
        Path(path).write_bytes(b"")

    checking = types.ModuleType("torch_tensorrt")
    vars(checking).update(dynamo=types.SimpleNamespace(compile=compile_), Input=library.Input, save=save)
    bundle = load_bundle()
    network = deployed_network(
        bundle.manifest.architecture, bundle.weights, "fp16", torch.device("cpu"), stateful=stateful
    )
    bucket = Bucket.of(1080, 1920)
    build(checking, network, network.generator.config, bucket, stateful=stateful, notify=print)
    return {name: sorted(targets) for name, targets in found.items()}


def main() -> int:
    """Write the result; 1 where an operator has no converter."""
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("wheel", type=Path, metavar="WHEEL")
    wheel: Path = parser.parse_args().wheel
    import torch

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        library = import_wheel(wheel, Path(folder))
        result: dict[str, Any] = {"torch_tensorrt": library.__version__, "torch": str(torch.__version__)}
        for name, stateful in (("plain", False), ("holding", True)):
            result[name] = operators(library, stateful=stateful)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{RESULT.relative_to(ROOT)}: refused {[result[name]['refused'] for name in ('plain', 'holding')]}")
    return int(any(result[name]["refused"] for name in ("plain", "holding")))


if __name__ == "__main__":
    sys.exit(main())
