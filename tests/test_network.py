"""`--network auto`: the richest network that keeps the source's frame rate here, and why."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from streamstyle.cli.main import main
from streamstyle.config import RunConfig
from streamstyle.engines import machine, pace
from streamstyle.engines.machine import OtherLoad
from streamstyle.engines.pace import MAX_OTHER_LOAD, EnginePace, PaceCache, measured
from streamstyle.engines.size import USABLE_CPU_SHARE
from streamstyle.errors import ConfigError, EngineError, EngineMemoryError, ModelError
from streamstyle.nets.cost import multiply_adds
from streamstyle.nets.generator import Generator
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.nets.noise import CANVAS_CHANNELS
from streamstyle.pipeline import network
from streamstyle.pipeline.model import load_model, networks_with_styles
from streamstyle.pipeline.network import NetworkTrial, choose, decided, each_network, first_choice, rate_of
from streamstyle.styles.bundle import StyleRecord, installed_networks, load_manifest
from streamstyle.styles.code_file import save_code
from streamstyle.types import Engine, EngineSpec, InferenceFuture, Picture, StreamInfo, StyleCondition

NAMES = ("lite", "medium", "full")
FILM = StreamInfo("film.mp4", 320, 180, Fraction(24), Fraction(1, 24), 48, Fraction(1), "bt709", 0)
LIVE = replace(FILM, url="webcam:0", live=True, frames=0)
RICHEST = [manifest.name for manifest in networks_with_styles(RunConfig())][-1]


def counted(config: GeneratorConfig, height: int, width: int) -> int:
    """Multiply-adds of all convolutions and matrix products of a network that runs."""
    total = 0

    class Counting(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal total
            result = function(*args, **(kwargs or {}))
            name = getattr(function, "__name__", "")
            if name == "conv2d":
                total += args[1][0].numel() * result.numel()
            elif "matmul" in name:
                total += args[0].shape[-1] * result.numel()
            return result

    with Counting(), torch.no_grad():
        generator = Generator(config)
        canvas = torch.zeros(1, CANVAS_CHANNELS, height // 8, width // 8)
        generator(torch.zeros(1, 3, height, width), config.layout.neutral()[None], canvas)
    return total


@pytest.mark.parametrize(
    "config",
    [
        *(GeneratorConfig.from_json(load_manifest(p).architecture) for p in installed_networks().values()),
        GeneratorConfig(widths=(4, 12, 20), blocks=1, expansion=3, kernel=3),
        GeneratorConfig(widths=(8, 8, 16), blocks=1, fine_blocks=2, skip=True, head=6),
    ],
    ids=str,
)
def test_the_reckoned_cost_is_that_of_a_network_that_runs(config: GeneratorConfig) -> None:
    assert multiply_adds(config, 48, 64) == counted(config, 48, 64)
    assert multiply_adds(config, 41, 57) == multiply_adds(config, 48, 64), "engines pad to multiples of 8"


def test_networks_come_by_cost_and_a_named_one_alone() -> None:
    names = [manifest.name for manifest in networks_with_styles(RunConfig())]
    assert set(names) == set(installed_networks())
    costs = [
        multiply_adds(GeneratorConfig.from_json(m.architecture), 360, 640)
        for m in networks_with_styles(RunConfig())
    ]
    assert costs == sorted(costs)
    assert [c.network for c in each_network(RunConfig())] == names
    assert [c.network for c in each_network(RunConfig(network="full"))] == ["full"]


@pytest.mark.parametrize(
    ("fps", "rate", "taken", "said"),
    [
        ((90, 60, 40), 30, "full", "the best; it paints about 40 fps here, and the source has 30"),
        ((90, 60, 30), 30, "full", "about 30 fps"),
        ((90, 60, 29.9), 30, "medium", "full paints about 29.9 fps here, and the source has 30"),
        ((90, 20), 29.97, "lite", "medium paints about 20 fps here, and the source has 29.97"),
        ((12,), 30, "lite", "lite paints about 12 fps here, and the source has 30, and it is the fastest"),
        ((90, None), 30, "lite", "`streamstyle engines build --size 640x360`"),
        ((None,), 30, "lite", "a live run does not measure how fast lite is here"),
        ((), 30, "lite", "--engine torch"),
    ],
)
def test_the_richest_that_keeps_the_rate_is_taken(
    fps: tuple[float | None, ...], rate: float, taken: str, said: str
) -> None:
    tried = [NetworkTrial(name, rate) for name, rate in zip(NAMES, fps, strict=False)]
    name, why = decided(NAMES, tried, rate, "640x360")
    assert name == taken
    assert said in why
    assert ("the best is --network full" in why) == (taken != "full")


def test_the_reason_tells_of_busy_processors_trouble_and_styles() -> None:
    busy = [NetworkTrial("lite", 90), NetworkTrial("full", 20, others=0.4)]
    assert "other programs took 40% of the processors" in decided(("lite", "full"), busy, 30, "64x64")[1]
    broken = [NetworkTrial("lite", 90), NetworkTrial("full", None, "no memory")]
    name, why = decided(("lite", "full"), broken, 30, "64x64")
    assert (name, "full cannot be opened: no memory" in why) == ("lite", True)
    name, why = decided(("lite",), [], 30, "64x64", ("full",))
    assert (name, why) == ("lite", "the style does not exist for full")
    assert decided(("lite",), [], 30, "64x64") == ("lite", "the only one")


@pytest.mark.parametrize(
    ("rate", "frames", "counts"),
    [(Fraction(30000, 1001), 100, 29.97), (None, 0, 30), (Fraction(0), 0, 30), (Fraction(1), 1, 30)],
)
def test_sources_without_a_rate_and_pictures_count_as_30(
    rate: Fraction | None, frames: int, counts: float
) -> None:
    assert rate_of(replace(FILM, rate=rate, frames=frames)) == pytest.approx(counts, abs=1e-2)


def test_an_engine_on_the_processor_shares_it_with_the_rest_and_one_on_a_gpu_does_not() -> None:
    on_cpu = EnginePace(painting=0.01, upsampling=0.0, rest=0.02, device="cpu", cpus=2, others=0.0)
    assert on_cpu.fps == pytest.approx(USABLE_CPU_SHARE * 2 / (0.01 * 2 + 0.02))
    brought_up = EnginePace(painting=0.01, upsampling=0.005, rest=0.02, device="cpu", cpus=2, others=0.0)
    assert brought_up.fps < on_cpu.fps
    on_gpu = EnginePace(painting=0.01, upsampling=0.0, rest=0.02, device="cuda:0", cpus=2, others=0.0)
    assert on_gpu.fps == pytest.approx(USABLE_CPU_SHARE / 0.01)
    assert [msgspec.structs.replace(on_cpu, others=n).disturbed for n in (0.0, MAX_OTHER_LOAD, 0.2)] == [
        False,
        False,
        True,
    ]


def at(fps: float, others: float = 0.0) -> EnginePace:
    """The measurement of a network that keeps so many frames a second."""
    return EnginePace(USABLE_CPU_SHARE / fps, 0.0, 0.0, "cpu", 1, others)


class Measuring:
    """Stands for `measured`: hears what is measured, and says how fast it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, paces: dict[str, EnginePace | Exception]) -> None:
        self.paces, self.seen = paces, list[str]()
        monkeypatch.setattr(network, "_measured", self)

    def __call__(self, name: str, *_: object) -> EnginePace:
        self.seen.append(name)
        pace = self.paces[name]
        if isinstance(pace, Exception):
            raise pace
        return pace


