"""The data that crosses rooms, and the seams between them. Data only: nothing here does work.

A picture is always `uint8` RGB, shape (H, W, 3), C-contiguous, on the host.
"""

from streamstyle.types.anomaly_event import EVENT_SCHEMA, AnomalyEvent
from streamstyle.types.detection import Action, AnomalyMap, Corrector, Detector, FlashLimiter, Observer
from streamstyle.types.engine import (
    Engine,
    EngineSpec,
    FramePart,
    InferenceFuture,
    Motion,
    MotionSearch,
    Region,
    Repaint,
    Repainter,
    StyleCondition,
)
from streamstyle.types.frames import (
    AnalysisPair,
    Frame,
    FrameQuality,
    Interruptible,
    Kind,
    MediaReport,
    Picture,
    Sink,
    Sound,
    SoundReader,
    Source,
    StreamInfo,
)

__all__ = [
    "EVENT_SCHEMA",
    "Action",
    "AnalysisPair",
    "AnomalyEvent",
    "AnomalyMap",
    "Corrector",
    "Detector",
    "Engine",
    "EngineSpec",
    "FlashLimiter",
    "Frame",
    "FramePart",
    "FrameQuality",
    "InferenceFuture",
    "Interruptible",
    "Kind",
    "MediaReport",
    "Motion",
    "MotionSearch",
    "Observer",
    "Picture",
    "Region",
    "Repaint",
    "Repainter",
    "Sink",
    "Sound",
    "SoundReader",
    "Source",
    "StreamInfo",
    "StyleCondition",
]
