"""Pass films of every kind through sources and sinks, and write the results to docs/films.md.

python3 tools/films_page.py [-o PAGE.md]    some minutes; no engine is needed

The films of the first table, one for every container and sound, have 40 pictures and a click of sound at
every tenth, and both are searched for in the output. The second table is tools/film_properties.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import environment
import film_properties

RATE = 48_000
PICTURES = 40
CLICKS = range(10, PICTURES, 10)
SOUND, PROPERTIES = "<!-- begin: tools/films_page.py -->", "<!-- begin: tools/film_properties.py -->"
END = "<!-- end -->"
INPUTS = {
    ".mp4": ("aac", "mp3", "ac3", "eac3", "flac", "libopus", "alac"),
    ".mov": ("aac", "pcm_s16le", "pcm_s24be", "alac"),
    ".mkv": ("aac", "mp3", "ac3", "flac", "libopus", "pcm_s16le"),
    ".webm": ("libopus",),
    ".ts": ("aac", "mp2", "ac3", "libopus"),
    ".avi": ("mp3", "ac3", "pcm_s16le"),
}
OUTPUTS = (".mp4", ".mov", ".mkv", ".webm")


def main() -> int:
    """Measure and write."""
    environment.enter(extra="dev")
    sys.path.insert(0, str(environment.ROOT / "tests"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=environment.ROOT / "docs" / "films.md")
    page: Path = parser.parse_args().out
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        properties = list(film_properties.rows(Path(folder), OUTPUTS))
        text = filled(text, PROPERTIES, ("kind", "film", *OUTPUTS), properties)
        sounds = list(passes(Path(folder)))
        text = filled(text, SOUND, ("in", "sound", *OUTPUTS), sounds)
    page.write_text(text, encoding="utf-8")
    wrong = sum("WRONG" in cell for row in properties for cell in row)
    print(f"wrote {page}: {(len(properties) + len(sounds)) * len(OUTPUTS)} passes, {wrong} properties wrong")
    return 1 if wrong else 0


def filled(text: str, begin: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """The page with a table between the mark and the next end."""
    before, mark, rest = text.partition(begin)
    if not mark:
        raise SystemExit(f"the page has no line {begin}")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return f"{before}{begin}\n" + "\n".join(lines) + f"\n{END}{rest.partition(END)[2]}"


def passes(folder: Path) -> Iterator[tuple[str, ...]]:
    """One row for each container and sound."""
    for container, codecs in INPUTS.items():
        for codec in codecs:
            film = clicking(folder / f"in{container}", codec)
            before = seen(film), clicks(film)
            cells = [passed(film, before, folder / f"out{output}") for output in OUTPUTS]
            print(container, codec, *cells, sep=" | ", flush=True)
            yield container, codec.removeprefix("lib"), *cells


def clicking(path: Path, codec: str) -> Path:
    """A film that is white where it clicks."""
    import av
    import numpy as np

    rate = Fraction(25)
    with av.open(str(path), "w") as film:
        video = film.add_stream("libvpx-vp9" if path.suffix == ".webm" else "libx264", rate=rate)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = film.add_stream(codec, rate=RATE, layout="stereo")
        assert isinstance(sound, av.AudioStream)
        samples = np.zeros((PICTURES * RATE // 25, 2), np.float32)
        for number in CLICKS:
            at = number * RATE // 25
            samples[at : at + 480] = 0.8 * np.sin(np.arange(480) * 0.4)[:, None]
        for number in range(PICTURES):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 255 * (number in CLICKS), np.uint8))
            picture.pts, picture.time_base = number, 1 / rate
            film.mux(video.encode(picture))
        film.mux(video.encode(None))
        for first in range(0, len(samples), 1024):
            part = samples[first : first + 1024].reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="flt", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
            film.mux(sound.encode(frame))
        film.mux(sound.encode(None))
    return path


def passed(film: Path, before: tuple[list[float], list[float]], out: Path) -> str:
    """The cell of a film that was painted: sound copied or encoded, and every difference. before: times of
    its pictures and clicks."""
    from media_files import audio_packets, passed_through

    report = passed_through(str(film), out)
    faults = []
    shown, (wanted, clicked) = seen(out), before
    if len(shown) != PICTURES:
        faults.append(f"{len(shown)} pictures")
    apart = max((abs(a - b) for a, b in zip(shown, wanted, strict=False)), default=0.0)
    if apart > 0.00051:  # Matroska counts milliseconds
        faults.append(f"pts {1000 * apart:.1f} ms off")
    copied = report.counters["audio_packets_copied"]
    if copied and audio_packets(out) != audio_packets(film):
        faults.append("other packets")
    late = [1000 * (b - a) for a, b in zip(clicked, clicks(out), strict=False)]
    if len(late) != len(CLICKS):
        faults.append(f"{len(late)} clicks")
    elif max(map(abs, late)) > 1:
        faults.append(f"clicks {max(late, key=abs):+.1f} ms")
    how = f"copied {copied}" if copied else "encoded"
    return f"{how}, {', '.join(faults)}" if faults else how


def seen(film: Path) -> list[float]:
    """Times at which each picture is shown, from the first on, in seconds."""
    from streamstyle.media.av_source import FileSource

    with FileSource(str(film)) as source:
        times = [frame.time for frame in source]
    return [time - times[0] for time in times]


def clicks(film: Path) -> list[float]:
    """Times at which each click begins after the first picture, in seconds."""
    import av
    import numpy as np

    with av.open(str(film)) as container:
        first = next(frame.time or 0.0 for frame in container.decode(video=0))
        if container.format.name == "avi":
            first = 0.0  # FFmpeg guesses the pictures' times there
    with av.open(str(film)) as container:
        packed = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        heard = np.zeros((PICTURES + 30) * RATE // 25, np.float32)
        for frame in container.decode(audio=0):
            for part in packed.resample(frame):
                at = round(((frame.time or 0.0) - first) * RATE)
                samples = part.to_ndarray()[0][max(-at, 0) :][: max(len(heard) - max(at, 0), 0)]
                heard[max(at, 0) : max(at, 0) + len(samples)] = samples
    found = []
    for number in CLICKS:
        from_ = number * RATE // 25 - RATE // 50
        loud = np.flatnonzero(np.abs(heard[from_ : from_ + RATE // 12]) > 0.3)
        found += [(from_ + int(loud[0])) / RATE] if len(loud) else []
    return found


if __name__ == "__main__":
    sys.exit(main())
