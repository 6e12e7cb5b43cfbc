"""Kill and freeze a real RTMP server under a live output, repeatedly; print the effects as JSON.

python3 tools/output_faults.py [CYCLES]

Each cycle takes the server away (SIGKILL) or lets it hang (SIGSTOP) for 1, 5 or 30 s, and measures how long
after its return a new player has its first picture, while an HLS output beside it goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from itertools import cycle, islice, product
from pathlib import Path

import environment
from left_over import held

SECONDS = (1, 5, 30)


def main() -> int:
    """Run the cycles."""
    environment.enter(extra="dev")
    sys.path.insert(0, str(environment.ROOT / "tests"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cycles", nargs="?", type=int, default=20, metavar="CYCLES")
    cycles: int = parser.parse_args().cycles
    import av
    from live_film import RATE, live_info, pumping
    from peers import nginx_rtmp

    from streamstyle.media.net.stream_sink import StreamSink

    back: list[float] = []

    def first_picture(url: str) -> None:
        began = time.monotonic()
        while True:
            try:
                with av.open(url, timeout=(10, 10)) as player:
                    next(player.decode(video=0))
            except (av.FFmpegError, StopIteration):
                time.sleep(0.05)
            else:
                back.append(time.monotonic() - began)
                return

    def play(url: str, folder: str, cycles: int) -> tuple[float, dict[str, int]]:
        sink = StreamSink([url, f"hls:{folder}"], live_info(None), notify=lambda s: print(s, file=sys.stderr))
        with pumping(sink) as pump:
            first_picture(url)
            back.clear()
            for seconds, fault in islice(cycle(product(SECONDS, ("kill", "freeze"))), cycles):
                getattr(server, fault)()
                time.sleep(seconds)
                {"kill": server.start, "freeze": server.thaw}[fault]()
                first_picture(url)
                print(f"{fault} for {seconds} s: picture after {back[-1]:.1f} s", file=sys.stderr)
        return pump.slowest, dict(sink.report().counters)

    with tempfile.TemporaryDirectory() as name, nginx_rtmp(Path(name)) as server:
        url = f"{server.url}/film"
        play(url, f"{name}/first", 0)  # what libraries keep for good is no leak
        before = held()
        slowest, counters = play(url, f"{name}/hls", cycles)
        after = held()
    summary = {
        "cycles": cycles,
        "picture_back_s": {"median": round(statistics.median(back), 2), "most": round(max(back), 2)},
        "slowest_write_ms": round(slowest * 1000, 1),
        "frame_time_ms": 1000 / RATE,
        "leaked": after.since(before),
        "counters": counters,
    }
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
