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
from streamstyle.pipeline.model import AUTO, Model, able_networks, load_model
from streamstyle.pipeline.sizing import asked_size, open_alone
from streamstyle.styles.bundle import Manifest, installed_networks
from streamstyle.styles.imported import asked_model
from streamstyle.styles.library import model_names
from streamstyle.types import StreamInfo, StyleCondition

USUAL_RATE = 30.0
"""Frames a second of a source that does not say, and of a single picture."""


@dataclass(frozen=True)
class Chosen:
    """The painter of a run. config: names the network. network: None where none of ours paints. able: those
    that `auto` may take, the cheapest first; empty where the network was named."""

    config: RunConfig
    model: Model
    network: NetworkChoice | None = None
    able: tuple[Manifest, ...] = ()


@dataclass(frozen=True)
class Tried:
    """A network that `auto` looked at. fps: what a run with it should keep here, None where that is not
    known. trouble: why it cannot be opened. others: share of the processors that others took while it was
    measured, 0 where that does not count."""

    name: str
    fps: float | None
    trouble: str = ""
    others: float = 0.0

    def keeps(self, rate: float) -> bool:
        """Whether it is known to be fast enough."""
        return self.fps is not None and self.fps >= rate


def first_choice(config: RunConfig, notify: Callable[[str], None] = lambda _: None) -> Chosen:
    """The painter as far as it is known before there is a source: of `auto` the cheapest network that has
    the styles. notify: see `load_model`. Raises ConfigError, ModelError."""
    if asked_model(config.style, model_names()) is not None:
        return Chosen(config, load_model(config, notify))
    if config.network != AUTO:
        return Chosen(config, load_model(config, notify), NetworkChoice(config.network))
    able = tuple(able_networks(config))
    named = replace(config, network=able[0].name)
    return Chosen(named, load_model(named, notify), NetworkChoice(able[0].name), able)


def choose(first: Chosen, info: StreamInfo, notify: Callable[[str], None] = lambda _: None) -> Chosen:
    """The painter of this source, see `decided`. A film waits for about a second a network, once, to have it
    measured; a live source never: it gets a richer network where that was measured before.

    notify: told what is measured and compiled. Raises ConfigError, ModelError.
    """
    if not first.able:
        return first
    names = [manifest.name for manifest in first.able]
    lacking = tuple(name for name in installed_networks() if name not in names)
    rate, size = rate_of(info), (info.height, info.width)
    tried = []
    if _has_choice(first):
        for one in _tried(first, size, rate, None if info.live else notify):
            tried.append(one)
            if not one.keeps(rate):
                break
    name, why = decided(names, tried, rate, f"{info.width}x{info.height}", lacking)
    fps = {one.name: one.fps for one in tried if one.fps is not None}
    config, model = first.config, first.model
    if name != config.network:
        config = replace(config, network=name)
        model = load_model(config, notify)
    return Chosen(config, model, NetworkChoice(name, why, fps))


def _has_choice(first: Chosen) -> bool:
    """Whether there are several networks, and an engine that is worth a measurement."""
    return len(first.able) > 1 and first.config.engine != "torch"


def rate_of(info: StreamInfo) -> float:
    """Frames a second that painting should keep up with."""
    return USUAL_RATE if not info.rate or info.frames == 1 else float(info.rate)


def decided(
    names: Sequence[str], tried: Sequence[Tried], rate: float, size: str, lacking: Sequence[str] = ()
) -> tuple[str, str]:
    """The network to take and why, a sentence: the richest of those tried that keeps `rate`, else the
    cheapest.

    names: those that can be taken, the cheapest first. tried: the first of them, up to one that is too slow
    or not known. size: for people. lacking: networks that do not have the style.
    """
    kept = [one for one in tried if one.keeps(rate)]
    name, best = kept[-1].name if kept else names[0], names[-1]
    others = f"the style is not there for {' and '.join(lacking)}" if lacking else ""
    if name == best:
        why = (
            f"the best; it paints about {kept[-1].fps:.3g} fps here, and the source has {rate:.4g}"
            if kept
            else ""
        )
        return name, "; ".join(filter(None, (why, others))) or "the only one"
    remedy = f"the best is --network {best}"
    return name, "; ".join(filter(None, (_against(name, tried, rate, size), others, remedy)))


def _against(name: str, tried: Sequence[Tried], rate: float, size: str) -> str:
    """The reason that nothing richer than `name` was taken."""
    if not tried:
        return "with --engine torch, which is slow, the cheapest"
    last = tried[-1]
    if last.trouble:
        return f"{last.name} cannot be opened: {last.trouble}"
    if last.fps is None:
        build = f"`streamstyle engines build --size {size}`"
        return f"a live run takes no time to measure how fast {last.name} is here, as {build} does"
    slow = f"{last.name} paints about {last.fps:.3g} fps here, and the source has {rate:.4g}"
    busy = f" (others took {last.others:.0%} of the processors meanwhile, so the next film measures it again)"
    return slow + (busy if last.others else "") + (", and it is the cheapest" if last.name == name else "")


def each_network(config: RunConfig) -> list[RunConfig]:
    """The same settings for every network that a run with them may take. Raises ConfigError, ModelError."""
    if config.network != AUTO or asked_model(config.style, model_names()) is not None:
        return [config]
    return [replace(config, network=manifest.name) for manifest in able_networks(config)]


def measured_paces(
    config: RunConfig, sizes: Sequence[tuple[int, int]], notify: Callable[[str], None]
) -> Iterator[tuple[tuple[int, int], Tried]]:
    """The pace of each network that `auto` may take, for every size (height, width) of frames; what is not
    kept is measured. Nothing where there is no choice to make. Raises ConfigError, ModelError."""
    first = first_choice(config, notify)
    for size in sizes if _has_choice(first) else ():
        for one in _tried(first, size, float("inf"), notify):
            yield size, one


def _tried(
    first: Chosen, size: tuple[int, int], rate: float, notify: Callable[[str], None] | None
) -> Iterator[Tried]:
    """Each network's pace, the cheapest first. notify: None where nothing may be measured."""
    kept = PaceCache(first.config.engine, notify or (lambda _: None))
    for manifest in first.able:
        key = _key(manifest, first.config, size)
        pace = kept.find(key)
        # A network that others slowed down may be faster, which matters if it was too slow.
        if notify is not None and (pace is None or (pace.disturbed and pace.fps < rate)):
            try:
                pace = _measured(manifest.name, first, size, notify)
            except EngineError as error:
                yield Tried(manifest.name, None, str(error))
                continue
            kept.keep(key, pace, f"{manifest.name} at {size[1]}x{size[0]}")
        yield _of(manifest.name, pace)


def _of(name: str, pace: EnginePace | None) -> Tried:
    if pace is None:
        return Tried(name, None)
    return Tried(name, pace.fps, others=pace.others if pace.disturbed else 0.0)


def _measured(name: str, first: Chosen, size: tuple[int, int], notify: Callable[[str], None]) -> EnginePace:
    config = replace(first.config, network=name)
    model = first.model if name == first.config.network else load_model(config, notify)
    notify(f"measuring how fast {name} paints {size[1]}x{size[0]} on this machine, once ...")
    opener = partial(open_alone, config, model, *size)
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
