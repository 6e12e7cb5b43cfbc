"""The engines for NVIDIA GPUs, as far as they can be held to their word without one.

What runs here is our own code on the CPU: lanes and slots, precisions, the exported graph, buckets, keys, the
build's steps. In TensorRT's place stands a library of the same names that compiles nothing.
"""

from __future__ import annotations

import json
import shutil
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_engine_contract import RICH, Network, picture, psnr, soft_disc, still

from streamstyle.cli.main import main
from streamstyle.config import RunConfig
from streamstyle.engines import open_engine as opening
from streamstyle.engines import tensorrt_engine
from streamstyle.engines.buckets import Bucket
from streamstyle.engines.cache import EngineCache
from streamstyle.engines.cuda_engine import open_cuda
from streamstyle.engines.exported import deployed_network, export, input_shapes
from streamstyle.engines.gpu import Gpu, find_gpu
from streamstyle.engines.open_engine import open_engine
from streamstyle.engines.tensorrt_engine import (
    WORKSPACES,
    import_tensorrt,
    open_tensorrt,
    profile,
    with_less_workspace,
)
from streamstyle.errors import ConfigError, EngineError, EngineMemoryError
from streamstyle.nets.deployed import LevelFrames
from streamstyle.nets.ema_norm import StatefulFrameGenerator
from streamstyle.nets.generator import FrameGenerator, Generator, restore_generator
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.nets.noise import CANVAS_CHANNELS
from streamstyle.pipeline import model as model_module
from streamstyle.pipeline.model import load_model
from streamstyle.pipeline.quality_levels import quality_levels
from streamstyle.pipeline.sizing import open_for_run
from streamstyle.styles.bundle import load_bundle, network_folder
from streamstyle.types import Engine, StreamInfo, StyleCondition

CPU = torch.device("cpu")
OPERATORS = Path(__file__).parent / "tensorrt_operators.json"
without_gpu = pytest.mark.skipif(not isinstance(find_gpu(), str), reason="this machine has a GPU")


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.fresh()


def on_cpu(network: Network, precision: str = "fp32", *, stateful: bool = False, **options: Any) -> Engine:
    size = options.pop("size", (61, 90))
    how = {"compiled": options.pop("compiled", False), "cache": options.pop("cache", None)}
    request = network.request("cuda", *size, precision=precision, stateful=stateful, **options)
    return open_cuda(request, None, **how)


