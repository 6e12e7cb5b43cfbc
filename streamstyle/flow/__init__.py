"""Channels, threads and stopping: the only threading in the package.

    capture thread --[channel]--> the caller's thread: process --[channel]--> a thread per sink
    a watch thread: fillers, time limits, stuck sources and sinks

Every channel is bounded. `lossless` waits when full and never drops; `latest` drops the oldest and counts it.
The first error wins: every thread has ended, or was abandoned, before `run` raises it.
"""

from streamstyle.flow.channel import Cancelled, Channel, Policy
from streamstyle.flow.filler import TIME_BASE, FillerConfig
from streamstyle.flow.flow import Flow, FlowStatus, Live
from streamstyle.flow.future import Event, Future, Lock
from streamstyle.flow.metrics_text import metrics_text
from streamstyle.flow.stop_request import StopRequest
from streamstyle.flow.switch import SwitchedSource
from streamstyle.flow.wakeup import Wakeup
from streamstyle.flow.worker import Inlet, Outlet, has_abandoned_threads, interruption

__all__ = [
    "TIME_BASE",
    "Cancelled",
    "Channel",
    "Event",
    "FillerConfig",
    "Flow",
    "FlowStatus",
    "Future",
    "Inlet",
    "Live",
    "Lock",
    "Outlet",
    "Policy",
    "StopRequest",
    "SwitchedSource",
    "Wakeup",
    "has_abandoned_threads",
    "interruption",
    "metrics_text",
]
