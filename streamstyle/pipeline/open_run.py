"""All that is open while a job runs. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from streamstyle.flow import Flow
from streamstyle.pipeline.chain import ProcessingChain
from streamstyle.pipeline.job import Job
from streamstyle.pipeline.ladder import Ladder
from streamstyle.pipeline.network import ModelChoice
from streamstyle.pipeline.run_tap import FrameProcess
from streamstyle.types import Sink, Source, StreamInfo


@dataclass(frozen=True)
class OpenRun:
    """A job with its source, engine and sinks open."""

    job: Job
    chosen: ModelChoice
    """The network and the settings with it."""
    source: Source
    info: StreamInfo
    """The stream that the sinks see of the source."""
    chain: ProcessingChain
    process: FrameProcess
    """`chain.process` inside its wrappers."""
    flow: Flow
    ladder: Ladder | None
    """The latency ladder; None without a deadline."""
    sinks: tuple[Sink, ...]
    """Open sinks, in the order of `job.sinks`."""
