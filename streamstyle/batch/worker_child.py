"""A worker that is a process: `python -m streamstyle.batch.worker_child PARENT PROCESSOR,...`.

Reads a task a line from standard input and says in lines of JSON on standard output how it goes on. Ends with
its standard input, and with its parent.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from streamstyle.batch.message_json import decoded, encoded
from streamstyle.batch.messages import FramesPainted, Message, Notice, done, failed
from streamstyle.batch.performer import Performer
from streamstyle.batch.tasks import Task
from streamstyle.children import end_with
from streamstyle.errors import StreamStyleError

_REPORT_SECONDS = 0.1
"""Seconds between two messages on painted frames."""


def main() -> int:
    """Do tasks until the input ends."""
    end_with(int(sys.argv[1]))
    keep_to(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it is not blocked; the parent ends us if it wants to
    lines = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # libraries print there

    def send(message: Message) -> None:
        lines.write(encoded(message) + b"\n")

    for line in sys.stdin.buffer:
        frames, due = 0, 0.0

        def on_frame() -> None:
            nonlocal frames, due
            frames += 1
            if time.monotonic() >= due:
                due = time.monotonic() + _REPORT_SECONDS
                send(FramesPainted(frames))

        performer = Performer(on_frame, lambda sentence: send(Notice(sentence)))
        try:
            send(done(performer.perform(decoded(line, Task))))
        except StreamStyleError as error:
            send(failed(error))
    return 0


def keep_to(places: str) -> None:
    """Use only these processors, if the system supports that; all if none is named. places: numbers separated
    by commas. Call it before the engines' libraries are imported, because they count the processors."""
    if places and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(place) for place in places.split(",")})


if __name__ == "__main__":
    os._exit(main())  # all is written, and taking the libraries down takes time and can crash
