"""A program that opens a device with PyAV and forwards its packets through a pipe.

python -P relay.py '{"file": ":0", "format": "x11grab", "attempts": [{"framerate": "30"}]}'

Drivers and X servers can block for ever, where no time-out of FFmpeg applies; a child can be killed. Besides,
FFmpeg's x11grab crashes in a process that has loaded OpenCV's wheel, whose X libraries replace its own. So
nothing here may import OpenCV, and this runs as a file, not as a module of its package.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import av
from av.container import InputContainer


def main() -> int:
    """Pass on until the device or the reader ends. The last line of stderr is `ERRNO WORDS` of a failure."""
    asked = json.loads(sys.argv[1])
    try:
        with opened(asked["file"], asked["format"], asked["attempts"]) as device:
            stream = device.streams.video[0]
            # Without syncpoints NUT's reader keeps no list of them that would grow for ever.
            options = {"syncpoints": "none", "strict": "experimental", "flush_packets": "1"}
            with av.open("pipe:1", "w", format="nut", container_options=options) as pipe:
                out = pipe.add_stream_from_template(stream)
                for packet in device.demux(stream):
                    if packet.size:
                        packet.stream = out
                        pipe.mux(packet)
    except BrokenPipeError:
        return 0
    except (av.FFmpegError, ValueError, IndexError) as error:
        words = getattr(error, "strerror", None) or error
        print(getattr(error, "errno", None) or 0, words, file=sys.stderr)  # noqa: T201 - read by our parent
        return 1
    return 0


def opened(file: str, format_: str, attempts: Sequence[Mapping[str, str]]) -> InputContainer:
    """The device with the first options that it takes. Raises FFmpeg's error for the last ones."""
    *others, last = attempts
    for options in others:
        try:
            return _open(file, format_, options)
        except (av.FileNotFoundError, av.PermissionError):
            raise
        except (av.FFmpegError, ValueError):
            continue
    return _open(file, format_, last)


def _open(file: str, format_: str, options: Mapping[str, Any]) -> InputContainer:
    container: InputContainer = av.open(file, "r", format=format_, container_options=dict(options))
    return container


if __name__ == "__main__":
    sys.exit(main())
