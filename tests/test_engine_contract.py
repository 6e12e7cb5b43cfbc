"""One contract for every engine, against torch eager fp32."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamstyle.engines.network import frame_generator
from streamstyle.engines.open import ENGINES, open_engine
from streamstyle.errors import ConfigError, EngineError, ModelError
from streamstyle.styles.bundle import load_bundle
from streamstyle.types import Engine, Picture

SIZES = [(64, 64), (120, 160), (95, 131), (360, 640)]


def picture(height: int, width: int, seed: int = 0) -> Picture:
    """Smooth shapes and some noise: something between a photo and a test card."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    phases = rng.uniform(0, 6, 3)
    base = np.stack([np.sin(x / (17 + i) + phases[i]) + np.cos(y / (23 - i)) for i in range(3)], axis=-1)
    noisy = 128 + 55 * base + rng.normal(0, 6, base.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def psnr(a: Picture, b: Picture) -> float:
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


@pytest.fixture(scope="module")
def bundle():  # type: ignore[no-untyped-def]
    return load_bundle()


@pytest.fixture(params=sorted(ENGINES))
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(name: str, bundle, height: int, width: int) -> Engine:  # type: ignore[no-untyped-def]
    return open_engine(name, bundle.manifest.architecture, bundle.weights, height, width)


def reference(bundle, pixels: Picture, code: NDArray[np.float32]) -> Picture:  # type: ignore[no-untyped-def]
    """Torch eager fp32 on the padded picture, cropped."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="edge")
    network = frame_generator(bundle.manifest.architecture, bundle.weights)
    with torch.no_grad():
        styled = network(torch.from_numpy(padded)[None], torch.from_numpy(code)[None])[0]
    return styled[:height, :width].numpy()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_style_matches_torch_eager_fp32(engine_name: str, bundle, size: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    engine = opened(engine_name, bundle, *size)
    pixels = picture(*size)
    for style in bundle.styles:
        styled = engine.start(pixels, style.code)()
        assert styled.shape == pixels.shape
        assert styled.dtype == np.uint8
        assert psnr(styled, reference(bundle, pixels, style.code)) >= 40
    engine.close()


def test_results_keep_their_order_and_code_with_several_frames_in_flight(engine_name: str, bundle) -> None:  # type: ignore[no-untyped-def]
    engine = opened(engine_name, bundle, 64, 96)
    jobs = [(picture(64, 96, seed), bundle.styles[seed % len(bundle.styles)].code) for seed in range(12)]
    alone = [engine.start(*job)() for job in jobs]
    pending = []
    together = []
    for job in jobs:
        pending.append(engine.start(*job))
        if len(pending) > engine.spec.in_flight:
            together.append(pending.pop(0)())
    together += [wait() for wait in pending]
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)
    engine.close()


def test_the_input_is_untouched_and_the_result_belongs_to_the_caller(engine_name: str, bundle) -> None:  # type: ignore[no-untyped-def]
    engine = opened(engine_name, bundle, 64, 64)
    pixels = picture(64, 64)
    pixels.flags.writeable = False
    before = pixels.copy()
    first = engine.start(pixels, bundle.styles[0].code)()
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(engine.start(pixels, bundle.styles[0].code)(), kept)
    np.testing.assert_array_equal(pixels, before)
    assert first.flags.writeable
    engine.close()


def test_an_engine_says_what_it_is_and_how_long_it_was_busy(engine_name: str, bundle) -> None:  # type: ignore[no-untyped-def]
    engine = opened(engine_name, bundle, 64, 64)
    assert engine.spec.name == engine_name
    assert engine.spec.precision in {"fp32", "bf16", "fp16"}
    assert engine.spec.in_flight >= 1
    assert engine.busy_seconds == 0
    engine.start(picture(64, 64), bundle.styles[0].code)()
    assert engine.busy_seconds > 0
    engine.close()


def test_auto_takes_openvino_on_a_cpu(bundle) -> None:  # type: ignore[no-untyped-def]
    engine = opened("auto", bundle, 64, 64)
    assert engine.spec.name == "openvino"
    engine.close()


def test_an_unknown_engine_names_the_nearest(bundle) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="did you mean 'openvino'"):
        opened("opnvino", bundle, 64, 64)


def test_weights_that_do_not_fit_are_refused(bundle) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match="do not fit"):
        frame_generator(bundle.manifest.architecture | {"blocks": 1}, bundle.weights)


def test_a_missing_openvino_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch, bundle) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match="pip install openvino"):
        opened("openvino", bundle, 64, 64)


_WATCHED_RUN = """
import sys
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith(("socket.", "os.fork")) else None)
import numpy as np
from streamstyle.engines.open import open_engine
from streamstyle.styles.bundle import load_bundle
bundle = load_bundle()
engine = open_engine("openvino", bundle.manifest.architecture, bundle.weights, 64, 64)
engine.start(np.zeros((64, 64, 3), np.uint8), bundle.original)()
sys.exit(f"phoned home: {seen}" if seen else 0)
"""


def test_opening_and_running_an_engine_opens_no_socket() -> None:
    done = subprocess.run([sys.executable, "-c", _WATCHED_RUN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
