"""Pass damaged films through `repair`, whose sources and sinks are those of `run`; JSON at the end.

python3 tools/fuzz.py [FILES] [--seed N] [--seconds S] [--keep FOLDER]    2000 files by default

Small films in many containers and codecs are damaged (flipped bits, cut off, pieces shuffled or repeated, the
head of another film) and each is read in a child, which may take S seconds of processor time (2), on a busy
machine too; a child that waits otherwise is ended after S minutes. The ends of the children are counted.
Faults are printed, and kept in FOLDER: a crash, a hang, a traceback, more than one line, no line, or an
output that does not play. Ctrl-C ends it, and prints the counts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import environment

POLL_SECONDS = 0.01
SEEDS = (
    (".mp4", "libx264", "aac"),
    (".mov", "prores_ks", "pcm_s16le"),
    (".mkv", "libx264", "libopus"),
    (".mkv", "ffv1", "flac"),
    (".webm", "libvpx-vp9", "libopus"),
    (".ts", "libx264", "mp2"),
    (".ts", "libx265", "ac3"),
    (".avi", "mpeg4", "mp3"),
    (".mp4", "libx265", "ac3"),
    (".gif", "gif", None),
)


def main() -> int:
    """Damage, read, count."""
    environment.enter(extra="dev")
    sys.path.insert(0, str(environment.ROOT / "tests"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=int, nargs="?", default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    ends: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(KeyboardInterrupt):
        for number, took, code, what in reads(Path(name), asked):
            slowest = max(slowest, took)
            ends[code] += 1
            if what:
                wrong[what.partition(":")[0]] += 1
                print(f"{number}: {what}", file=sys.stderr, flush=True)
    print(json.dumps({"files": ends.total(), "ends": ends, "wrong": wrong, "slowest_s": round(slowest, 2)}))
    return 1 if wrong else 0


def reads(folder: Path, asked: argparse.Namespace) -> Iterator[tuple[int, float, str, str]]:
    """The number of each damaged film, its seconds of processor time, its end, and its fault."""
    random_ = random.Random(asked.seed)
    with quiet():  # x265 talks
        whole = seeds(folder)
    load()
    for number in range(asked.files):
        suffix, data = damaged(random_, whole)
        film = folder / f"film{suffix}"
        film.write_bytes(data)
        code, said, took = read_in_a_child(film, folder, asked.seconds)
        what = fault(code, said, folder / "out.mkv")
        if what and asked.keep:
            asked.keep.mkdir(exist_ok=True)
            shutil.copy(film, asked.keep / f"{asked.seed}-{number}{suffix}")
        yield number, took, code, f"{what}: {said[-300:]!r}" if what else ""
        for left in folder.glob("out*"):
            left.unlink()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what libraries write to stderr."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def seeds(folder: Path) -> list[tuple[str, bytes]]:
    """Whole films, and their suffixes."""
    from media_files import make_video

    films = []
    for number, (suffix, codec, audio) in enumerate(SEEDS):
        pixels = {"prores_ks": "yuv422p10le", "gif": "rgb8"}.get(codec, "yuv420p")
        path = folder / f"seed{number}{suffix}"
        make_video(
            path, frames=10, size=(64, 64), codec=codec, pixel_format=pixels, audio=[audio] if audio else []
        )
        films.append((suffix, path.read_bytes()))
    return films


def load() -> None:
    """Import what children need, so that each begins at once."""
    import streamstyle.media.av_sink
    import streamstyle.media.av_source
    import streamstyle.pipeline.run_job

    assert streamstyle


def damaged(random_: random.Random, whole: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """One of the films, damaged in one or two ways."""
    suffix, data = random_.choice(whole)
    for _ in range(random_.choice((1, 1, 2))):
        data = random_.choice((flipped, cut, shuffled, repeated, swapped))(random_, data, whole)
    return suffix, data


def flipped(random_: random.Random, data: bytes, _whole: object) -> bytes:
    """Some bits are others; often in the head, where they count most."""
    changed = bytearray(data)
    for _ in range(random_.choice((1, 4, 30, 300))):
        limit = len(changed) if random_.random() < 0.5 else min(len(changed), 2000)
        if limit:
            changed[random_.randrange(limit)] ^= 1 << random_.randrange(8)
    return bytes(changed)


def cut(random_: random.Random, data: bytes, _whole: object) -> bytes:
    """End it early."""
    return data[: random_.randrange(len(data) + 1)]


def shuffled(random_: random.Random, data: bytes, _whole: object) -> bytes:
    """Pieces behind the head are in another order."""
    size = random_.choice((188, 512, 4096))
    head, rest = data[:size], data[size:]
    pieces = [rest[at : at + size] for at in range(0, len(rest), size)]
    random_.shuffle(pieces)
    return head + b"".join(pieces)


def repeated(random_: random.Random, data: bytes, _whole: object) -> bytes:
    """A piece comes again somewhere."""
    at, to = random_.randrange(len(data) + 1), random_.randrange(len(data) + 1)
    return data[:to] + data[at : at + 5000] + data[to:]


def swapped(random_: random.Random, data: bytes, whole: list[tuple[str, bytes]]) -> bytes:
    """Give it the head of another."""
    size = random_.choice((16, 200, 1000))
    return random_.choice(whole)[1][:size] + data[size:]


def read_in_a_child(film: Path, folder: Path, seconds: float) -> tuple[str, str, float]:
    """The end of the child, its words on stderr, and its seconds of processor time."""
    errors = folder / "stderr"
    child = os.fork()
    if child == 0:
        # What takes much longer than it may is ended by the kernel, in whole seconds.
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(10 * seconds),) * 2)
        work(film, folder / "out.mkv", errors)
    deadline = time.monotonic() + 60 * seconds
    done = 0
    while not done and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        done, status, used = os.wait4(child, os.WNOHANG)
    if not done:
        os.kill(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
    took, code = used.ru_utime + used.ru_stime, os.waitstatus_to_exitcode(status)
    name = signal.Signals(-code).name if code < 0 else f"exit {code}"
    return "hang" if not done or took > seconds else name, errors.read_text(errors="replace"), took


def work(film: Path, out: Path, errors: Path) -> None:
    """The child: never returns."""
    code = 99
    try:
        for number, target in ((1, os.devnull), (2, errors)):
            file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, number)
        from streamstyle.cli.main import main as program

        code = program(["repair", str(film), str(film), str(out)])
    except BaseException:  # noqa: BLE001 - told, and the child ends
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def fault(code: str, said: str, out: Path) -> str:
    """The fault of an end; empty if there is none."""
    lines = said.splitlines()
    if code not in {"exit 0", "exit 1", "exit 2"}:
        return code
    if "Traceback" in said:
        return "traceback"
    if code == "exit 0":
        return "noise" if lines else "" if plays(out) else "does not play"
    return "" if len(lines) == 1 and lines[0].startswith("streamstyle: ") else f"{len(lines)} lines"


def plays(out: Path) -> bool:
    """True if an output that is called whole gives a picture."""
    from streamstyle.errors import SourceError
    from streamstyle.media.av_source import FileSource

    try:
        with FileSource(str(out)) as source:
            return next(iter(source), None) is not None
    except SourceError:
        return False


if __name__ == "__main__":
    sys.exit(main())
