"""The degradation steps of a live run that is late, the least missed first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from streamstyle.config import RunConfig
from streamstyle.engines.live_engine import LiveEngine
from streamstyle.errors import ConfigError
from streamstyle.flow import Flow
from streamstyle.pipeline.chain import Detection, ProcessingChain
from streamstyle.pipeline.ladder import DegradationStep, Ladder, parse_latency
from streamstyle.types import Engine, StreamInfo


def deadline_of(config: RunConfig, info: StreamInfo) -> float | None:
    """Greatest age of a frame when it leaves, in seconds; None without --latency. Raises ConfigError."""
    if config.latency is None:
        return None
    if not info.live:
        raise ConfigError("--latency is for live sources, and this one is a film: leave it out")
    return parse_latency(config.latency)


def ladder_of(
    deadline: float | None,
    flow: Flow,
    chain: ProcessingChain,
    notify: Callable[[str], None],
) -> Ladder | None:
    """The ladder of a run with a deadline; None without one."""
    if deadline is None:
        return None
    engine = chain.engine
    opening = (lambda: bool(engine.opening)) if isinstance(engine, LiveEngine) else (lambda: False)
    steps = [
        _newest(flow),
        *_sparse(chain.detection),
        *_smaller(engine),
    ]
    return Ladder(deadline, steps, notify, waiting=opening)


def _newest(flow: Flow) -> DegradationStep:
    depth = flow.captured.capacity
    change = partial(setattr, flow.captured, "capacity")
    return DegradationStep(
        "only the newest waiting frame is kept", partial(change, 1), partial(change, depth)
    )


def _sparse(detection: Detection | None) -> list[DegradationStep]:
    if detection is None or detection.sparse is None:
        return []
    change = partial(setattr, detection.sparse, "enabled")
    return [
        DegradationStep(
            "every second frame is checked for anomalies while none is found",
            partial(change, True),
            partial(change, False),
        )
    ]


def _smaller(engine: Engine) -> list[DegradationStep]:
    if not isinstance(engine, LiveEngine):
        return []
    return [
        DegradationStep(level.what, partial(engine.set_level, i), partial(engine.set_level, i - 1))
        for i, level in enumerate(engine.levels[1:], 1)
    ]
