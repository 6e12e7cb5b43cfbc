"""The process of one stream: `python -m streamstyle.streams.stream_child PARENT PROCESSOR,... ARGUMENT...`.

It is `streamstyle serve ARGUMENT...` on some of the processors, and ends well, with its outputs finished,
when its parent has ended.
"""

from __future__ import annotations

import signal
import sys

from streamstyle.batch.worker_child import keep_to
from streamstyle.children import end_with
from streamstyle.cli.main import program


def main() -> None:
    """Serve until a signal comes."""
    end_with(int(sys.argv[1]), signal.SIGTERM)
    keep_to(sys.argv[2])
    sys.argv[1:] = ["serve", *sys.argv[3:]]
    program()


if __name__ == "__main__":
    main()
