"""The child process that decodes an upload: a picture on standard input, a PNG of at most LARGEST pixels a
side on standard output. Exit codes: 0 done, 1 no picture.

A hostile file can only harm this process, which has little memory and little time.
"""

from __future__ import annotations

import os
import sys

MAX_SIDE = 1024
MAX_PIXELS = 50_000_000
MAX_MEMORY = 2 << 30
CPU_SECONDS = 10

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def main() -> int:
    """Decode, shrink, encode."""
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)
    import cv2  # noqa: PLC0415 - it reads its limits when it is imported
    import numpy as np  # noqa: PLC0415

    _limit()
    data = sys.stdin.buffer.read()
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    if not (data.startswith(_MAGIC) or webp):
        return 1
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        picture = None
    if picture is None:
        return 1
    scale = MAX_SIDE / max(picture.shape[:2])
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    ok, png = cv2.imencode(".png", picture)
    sys.stdout.buffer.write(png.tobytes())
    return 0 if ok else 1


def _limit() -> None:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - there is none on Windows

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


if __name__ == "__main__":
    sys.exit(main())