def taken(info: StreamInfo = FILM, **settings: str) -> str:
    chosen = choose(first_choice(RunConfig(**settings)), info)  # type: ignore[arg-type]
    assert chosen.network is not None
    assert chosen.config.network == chosen.network.name
    assert chosen.model.codes.shape == load_model(chosen.config).codes.shape
    return chosen.network.name


@pytest.mark.usefixtures("unknown_paces")
def test_a_film_is_measured_once_and_a_live_run_takes_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    measuring = Measuring(monkeypatch, {name: at(60) for name in installed_networks()})
    assert taken(LIVE) == "lite"
    assert measuring.seen == []
    assert taken() == RICHEST
    assert sorted(measuring.seen) == sorted(installed_networks())
    assert taken() == RICHEST
    assert taken(LIVE) == RICHEST
    assert taken(replace(LIVE, rate=Fraction(61))) == "lite"
    assert len(measuring.seen) == len(installed_networks())
    assert taken(replace(FILM, width=640)) == RICHEST
    assert len(measuring.seen) == 2 * len(installed_networks()), "another size is another pace"


@pytest.mark.usefixtures("unknown_paces")
def test_nothing_richer_is_tried_than_what_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    measuring = Measuring(monkeypatch, {name: at(10) for name in installed_networks()})
    assert taken() == "lite"
    assert measuring.seen == ["lite"]