# Precision


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("name", ["lite", "full"])
def test_half_weights_with_fp32_statistics_paint_every_fourth_style_as_fp32(
    name: str, precision: str
) -> None:
    bundle = load_bundle() if name == "lite" else load_bundle(network_folder("full"))
    bundled = Network(bundle.manifest.architecture, bundle.weights, bundle.original)
    engine = on_cpu(bundled, precision, size=(96, 120))
    pixels = picture(96, 120)
    for style in bundle.styles[::4]:
        condition = still(style.code)
        # bf16 has 8 bits of mantissa, fp16 has 11.
        least = 45 if precision == "fp16" else 31
        assert psnr(engine.start(pixels, condition).result(), bundled.reference(pixels, condition)) >= least
    engine.close()


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_statistics_stay_fp32_whatever_the_weights_are(network: Network, precision: str) -> None:
    """Sums over a frame would lose their last digits in the weights' own type, or overflow."""
    module = deployed_network(network.architecture, network.weights, precision, CPU, stateful=True)
    types_seen = set()
    original = torch.Tensor.mean

    def watching(self: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        types_seen.add(self.dtype)
        return original(self, *arguments, **options)

    inputs = [torch.zeros(s, dtype=d) for s, d in input_shapes((64, 64), RICH, stateful=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "mean", watching)
        _, used = module(*inputs)
    assert types_seen == {torch.float32}
    assert used.dtype == torch.float32


def test_kernels_folded_before_paint_as_kernels_folded_per_frame(network: Network) -> None:
    engine = on_cpu(network)
    pixels, condition = picture(61, 90), StyleCondition(network.codes[:2], soft_disc(61, 90))
    assert psnr(engine.start(pixels, condition).result(), network.reference(pixels, condition)) >= 55


# The exported graph


def _converters(name: str) -> dict[str, list[str]]:
    """Converters that tools/tensorrt_operators.py found in torch-tensorrt's wheel."""
    found: dict[str, list[str]] = json.loads(OPERATORS.read_text(encoding="utf-8"))[name]
    return found


def test_tensorrt_has_a_converter_for_every_operator_of_the_lowered_graph() -> None:
    for name in ("plain", "holding"):
        assert _converters(name)["converted"]
        assert _converters(name)["refused"] == []


@pytest.mark.parametrize("stateful", [False, True])
def test_one_exported_graph_paints_all_sizes_of_a_bucket_as_the_network_does(
    network: Network, stateful: bool
) -> None:
    bucket = Bucket.of(64, 96)
    module = deployed_network(network.architecture, network.weights, "fp32", CPU, stateful=stateful)
    exported = export(LevelFrames(module), RICH, bucket, stateful=stateful)
    assert {str(n.target) for n in exported.graph.nodes if n.op == "call_function"} == set(
        _converters("holding" if stateful else "plain")["exported"]
    ), "the graph has changed: run tools/tensorrt_operators.py, which says how"
    program = exported.module()
    generator = restore_generator(network.architecture, network.weights)
    eager = (StatefulFrameGenerator if stateful else FrameGenerator)(generator)
    generator_ = torch.Generator().manual_seed(0)
    for size in ((16, 272), (64, 96), (272, 136)):
        inputs = [
            torch.randint(0, 256, shape, dtype=dtype, generator=generator_)
            if dtype == torch.uint8
            else torch.rand(shape, generator=generator_)
            for shape, dtype in input_shapes(size, RICH, stateful=stateful)
        ]
        given, expected = program(*inputs), eager(*inputs)
        if stateful:
            torch.testing.assert_close(given[1], expected[1], atol=1e-4, rtol=1e-4)
            given, expected = given[0], expected[0]
        assert given.dtype == torch.float32
        assert int((given - expected.float()).abs().max()) <= 1


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch's, on its own classes
def test_no_byte_goes_through_the_graph_for_tensorrt() -> None:
    """TensorRT reads bytes only to cast them, and its registry refuses to cast to them."""
    weights = {name: tensor.numpy() for name, tensor in Generator(RICH).state_dict().items()}
    for stateful in (False, True):
        module = deployed_network(RICH.to_json(), weights, "bf16", CPU, stateful=stateful)
        graph = export(LevelFrames(module), RICH, (64, 64), stateful=stateful).run_decompositions({}).graph
        for node in graph.nodes:
            value = node.meta.get("val")
            if isinstance(value, torch.Tensor) and value.dtype == torch.uint8:
                assert node.op == "placeholder"
                assert {user.kwargs.get("dtype") for user in node.users} <= {torch.float32, None}
                assert all("_to_copy" in str(u.target) or "assert" in str(u.target) for u in node.users)


# Buckets


@pytest.mark.parametrize(
    ("size", "name"),
    [
        ((1080, 1920), "1096x552 to 2176x1088"),
        ((720, 1280), "1096x552 to 2176x1088"),
        ((360, 640), "552x280 to 1088x544"),
        ((2160, 3840), "2184x1096 to 4352x2176"),
        ((1920, 1080), "552x1096 to 1088x2176"),
        ((64, 64), "16x16 to 272x272"),
    ],
)
def test_common_sizes_lie_in_buckets(size: tuple[int, int], name: str) -> None:
    assert str(Bucket.of(*size)) == name


def test_every_size_from_16_to_4k_has_one_bucket_that_serves_its_padded_size() -> None:
    for side in range(9, 4353):
        padded = side + -side % 8
        bucket = Bucket.of(side, 720)
        assert (padded, 720) in bucket
        assert bucket.height.low <= bucket.height.usual <= bucket.height.high
        assert all(edge % 8 == 0 for row in bucket.to_json() for edge in row)
    for side in (8, 8705):
        with pytest.raises(EngineError, match="is not supported"):
            Bucket.of(side, 720)


def test_the_profile_spans_the_bucket_for_every_input_that_varies() -> None:
    rows = profile(RICH, Bucket.of(1080, 1920), stateful=True)
    assert rows[0] == {
        "min_shape": (1, 552, 1096, 3),
        "opt_shape": (1, 960, 1920, 3),
        "max_shape": (1, 1088, 2176, 3),
        "dtype": torch.uint8,
    }
    assert [row["max_shape"] for row in rows[2:4]] == [(1, 1, 544, 1088), (1, CANVAS_CHANNELS, 136, 272)]
    assert all(row["min_shape"] == row["max_shape"] for row in (rows[1], rows[4], rows[5]))


# TensorRT, with a library in its place that compiles nothing


class _Library(types.ModuleType):
    """The part of torch_tensorrt's names that is used; what it "compiles" is the exported network itself."""

    def __init__(self) -> None:
        super().__init__("torch_tensorrt")
        self.builds: list[dict[str, Any]] = []
        self.failing: list[Exception] = []
        self.dynamo = types.SimpleNamespace(compile=self._compile)
        self.Input = lambda **shapes: shapes

    def _compile(self, program: Any, **options: Any) -> Any:
        self.builds.append(options)
        sys.stdout.write("a library that talks")
        if self.failing:
            raise self.failing.pop(0)
        return program

    def save(self, compiled: Any, path: str, **options: Any) -> None:
        torch.export.save(compiled, path)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> _Library:
    module = _Library()
    monkeypatch.setitem(sys.modules, "torch_tensorrt", module)
    module.__spec__ = ModuleSpec("torch_tensorrt", None)
    monkeypatch.setattr(tensorrt_engine, "export", _exported_once)
    return module


_programs: dict[Any, Any] = {}


def _exported_once(module: Any, config: GeneratorConfig, bucket: Bucket, *, stateful: bool) -> Any:
    """Exported program of the one network of this file; exporting takes seconds."""
    key = module.network.levels, bucket, stateful
    if key not in _programs:
        _programs[key] = export(module, config, bucket, stateful=stateful)
    return _programs[key]


def built(
    network: Network,
    folder: Path,
    told: list[str],
    *,
    stateful: bool = False,
    precision: str = "bf16",
    **o: Any,
) -> Engine:
    cache = EngineCache(folder, told.append)
    size = o.pop("size", (61, 90))
    request = network.request("tensorrt", *size, precision=precision, stateful=stateful, notify=told.append)
    return open_tensorrt(request, None, cache=cache)


@pytest.mark.parametrize("stateful", [False, True])
def test_a_built_engine_is_kept_serves_its_bucket_and_crops_exactly(
    network: Network, library: _Library, tmp_path: Path, stateful: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    for size in ((61, 90), (95, 131)):
        engine = built(network, tmp_path / "e", told, stateful=stateful, size=size)
        pixels, condition = picture(*size), StyleCondition(network.codes[:2], soft_disc(*size))
        styled = engine.start(pixels, condition).result()
        assert styled.shape == pixels.shape
        assert psnr(styled, network.reference(pixels, condition)) >= 40
        engine.close()
    assert len(library.builds) == 1
    assert [sentence for sentence in told if sentence.startswith("tensorrt")] == [
        "tensorrt 1/3: exporting the network",
        "tensorrt 2/3: TensorRT chooses its kernels; this takes minutes",
        "tensorrt 3/3: reading the engine back",
    ]
    assert capsys.readouterr().out == ""


def test_the_build_asks_for_one_engine_and_keeps_out_of_the_temporary_folder(
    network: Network, library: _Library, tmp_path: Path
) -> None:
    built(network, tmp_path / "e", []).close()
    options = library.builds[0]
    assert options["require_full_compilation"]
    assert not options["cache_built_engines"]
    assert not options["reuse_cached_engines"]
    assert options["workspace_size"] == 0
    assert not Path(options["timing_cache_path"]).parent.exists()


def test_other_precisions_and_statistics_and_buckets_are_other_engines(
    network: Network, library: _Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None of them paints, so that one graph serves them all.
    module = deployed_network(network.architecture, network.weights, "bf16", CPU, stateful=False)
    program = _exported_once(LevelFrames(module), RICH, Bucket.of(61, 90), stateful=False)
    monkeypatch.setattr(tensorrt_engine, "export", lambda *_, **__: program)
    for options in ({}, {"precision": "fp16"}, {"stateful": True}, {"size": (300, 90)}):
        built(network, tmp_path / "e", [], **options).close()
    assert len(library.builds) == 4
    (manifest, *_) = EngineCache(tmp_path / "e").manifests()
    assert {"weights", "graph", "bucket", "precision", "torch", "libraries", "device", "holds"} <= set(
        manifest.key
    )


def test_a_damaged_engine_is_built_anew(network: Network, library: _Library, tmp_path: Path) -> None:
    built(network, tmp_path / "e", []).close()
    (kept,) = (tmp_path / "e").glob("*.engine")
    kept.write_bytes(b"no engine at all")
    told: list[str] = []
    built(network, tmp_path / "e", told).close()
    assert "refused and compiled again: it is damaged" in told[0]
    assert len(library.builds) == 2


def test_a_build_that_runs_out_of_memory_is_tried_with_less_workspace(
    network: Network, library: _Library, tmp_path: Path
) -> None:
    library.failing = [RuntimeError("CUDA out of memory"), Exception("[TRT] OutOfMemory (no GPU memory)")]
    told: list[str] = []
    built(network, tmp_path / "e", told).close()
    assert [build["workspace_size"] for build in library.builds] == list(WORKSPACES[:3])
    assert [s for s in told if s.startswith("out of GPU memory")] == [
        "out of GPU memory; building again with a workspace of 2048 MiB",
        "out of GPU memory; building again with a workspace of 512 MiB",
    ]


def test_a_build_that_never_fits_says_what_to_do_and_other_failures_are_not_tried_again() -> None:
    def starved(_: int) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    def broken(workspace: int) -> None:
        tried.append(workspace)
        raise ValueError("no such layer")

    tried: list[int] = []
    with pytest.raises(EngineError, match="--engine cuda"):
        with_less_workspace(starved, lambda _: None)
    with pytest.raises(ValueError, match="no such layer"):
        with_less_workspace(broken, lambda _: None)
    assert tried == [0]


def test_a_build_that_fails_leaves_nothing_and_one_sentence(
    network: Network, library: _Library, tmp_path: Path
) -> None:
    library.failing = [Exception("[TRT] no such layer\nwith a long trace")]
    with pytest.raises(EngineError, match=r"cannot build the engine: .TRT. no such layer$"):
        built(network, tmp_path / "e", [])
    assert not list((tmp_path / "e").glob("*.engine"))


def test_a_library_that_prints_and_raises_bare_exceptions_ends_in_one_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """torch_tensorrt fails in this way without a driver."""
    (tmp_path / "torch_tensorrt.py").write_text("print('no driver')\nraise Exception('no libnvinfer')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match=r"\(no libnvinfer\).*pip install streamstyle\[tensorrt\]"):
        import_tensorrt()
    assert capsys.readouterr().out == ""


# Engines that open, and the one that auto takes


@without_gpu
def test_what_is_missing_is_told_with_its_command(
    network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if opening.find_spec("torch_tensorrt") is None:
        with pytest.raises(EngineError, match=r"pip install streamstyle\[tensorrt\]"):
            network.open("tensorrt", 64, 64)
    with pytest.raises(EngineError, match="needs an NVIDIA GPU: no NVIDIA driver"):
        network.open("cuda", 64, 64)
    (tmp_path / "torch_tensorrt.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match="needs an NVIDIA GPU"):
        network.open("tensorrt", 64, 64)


def test_auto_goes_on_from_what_cannot_be_had_and_says_why(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(wanted: Any) -> Engine:
        raise EngineError("no TensorRT")

    def taking(wanted: Any) -> Engine:
        return on_cpu(network, why=wanted.why)

    monkeypatch.setattr(opening, "find_gpu", lambda: Gpu(0, "a GPU", "9.0", "1", "13.0"))
    monkeypatch.setattr(opening, "_OPENERS", {**opening._OPENERS, "tensorrt": refusing, "cuda": taking})
    engine = network.open("auto", 61, 90)
    assert (engine.spec.name, engine.spec.why) == ("cuda", "no TensorRT")
    monkeypatch.setattr(opening, "_OPENERS", dict.fromkeys(opening.ENGINES, refusing))
    with pytest.raises(EngineError, match="no engine is available: no TensorRT; no TensorRT"):
        network.open("auto", 61, 90)


LIVE = StreamInfo(
    "test:", 160, 128, Fraction(25), Fraction(1, 25), 0, Fraction(1), "bt709", audio_streams=0, live=True
)


@pytest.fixture
def small_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A machine whose GPU has memory for so many pixels."""

    def with_memory_for(pixels: int) -> None:
        def cuda(wanted: Any) -> Engine:
            if wanted.height * wanted.width > pixels:
                raise EngineMemoryError(f"CUDA out of memory for {wanted.width}x{wanted.height}")
            return open_cuda(replace(wanted, precision="fp32"), None, compiled=False)

        def absent(_wanted: Any) -> Engine:
            raise EngineError("no TensorRT")

        for module in (opening, model_module):
            monkeypatch.setattr(module, "find_gpu", lambda: Gpu(0, "a GPU", "9.0", "1", "13.0"))
        monkeypatch.setattr(opening, "_OPENERS", {**opening._OPENERS, "tensorrt": absent, "cuda": cuda})

    return with_memory_for


def test_a_film_that_a_gpu_has_no_memory_for_is_painted_there_in_tiles_and_then_by_the_processor(
    small_gpu: Callable[[int], None],
) -> None:
    film = replace(LIVE, height=96, width=512, live=False)
    small_gpu(96 * 460)
    config = RunConfig()
    engine = open_for_run(config, load_model(config), film)
    assert (engine.spec.name, engine.spec.tiles > 1) == ("cuda", True)
    assert (
        engine.start(np.zeros((96, 512, 3), np.uint8), StyleCondition(load_model(config).codes))
        .result()
        .any()
    )
    engine.close()
    small_gpu(0)
    engine = open_for_run(config, load_model(config), film)
    assert (engine.spec.name, engine.spec.tiles) == ("openvino", 1)
    assert "CUDA out of memory for 512x96" in engine.spec.why
    engine.close()
    with pytest.raises(EngineMemoryError, match="CUDA out of memory"):
        load_model(RunConfig(engine="cuda")).open_engine(96, 512)


def test_a_live_source_that_a_gpu_has_no_memory_for_is_painted_smaller_there_before_the_processor_is_asked(
    small_gpu: Callable[[int], None],
) -> None:
    small_gpu(64 * 80)
    config = RunConfig()
    told = []
    for level in quality_levels(load_model(config), LIVE, config):
        try:
            engine = level.open()
        except EngineMemoryError:
            told.append(f"{level.what}: no memory")
            continue
        told.append(f"{level.what}: {engine.spec.name}")
        engine.close()
        if engine.spec.name == "openvino":
            break
    assert told == [
        "painting at 160x128: no memory",
        "painting at 80x64: cuda",
        "painting one frame of 2 at 80x64: cuda",
        "painting at 160x128 on the processor: openvino",
    ]


@pytest.mark.parametrize(
    ("name", "precision"), [("openvino", "fp16"), ("tensorrt", "fp32"), ("torch", "bf16")]
)
def test_a_precision_that_an_engine_has_not_is_refused(network: Network, name: str, precision: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} engine has no precision '{precision}'"):
        open_engine(network.request(name, 64, 64, precision=precision))


def test_a_run_says_which_engine_painted_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    if not isinstance(find_gpu(), str):
        pytest.skip("this machine has a GPU")
    assert main(["run", "test:?size=64x64&seconds=1&rate=5", "null:"]) == 0
    out = capsys.readouterr().out
    assert "engine    openvino" in out
    assert f"({find_gpu()})" in out


# AOTInductor


@pytest.mark.skipif(shutil.which("g++") is None, reason="AOTInductor needs a C++ compiler: apt install g++")
def test_a_compiled_network_is_kept_and_paints_as_eager_torch(network: Network, tmp_path: Path) -> None:
    told: list[str] = []
    pixels, condition = picture(64, 64), StyleCondition(network.codes[:2], soft_disc(64, 64))
    pictures = []
    for options in ({"compiled": False}, {"compiled": True}, {"compiled": True}):
        cache = EngineCache(tmp_path / "e", told.append)
        engine = on_cpu(network, size=(64, 64), cache=cache, notify=told.append, **options)
        pictures.append(engine.start(pixels, condition).result())
        engine.close()
    assert [sentence.split()[0] for sentence in told] == ["compiling", "compiled"]
    assert int(np.abs(pictures[0].astype(int) - pictures[1]).max()) <= 1
    np.testing.assert_array_equal(pictures[1], pictures[2])


def test_a_network_that_cannot_be_compiled_runs_and_this_is_told(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> str:
        raise RuntimeError("no compiler")

    monkeypatch.setattr("torch._inductor.aoti_compile_and_package", failing)
    told: list[str] = []
    engine = on_cpu(network, compiled=True, notify=told.append)
    assert engine.start(picture(61, 90), still(network.codes[0])).result().shape == (61, 90, 3)
    assert told[0].startswith("cuda runs uncompiled, which is slower")
    assert "apt install g++" in told[0]


# The command


def test_engines_are_built_ahead_and_a_second_build_only_checks(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["engines", "build", "--size", "64x48", "--engine", "openvino", "--network", "lite"]
    assert main(command) == 0
    first = capsys.readouterr()
    assert first.out.startswith("64x48: openvino")
    assert "compiling lite for 64x48" in first.err
    assert main(command) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("size", ["64", "64x", "0x64", "axb"])
def test_a_size_that_is_none_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["engines", "build", "--size", size])
    assert "write 1920x1080" in capsys.readouterr().err
