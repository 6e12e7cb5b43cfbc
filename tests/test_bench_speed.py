"""`streamstyle bench engine | pipeline`: the sums, and both commands on small films."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from streamstyle.bench.baseline_engines import open_baseline_engine
from streamstyle.bench.rounds import measured
from streamstyle.bench.sized import sized_film
from streamstyle.bench.speed import Round, Task, bound, figures, growth, linear
from streamstyle.bench.speed_report import table
from streamstyle.cli.main import main
from streamstyle.errors import EngineError
from streamstyle.media.open import open_source
from streamstyle.nets.generator import Generator
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.types import StyleCondition

SMALL = GeneratorConfig(widths=(4, 4, 8), blocks=1)


def stage(fps: float, cpu_ms: float) -> dict[str, float]:
    return {"fps": fps, "cpu_ms": cpu_ms}


def test_the_slowest_stage_bounds_where_cores_are_many() -> None:
    found = bound({"decode": stage(200, 5), "engine": stage(50, 20)}, 16)
    assert found["fps"] == 50
    assert found["by"] == "engine alone"


def test_the_processor_time_of_all_stages_bounds_where_cores_are_few() -> None:
    found = bound({"decode": stage(200, 5), "engine": stage(50, 20)}, 1)
    assert found["fps"] == 40
    assert found["by"] == "25.0 ms of CPU a frame on 1 cores"


def test_figures_take_the_median_round_and_percentiles_of_all_frames() -> None:
    rounds = [Round(10, s, 0.5, [ms] * 10, mib) for s, ms, mib in ((1, 1, 5), (2, 2, 9), (9, 3, 7))]
    found = figures(rounds)
    assert (found["fps"], found["cpu_ms"], found["p50_ms"], found["peak_mib"]) == (5, 50, 2, 9)


def test_equal_pixels_a_second_are_linear() -> None:
    assert linear({(640, 360): 40, (1280, 720): 10})["spread"] == 0
    assert linear({(640, 360): 40, (1280, 720): 5})["spread"] == pytest.approx(1 / 3, abs=1e-3)


def test_growth_is_told_from_the_second_tenth_on() -> None:
    steep_start = [(n, 100.0 if n >= 50 else float(n)) for n in range(1000)]
    assert growth(steep_start)["bytes_per_frame"] == 0
    leak = [(n, n / 1024) for n in range(1000)]
    assert growth(leak)["bytes_per_frame"] == pytest.approx(1024, rel=0.01)


def test_tables_line_up() -> None:
    assert table(("a", "long"), [("wide", "b")]) == ["| a    | long |", "|------|------|", "| wide | b    |"]


def test_a_film_is_made_longer_than_its_source(tmp_path: Path) -> None:
    path = sized_film("test:?seconds=0.2&size=96x64", tmp_path / "long.mp4", (64, 48), 10)
    with open_source(str(path)) as source:
        frames = list(source)
    assert len(frames) == 10
    assert frames[0].pixels.shape == (48, 64, 3)
    assert len({b.pts - a.pts for a, b in pairwise(frames)}) == 1
    # begun again: the seventh frame is the first
    differences = [np.abs(frame.pixels.astype(int) - frames[0].pixels).mean() for frame in frames]
    assert differences[6] < differences[5]


def weights() -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in Generator(SMALL).state_dict().items()}


def test_peers_paint_what_torch_paints() -> None:
    """The engines run the same network, so that their times can be compared."""
    given = weights()
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 60, 3), np.uint8)
    condition = StyleCondition(rng.normal(size=(2, SMALL.layout.size)).astype(np.float32))
    painted = [
        open_baseline_engine(name, SMALL.to_json(), given, 40, 60).start(picture, condition).result()
        for name in ("torch", "onnxruntime")
    ]
    assert painted[0].shape == picture.shape
    assert np.abs(painted[0].astype(int) - painted[1]).max() <= 1


def test_the_classic_network_paints_a_frame_of_any_size() -> None:
    peer = open_baseline_engine("classic", {}, {}, 45, 61)
    painted = peer.start(
        np.zeros((45, 61, 3), np.uint8), StyleCondition(np.zeros((2, 0), np.float32))
    ).result()
    assert painted.shape == (45, 61, 3)


def test_without_a_compiler_the_peer_says_which_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(EngineError, match="no-such-compiler, which is missing: apt install"):
        open_baseline_engine("inductor", SMALL.to_json(), weights(), 64, 64)


def test_a_peer_that_cannot_be_had_is_left_out_with_its_reason(tmp_path: Path) -> None:
    clip = sized_film("test:?seconds=0.5", tmp_path / "clip.mp4", (64, 48), 12)
    tasks = {
        "decode": Task("decode", str(clip), "udnie", "lite", frames=6, warm=2),
        "none": Task("engine", str(clip), "udnie", "lite", engine="tensorflow"),
    }
    found, skipped = measured(tasks, 2, lambda _: None)
    assert [r.frames for r in found["decode"].rounds] == [6, 6]
    assert "unknown engine 'tensorflow'" in skipped["none"]


def test_the_pipeline_is_measured_stage_by_stage_and_whole(capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--sizes", "64x48", "--frames", "1", "--rounds", "1", "--peers", "--long", "40"]
    assert main(["bench", "pipeline", "test:?seconds=1&size=96x64", *options]) == 0
    said = capfd.readouterr().out
    document = json.loads(said.splitlines()[-1])
    found = document["sizes"]["64x48"]
    for name in ("decode", "engine", "judge", "write", "null sink", "film to film", "correct off"):
        assert found[name]["fps"] > 0
        assert found[name]["p50_ms"] <= found[name]["p99_ms"]
    run = found["film to film"]
    assert run["efficiency"] == pytest.approx(run["fps"] / run["bound"]["fps"], abs=2e-3)
    assert run["bound"]["cpu_ms"] > found["correct off"]["bound"]["cpu_ms"]
    assert {"decode", "stylize", "detect"} <= set(run["stages"])
    assert 0 <= run["queues"]["process"]["mean"] < run["queues"]["process"]["capacity"]
    assert document["machine"]["versions"]["openvino"] != "missing"
    assert document["long"]["frames"] == 40
    assert "Stages within film to film at 64x48" in said


def test_engines_are_measured_beside_a_peer(capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--sizes", "64x48", "--frames", "1", "--rounds", "1", "--peers", "onnxruntime", "--layers"]
    assert main(["bench", "engine", "test:?seconds=1&size=96x64", *options]) == 0
    document = json.loads(capfd.readouterr().out.splitlines()[-1])
    engines = document["sizes"]["64x48"]["engines"]
    assert {"auto", "peer:onnxruntime"} == set(engines)
    assert engines["auto"]["spec"]["name"] == "openvino"
    assert sum(layer["share"] for layer in document["layers"]) == pytest.approx(1, abs=0.01)
    assert document["layers"][0]["share"] >= document["layers"][-1]["share"]


def test_what_cannot_be_measured_is_refused_before_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "engine", "test:", "--peers", "onxruntime"]) == 2
    assert "did you mean 'onnxruntime'?" in capsys.readouterr().err
    for arguments in (["engine", "--engines"], ["pipeline", "--engine"]):
        assert main(["bench", *arguments, "openvin"]) == 2
        assert "did you mean 'openvino'?" in capsys.readouterr().err
    assert main(["bench", "pipeline", "missing.mp4"]) == 1
    assert main(["bench", "pipeline", "--style", "udni"]) == 2