@pytest.mark.usefixtures("unknown_paces")
def test_what_others_slowed_down_is_measured_again_unless_it_was_fast_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paces: dict[str, EnginePace | Exception] = {name: at(60) for name in installed_networks()}
    measuring = Measuring(monkeypatch, paces | {RICHEST: at(20, others=0.5)})
    assert taken() != RICHEST
    measuring.seen.clear()
    assert taken(replace(FILM, rate=Fraction(15))) == RICHEST
    assert not measuring.seen
    measuring.paces[RICHEST] = at(40)
    assert taken() == RICHEST
    assert measuring.seen == [RICHEST]
    assert taken() == RICHEST
    assert measuring.seen == [RICHEST]


@pytest.mark.usefixtures("unknown_paces")
@pytest.mark.parametrize("error", [EngineError("broken"), EngineMemoryError("broken")])
def test_a_network_that_cannot_be_opened_is_not_taken(
    error: EngineError, monkeypatch: pytest.MonkeyPatch
) -> None:
    Measuring(monkeypatch, {name: at(60) for name in installed_networks()} | {RICHEST: error})
    chosen = choose(first_choice(RunConfig()), FILM)
    assert chosen.network is not None
    assert chosen.network.name != RICHEST
    assert f"{RICHEST} cannot be opened: broken" in chosen.network.why


@pytest.mark.usefixtures("unknown_paces")
def test_what_is_named_or_hopeless_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measuring = Measuring(monkeypatch, {})
    assert taken(network="full") == "full"
    assert taken(engine="torch") == "lite"
    assert not measuring.seen
    with pytest.raises(ConfigError, match="installed are"):
        first_choice(RunConfig(network="ful"))


def save_style(home: Path, name: str, networks: tuple[str, ...]) -> None:
    manifests = {n: load_manifest(installed_networks()[n]) for n in networks}
    sizes = {n: GeneratorConfig.from_json(m.architecture).layout.size for n, m in manifests.items()}
    codes = {n: np.ones(size, np.float32) for n, size in sizes.items()}
    save_code(home / "styles" / f"{name}.safetensors", StyleRecord(name, "", "", "", ""), codes, manifests)


