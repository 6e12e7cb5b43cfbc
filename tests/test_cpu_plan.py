"""The number of streams in which OpenVINO paints: chosen by measuring, once, and kept with the engine."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from streamstyle.engines import cpu_plan
from streamstyle.engines.cpu_plan import (
    MAX_PIXELS_IN_FLIGHT,
    MIN_MEASURED_PIXELS,
    CpuPlan,
    candidates,
    chosen,
    cpu_precision,
)
from streamstyle.engines.open_engine import open_engine, paint_all
from streamstyle.engines.request import EngineRequest, NetworkWeights
from streamstyle.nets.generator import Generator
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.types import Engine, StyleCondition

SMALL = GeneratorConfig(widths=(4, 4, 8), blocks=1)
HEIGHT, WIDTH = 180, 320
WEIGHTS = {name: tensor.numpy() for name, tensor in Generator(SMALL).state_dict().items()}


def test_few_processors_leave_few_plans() -> None:
    assert candidates(1, MIN_MEASURED_PIXELS, most=8) == [1]
    assert candidates(2, MIN_MEASURED_PIXELS, most=8) == [1, 2]
    assert candidates(16, MIN_MEASURED_PIXELS, most=8) == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("capabilities", "instructions", "precision"),
    [
        (["FP32"], "avx2 fma", "fp32"),
        (["FP32", "BF16"], "avx2 avx512_bf16 avx512f fma", "fp32"),
        (["FP32", "BF16"], "amx_bf16 amx_tile avx512_bf16", "bf16"),
        (["FP32", "BF16"], "asimd bf16 sve", "bf16"),
        (["FP32", "FP16"], "asimd", "fp32"),
    ],
)
def test_bf16_is_taken_where_it_is_faster(capabilities: list[str], instructions: str, precision: str) -> None:
    assert cpu_precision(capabilities, instructions) == precision


def test_frames_that_need_the_one_before_have_one_stream() -> None:
    assert candidates(16, MIN_MEASURED_PIXELS, most=1) == [1]


def test_small_frames_are_not_worth_measuring_and_large_ones_not_the_memory() -> None:
    assert candidates(16, MIN_MEASURED_PIXELS - 1, most=8) == [2]
    assert candidates(16, MAX_PIXELS_IN_FLIGHT // 2, most=8) == [1, 2]


def test_more_frames_in_flight_must_be_worth_their_delay() -> None:
    assert chosen({1: 100.0, 2: 102.0}) == 1
    assert chosen({1: 100.0, 2: 110.0, 4: 111.0}) == 2


def opened(told: list[str]) -> Engine:
    return open_engine(
        EngineRequest(HEIGHT, WIDTH, NetworkWeights(SMALL.to_json(), WEIGHTS), "openvino", notify=told.append)
    )


@pytest.mark.parametrize("fastest", [1, 2])
def test_the_plan_is_measured_once_kept_and_told(
    fastest: int, engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def rate(_compiled: object, streams: int) -> float:
        measured.append(streams)
        return 90.0 if streams == fastest else 30.0

    monkeypatch.setattr(cpu_plan, "frames_per_second", rate)
    monkeypatch.setattr(cpu_plan, "usable_cpus", lambda: 2)
    first = opened([])
    assert sorted(measured) == [1, 2]
    told: list[str] = []
    second = opened(told)
    assert not told
    assert len(measured) == 2
    assert first.spec == second.spec
    assert first.spec.in_flight == fastest
    plan = {1: "1 stream of 2 threads", 2: "2 streams of 1 thread"}[fastest]
    assert first.spec.plan.startswith(plan)
    assert "90 fps" in first.spec.plan
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 256, (3, HEIGHT, WIDTH, 3), np.uint8))
    condition = StyleCondition(np.ones((2, SMALL.layout.size), np.float32))
    for a, b in zip(
        paint_all(first, pictures, condition), paint_all(second, pictures, condition), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    (file,) = engines.glob("*.engine")
    assert msgspec.json.decode(file.read_bytes().partition(b"\n")[0], type=CpuPlan).streams == fastest


def test_what_is_measured_is_a_rate() -> None:
    engine = opened([])
    streams = engine.spec.in_flight
    assert 0 < cpu_plan.frames_per_second(engine._compiled, streams) < 1e6  # type: ignore[attr-defined]
