"""A worker that is a process: `python -m streamstyle.batch.worker_child PARENT PROCESSOR,...`.

Reads a task a line from standard input and says in lines of JSON on standard output how it goes on. Ends with
its standard input, and with its parent.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import msgspec

from streamstyle.batch.messages import FramesPainted, Message, Notice, done, failed
from streamstyle.batch.tasks import Performer, Task
from streamstyle.errors import StreamStyleError
from streamstyle.flow.parent import end_with

_EVERY = 0.1
"""Seconds between two messages on painted frames."""


def main() -> int:
    """Do tasks until there are no more."""
    end_with(int(sys.argv[1]))
    keep_to(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C; the parent ends us if it wants to
    lines = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # libraries print there
    encoder = msgspec.json.Encoder()

    def say(message: Message) -> None:
        lines.write(encoder.encode(message) + b"\n")

    for line in sys.stdin.buffer:
        frames, due = 0, 0.0

        def on_frame() -> None:
            nonlocal frames, due
            frames += 1
            if time.monotonic() >= due:
                due = time.monotonic() + _EVERY
                say(FramesPainted(frames))

        performer = Performer(on_frame, lambda sentence: say(Notice(sentence)))
        try:
            say(done(performer.perform(msgspec.json.decode(line, type=Task))))
        except StreamStyleError as error:
            say(failed(error))
    return 0


def keep_to(places: str) -> None:
    """Use these processors only, where the system can do that; all where none is named. places: numbers with
    commas between. To be called before the engines' libraries are imported, which count what they may use."""
    if places and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(place) for place in places.split(",")})


if __name__ == "__main__":
    os._exit(main())  # all is written, and taking the libraries down takes time and can crash