@pytest.mark.usefixtures("unknown_paces")
def test_only_networks_that_have_the_style_are_chosen_from(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring = Measuring(monkeypatch, {name: at(60) for name in installed_networks()})
    for name in ("lite", "full"):
        save_style(home, f"for-{name}", (name,))
    save_style(home, "for-both", ("lite", "full"))
    for style, name in (("for-lite", "lite"), ("for-full:0.5,udnie", "full")):
        chosen = choose(first_choice(RunConfig(style=style)), LIVE)
        assert chosen.network is not None
        assert chosen.network.name == name
        assert "the style does not exist for" in chosen.network.why
    assert not measuring.seen
    assert taken(style="for-both", region="rect:0,0,64,64", region_style="for-full") == "full"
    assert taken(style="for-both") == "full"
    with pytest.raises(ModelError, match="train it again"):
        first_choice(RunConfig(style="for-lite,for-full"))
    with pytest.raises(ConfigError, match="unknown style"):
        first_choice(RunConfig(style="nonesuch"))


class Instant:
    """An engine that paints at once. closed: was it?"""

    spec = EngineSpec("instant", "uint8", "cpu", in_flight=1)
    busy_seconds = 0.0
    closed = False

    def start(self, pixels: Picture, _condition: StyleCondition) -> InferenceFuture:
        return InferenceFuture(pixels.copy)

    def close(self) -> None:
        self.closed = True


def test_a_measurement_gives_seconds_and_closes_the_engine() -> None:
    engine = Instant()
    pace = measured(lambda: engine, StyleCondition(np.zeros((2, 1), np.float32)), (96, 128), (48, 64))
    assert engine.closed
    assert min(pace.painting, pace.upsampling, pace.rest) > 0
    assert 0 <= pace.others <= 1
    whole = measured(Instant, StyleCondition(np.zeros((2, 1), np.float32)), (96, 128), (96, 128))
    assert whole.upsampling == 0


def test_an_engine_that_fails_midway_is_closed_too() -> None:
    engine = Instant()

    def fail(_pixels: Picture, _condition: StyleCondition) -> InferenceFuture:
        raise EngineError("no more")

    engine.start = fail  # type: ignore[method-assign]
    opener: Callable[[], Engine] = lambda: engine  # noqa: E731
    with pytest.raises(EngineError):
        measured(opener, StyleCondition(np.zeros((2, 1), np.float32)), (64, 64), (64, 64))
    assert engine.closed


@pytest.mark.usefixtures("unknown_paces")
def test_a_pace_is_kept_for_this_machine_and_these_settings(
    engines: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert PaceCache().find({"frame": [64, 64]}) is None
    assert not engines.exists(), "to look makes nothing"
    PaceCache().keep({"frame": [64, 64]}, at(60, others=0.5), "lite at 64x64")
    assert PaceCache().find({"frame": [64, 64]}) == at(60, others=0.5)
    assert PaceCache().find({"frame": [64, 72]}) is None
    assert PaceCache("torch").find({"frame": [64, 64]}) is None
    with monkeypatch.context() as other:
        other.setattr(pace, "usable_cpus", lambda: 99)
        assert PaceCache().find({"frame": [64, 64]}) is None
    assert main(["engines", "list"]) == 0
    told = "lite at 64x64: about 60 fps in a run, measured beside others that took 50%"
    assert told in capsys.readouterr().out
    (kept,) = (engines / "paces").glob("*.engine")
    kept.write_bytes(b"{}")
    assert PaceCache().find({"frame": [64, 64]}) is None
    PaceCache().keep({"frame": [64, 64]}, at(30), "lite at 64x64")
    assert PaceCache().find({"frame": [64, 64]}) == at(30)
    assert main(["engines", "clear"]) == 0
    assert PaceCache().find({"frame": [64, 64]}) is None


STAT = (
    "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 {busy} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu1 900 0 0 0 0 0 0 0 0 0\nintr 1\n"
)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not tell")
@pytest.mark.parametrize(
    ("busy", "steal", "ours", "share"),
    [(0.0, 0.0, 0.0, 0.0), (1.0, 0.0, 1.0, 0.0), (0.9, 0.1, 0.4, 0.6), (0.3, 0.0, 0.4, 0.0)],
)
def test_what_others_take_is_what_the_processors_did_and_we_did_not(
    busy: float, steal: float, ours: float, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    stat = tmp_path / "stat"
    monkeypatch.setattr(machine, "_STAT", stat)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    now = iter([0.0, 1.0])
    used = iter([5.0, 5.0 + ours])
    monkeypatch.setattr(machine.time, "monotonic", lambda: next(now))
    monkeypatch.setattr(machine.time, "process_time", lambda: next(used))
    stat.write_text(STAT.format(busy=1000, idle=0, steal=10))
    neighbours = OtherLoad()
    stat.write_text(STAT.format(busy=1000 + round(busy * ticks), idle=7, steal=10 + round(steal * ticks)))
    assert neighbours.share() == pytest.approx(share)


def test_where_the_system_does_not_tell_the_load_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_STAT", tmp_path / "none")
    monkeypatch.setattr(os, "getloadavg", lambda: (1e3, 0.0, 0.0), raising=False)
    assert OtherLoad().share() == 1
    monkeypatch.delattr(os, "getloadavg")
    assert OtherLoad().share() == 0


@pytest.mark.usefixtures("unknown_paces")
def test_a_film_says_which_network_painted_it_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = "test:?seconds=1&size=64x64&rate=5"
    assert main(["run", film, str(tmp_path / "out.mkv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["network"]
    assert told["name"] in installed_networks()
    assert "fps here, and the source has 5" in told["why"]
    assert set(told["fps"]) <= set(installed_networks())
    assert (told["name"] == RICHEST) != (f"--network {RICHEST}" in told["why"])
    assert main(["run", film, "null:", "--network", "lite"]) == 0
    assert "network   lite\n" in capsys.readouterr().out


@pytest.mark.usefixtures("unknown_paces")
def test_engines_that_are_built_ahead_have_their_pace_measured(capsys: pytest.CaptureFixture[str]) -> None:
    build = ["engines", "build", "--size", "48x64"]
    assert main([*build, "--network", "lite"]) == 0
    assert "fps" not in capsys.readouterr().out
    assert main(build) == 0
    out = capsys.readouterr().out
    assert all(f"48x64: {name}, about" in out for name in installed_networks())
    assert taken(replace(LIVE, width=48, height=64, rate=Fraction(1, 100))) == RICHEST
