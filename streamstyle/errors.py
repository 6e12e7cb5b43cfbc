"""The exception tree of streamstyle.

    StreamStyleError            any failure that the user can do something about
    |-- ConfigError             a setting, option or style name that does not exist or does not fit
    |-- MediaError              video and audio in or out
    |   |-- SourceError         the input cannot be opened, read or decoded
    |   `-- SinkError           the output cannot be opened, written or finished
    |-- EngineError             the asked engine cannot be had or failed
    |   `-- EngineMemoryError   it needs more memory than there is
    `-- ModelError              weights or manifests that are missing, damaged or of another version

Each message is one sentence of what is wrong and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StreamStyleError(Exception):
    """Base of all errors below. Ends a command with exit code 1."""


class ConfigError(StreamStyleError):
    """Wrong usage: the request itself makes no sense. Ends a command with exit code 2."""


class MediaError(StreamStyleError):
    """Video or audio could not be read or written."""


class SourceError(MediaError):
    """The input cannot be opened, read or decoded."""


class SinkError(MediaError):
    """The output cannot be opened, written or finished."""


class EngineError(StreamStyleError):
    """The requested engine is not available on this machine, or failed."""


class EngineMemoryError(EngineError):
    """The engine needs more memory for frames of this size than the device has free."""


class ModelError(StreamStyleError):
    """Weights or manifests are missing, damaged or of another version."""


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the known name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""
