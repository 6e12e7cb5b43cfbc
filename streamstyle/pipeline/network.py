"""The network of a run with `--network auto`: the richest that keeps the source's frame rate here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from streamstyle.config import RunConfig
from streamstyle.engines.pace import EnginePace, PaceCache, measured
from streamstyle.errors import EngineError
from streamstyle.pipeline.job import NetworkChoice
from streamstyle.pipeline.model import AUTO, Model, load_model, networks_with_styles
from streamstyle.pipeline.sizing import asked_size, open_inner_engine
from streamstyle.styles.bundle import Manifest, installed_networks
from streamstyle.styles.imported import asked_model
from streamstyle.styles.library import model_names
from streamstyle.types import StreamInfo, StyleCondition

USUAL_RATE = 30.0
"""Frames a second of a source that does not say, and of a single picture."""


@dataclass(frozen=True)
class ModelChoice:
    """The painter of a run."""

    config: RunConfig
    """Settings, which name the network."""
    model: Model
    network: NetworkChoice | None = None
    """Name of the bundled network, and the reason for it; None for other painters."""
    candidates: tuple[Manifest, ...] = ()
    """Networks that `auto` may take, the cheapest first; empty where the network was named."""


@dataclass(frozen=True)
class NetworkTrial:
    """A network that `auto` looked at."""

    name: str
    fps: float | None
    """Frames per second that a run with it should reach here; None if unknown."""
    error: str = ""
    """The reason if it cannot be opened, otherwise empty."""
    others: float = 0.0
    """Share of the processors that others took while it was measured, 0 where that does not count."""

    def keeps_rate(self, rate: float) -> bool:
        """True if it is known to be fast enough."""
        return self.fps is not None and self.fps >= rate


def first_choice(config: RunConfig, notify: Callable[[str], None] = lambda _: None) -> ModelChoice:
    """The painter before the source is known: for `auto` the cheapest network that has the styles. notify:
    see `load_model`. Raises ConfigError, ModelError."""
    if asked_model(config.style, model_names()) is not None:
        return ModelChoice(config, load_model(config, notify))
    if config.network != AUTO:
        return ModelChoice(config, load_model(config, notify), NetworkChoice(config.network))
    candidates = tuple(networks_with_styles(config))
    named = replace(config, network=candidates[0].name)
    return ModelChoice(named, load_model(named, notify), NetworkChoice(candidates[0].name), candidates)


def choose(
    first: ModelChoice, info: StreamInfo, notify: Callable[[str], None] = lambda _: None
) -> ModelChoice:
    """The painter of this source, see `decided`.

    A film waits about a second per network, once, while it is measured. A live source never waits: it gets a
    better network only if that was measured before. notify: called with what is measured and compiled. Raises
    ConfigError, ModelError.
    """
    if not first.candidates:
        return first
    names = [manifest.name for manifest in first.candidates]
    lacking = tuple(name for name in installed_networks() if name not in names)
    rate, size = rate_of(info), (info.height, info.width)
    tried = []
    if _has_choice(first):
        for one in _tried(first, size, rate, None if info.live else notify):
            tried.append(one)
            if not one.keeps_rate(rate):
                break
    name, why = decided(names, tried, rate, f"{info.width}x{info.height}", lacking)
    fps = {one.name: one.fps for one in tried if one.fps is not None}
    config, model = first.config, first.model
    if name != config.network:
        config = replace(config, network=name)
        model = load_model(config, notify)
    return ModelChoice(config, model, NetworkChoice(name, why, fps))


def _has_choice(first: ModelChoice) -> bool:
    """True if there are several networks, and an engine that is worth a measurement."""
    return len(first.candidates) > 1 and first.config.engine != "torch"


def rate_of(info: StreamInfo) -> float:
    """Frames a second that painting should keep up with."""
    return USUAL_RATE if not info.rate or info.frames == 1 else float(info.rate)


def decided(
    names: Sequence[str], tried: Sequence[NetworkTrial], rate: float, size: str, lacking: Sequence[str] = ()
) -> tuple[str, str]:
    """The network to take, and the reason in one sentence: the best of those tried that keeps `rate`, or the
    cheapest.

    names: the candidates, the cheapest first. tried: the first of them, up to one that is too slow or
    unknown. size: for messages. lacking: networks that do not have the style.
    """
    kept = [one for one in tried if one.keeps_rate(rate)]
    name, best = kept[-1].name if kept else names[0], names[-1]
    others = f"the style does not exist for {' and '.join(lacking)}" if lacking else ""
    if name == best:
        why = (
            f"the best; it paints about {kept[-1].fps:.3g} fps here, and the source has {rate:.4g}"
            if kept
            else ""
        )
        return name, "; ".join(filter(None, (why, others))) or "the only one"
    remedy = f"the best is --network {best}"
    return name, "; ".join(filter(None, (_against(name, tried, rate, size), others, remedy)))


def _against(name: str, tried: Sequence[NetworkTrial], rate: float, size: str) -> str:
    """The reason that nothing richer than `name` was taken."""
    if not tried:
        return "the fastest, because --engine torch is slow"
    last = tried[-1]
    if last.error:
        return f"{last.name} cannot be opened: {last.error}"
    if last.fps is None:
        build = f"`streamstyle engines build --size {size}`"
        return f"a live run does not measure how fast {last.name} is here: {build} does"
    slow = f"{last.name} paints about {last.fps:.3g} fps here, and the source has {rate:.4g}"
    busy = f" (other programs took {last.others:.0%} of the processors, so the next film measures again)"
    return slow + (busy if last.others else "") + (", and it is the fastest" if last.name == name else "")


def each_network(config: RunConfig) -> list[RunConfig]:
    """The same settings for every network that a run with them may take. Raises ConfigError, ModelError."""
    if config.network != AUTO or asked_model(config.style, model_names()) is not None:
        return [config]
    return [replace(config, network=manifest.name) for manifest in networks_with_styles(config)]


def measured_paces(
    config: RunConfig, sizes: Sequence[tuple[int, int]], notify: Callable[[str], None]
) -> Iterator[tuple[tuple[int, int], NetworkTrial]]:
    """The pace of each network that `auto` may take, for every size (height, width) of frames; those that are
    not stored are measured. Empty if there is no choice. Raises ConfigError, ModelError."""
    first = first_choice(config, notify)
    for size in sizes if _has_choice(first) else ():
        for one in _tried(first, size, float("inf"), notify):
            yield size, one


def _tried(
    first: ModelChoice, size: tuple[int, int], rate: float, notify: Callable[[str], None] | None
) -> Iterator[NetworkTrial]:
    """Each network's pace, the cheapest first. notify: None where nothing may be measured."""
    kept = PaceCache(first.config.engine, notify or (lambda _: None))
    for manifest in first.candidates:
        key = _key(manifest, first.config, size)
        pace = kept.find(key)
        # A network that others slowed down may be faster, which matters if it was too slow.
        if notify is not None and (pace is None or (pace.disturbed and pace.fps < rate)):
            try:
                pace = _measured(manifest.name, first, size, notify)
            except EngineError as error:
                yield NetworkTrial(manifest.name, None, str(error))
                continue
            kept.keep(key, pace, f"{manifest.name} at {size[1]}x{size[0]}")
        yield _of(manifest.name, pace)


def _of(name: str, pace: EnginePace | None) -> NetworkTrial:
    if pace is None:
        return NetworkTrial(name, None)
    return NetworkTrial(name, pace.fps, others=pace.others if pace.disturbed else 0.0)


def _measured(
    name: str, first: ModelChoice, size: tuple[int, int], notify: Callable[[str], None]
) -> EnginePace:
    config = replace(first.config, network=name)
    model = first.model if name == first.config.network else load_model(config, notify)
    notify(f"measuring how fast {name} paints {size[1]}x{size[0]} on this machine, once ...")
    opener = partial(open_inner_engine, config, model, *size)
    return measured(opener, StyleCondition(model.codes), size, asked_size(config, *size))


def _key(manifest: Manifest, config: RunConfig, size: tuple[int, int]) -> dict[str, Any]:
    """All that the pace of a network depends on beside the machine."""
    return {
        "weights": manifest.sha256,
        "architecture": manifest.architecture,
        "frame": list(size),
        "size": list(asked_size(config, *size)),
        "tile": config.tile,
        "holds": config.consistency > 0,
        "masks": config.region is not None,
        "correct": config.correct,
        "precision": config.precision,
    }
