"""Measure which properties of a film survive a run: orientation, HDR, interlacing and metadata.

tools/films_page.py writes these rows. The films are those of the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

PATCHES_OFF = 8  # levels that an encoder in 4:2:0 may change the middle of a patch by
WHITE = range(243, 252)  # levels of HDR's reference white, above which there is room for highlights


@dataclass(frozen=True)
class Property:
    """A row of the table."""

    kind: str
    name: str
    make: Callable[[Path], Path]
    """Writes the film into a folder and returns its path."""
    judge: Callable[[Path, tuple[str, ...]], str]
    """A cell, of the written film and the notes of the run."""


def rows(folder: Path, outputs: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """A row for each property: its kind, its name, and a cell for each output."""
    for one in (*orientations(), *hdr_charts(), *interlaced_films(), *carried_things()):
        place = folder / one.name.replace(" ", "-").replace("/", "-")
        place.mkdir()
        film, cells = one.make(place), []
        for output in outputs:
            notes = written(film, place / f"out{output}")
            cells.append(one.judge(place / f"out{output}", notes))
        print(one.kind, one.name, *cells, sep=" | ", flush=True)
        yield one.kind, one.name, *cells


def written(film: Path, out: Path) -> tuple[str, ...]:
    """Pass the film from a source to a sink, as a run does; return the reports of both."""
    from streamstyle.media.open import open_sink, open_source

    with open_source(str(film)) as source:
        sink = open_sink(str(out), source.info)
        for frame in source:
            sink.write(frame)
        sink.close(complete=True)
        return *source.report().notes, *sink.report().notes


def first_picture(film: Path) -> Any:
    """The first picture as this program reads it."""
    from streamstyle.media.av_source import FileSource

    with FileSource(str(film)) as source:
        return next(iter(source)).pixels


def orientations() -> Iterator[Property]:
    """The eight of EXIF."""
    from test_media_orientation import ORIENTATIONS, filmed, matrix_of

    def oriented(number: int, matrix: tuple[int, ...], seen: Callable[[Any], Any]) -> Property:
        return Property(
            "orientation",
            f"EXIF {number}",
            lambda place: filmed(place / "in.mp4", matrix_of(*matrix)),
            lambda out, _: upright(out, seen),
        )

    for number, (matrix, seen) in ORIENTATIONS.items():
        yield oriented(number, matrix, seen)


def upright(out: Path, seen: Callable[[Any], Any]) -> str:
    """Verdict on the picture: it must be as players show the film, with nothing left to turn."""
    import av
    import numpy as np
    from media_files import card

    with av.open(str(out)) as container:
        frame = next(container.decode(video=0))
        found, turned = frame.to_ndarray(format="rgb24"), frame.rotation
    expected = seen(card())
    if found.shape != expected.shape or turned:
        return f"WRONG: {found.shape[1]}x{found.shape[0]}, turned by {turned}"
    off = int(np.abs(found[4::24, 4::24].astype(int) - expected[4::24, 4::24]).max())
    return f"upright, {off} levels off" if off <= PATCHES_OFF else f"WRONG: {off} levels off"


def hdr_charts() -> Iterator[Property]:
    """Colours that were graded as SDR, and white of 203 cd/m2, by the formulas of BT.2100."""
    import numpy as np
    from test_media_hdr import CURVES, GRADED, PQ, chart, light_of

    white = [[255, 255, 255]]
    colours = np.concatenate([GRADED[np.ptp(GRADED, axis=1) <= 200], white])

    def graded(transfer: int, signal: Any) -> Property:
        return Property(
            "HDR",
            "PQ, BT.2020" if transfer == PQ else "HLG, BT.2020",
            lambda place: chart(place / "in.mkv", signal, transfer),
            lambda out, notes: tone_mapped(out, notes, colours),
        )

    for transfer, curve in CURVES.items():
        yield graded(transfer, curve(light_of(colours)))


def tone_mapped(out: Path, notes: tuple[str, ...], colours: Any) -> str:
    """The distance of the colours from those that were graded, and whether the conversion was said."""
    import numpy as np
    from test_media_hdr import patches

    found = patches(first_picture(out))
    said = any("HDR" in note for note in notes)
    below, white = int(np.abs(found - colours)[:-1].max()), int(found[-1].min())
    right = below <= PATCHES_OFF and white in WHITE and said
    told = f"{below} levels off, white at {white}{'' if said else ', not said'}"
    return told if right else f"WRONG: {told}"


def interlaced_films() -> Iterator[Property]:
    """Bars that move from field to field."""
    from test_media_deinterlace import interlaced

    films = (
        ("H.264, top first", "in.mp4", "libx264", True),
        ("H.264, bottom first", "in.mkv", "libx264", False),
        ("MPEG-2, top first", "in.ts", "mpeg2video", True),
        ("MPEG-2, bottom first", "in.ts", "mpeg2video", False),
        ("ProRes, bottom first", "in.mov", "prores_ks", False),
    )

    def made(name: str, file: str, codec: str, top_first: bool) -> Property:
        return Property(
            "interlaced",
            name,
            lambda place: interlaced(place / file, codec, top_first=top_first),
            lambda out, notes: deinterlaced(out, notes, top_first=top_first),
        )

    yield from (made(*film) for film in films)


def deinterlaced(out: Path, notes: tuple[str, ...], *, top_first: bool) -> str:
    """Verdict on the frames: each must be nearer to the moment of its first field than to the woven one, and
    tagged as whole."""
    import av
    import numpy as np
    from test_media_deinterlace import FRAMES, error, moment, woven

    with av.open(str(out)) as container:
        frames = [
            (f.to_ndarray(format="rgb24").astype(np.uint8, copy=False), f.interlaced_frame)
            for f in container.decode(video=0)
        ]
    off = [error(picture, moment(2 * at)) for at, (picture, _) in enumerate(frames)]
    combed = [error(picture, woven(at, top_first=top_first)) for at, (picture, _) in enumerate(frames)]
    faults = [
        *([f"{len(frames)} frames"] if len(frames) != FRAMES else []),
        *(["combs"] if any(a >= b / 2 for a, b in zip(off, combed, strict=True)) else []),
        *(["tagged as interlaced"] if any(tagged for _, tagged in frames) else []),
        *(["not said"] if not any("interlaced" in note for note in notes) else []),
    ]
    told = f"{max(off):.1f} levels off (woven {max(combed):.1f})"
    return f"WRONG: {told}, {', '.join(faults)}" if faults else told


def carried_things() -> Iterator[Property]:
    """Dispositions, languages, tags, chapters, timecode, attachments."""
    from av.stream import Disposition
    from test_media_metadata import film
    from test_media_subtitles import CHAPTERS, chapters_of, subtitled

    def plain(place: Path) -> Path:
        return film(place / "in.mkv")

    def tagged(place: Path) -> Path:
        return film(place / "in.mkv", tags={"title": "Rain", "director": "Bo"})

    def timed(place: Path) -> Path:
        return film(place / "in.mkv", timecode="10:11:12:13")

    def attached(place: Path) -> Path:
        return film(place / "in.mkv", sound="libopus", attachments=True)

    def marked(name: str) -> Callable[[Path], Path]:
        both = (Disposition[name], Disposition.default)
        return lambda place: film(place / "in.mkv", dispositions=both)

    yield carried("languages", plain, lambda out: languages(out) == ["fra", "jpn"], "language")
    yield carried("default track", plain, lambda out: disposed(out, 1, "default"), "dispositions")
    for name in ("forced", "hearing_impaired", "comment"):
        yield carried(f"{name} track", marked(name), partial(disposed, track=0, name=name), name)
    yield carried("tag title", tagged, lambda out: tag(out, "title") == "Rain", "TITLE")
    yield carried("tag director", tagged, lambda out: tag(out, "director") == "Bo", "DIRECTOR")
    yield carried(
        "chapters",
        lambda place: subtitled(place / "in.mkv", []),
        lambda out: chapters_of(out) == CHAPTERS,
        "chapter",
    )
    yield carried("timecode", timed, lambda out: timecode(out) == "10:11:12:13", "timecode")
    yield carried("font", attached, has_font, "letters.ttf")
    yield carried("cover picture", attached, has_cover, "cover picture")


def carried(name: str, make: Callable[[Path], Path], kept: Callable[[Path], bool], word: str) -> Property:
    """A row. kept: True if it is in the written film. word: part of the note where it is not."""

    def judge(out: Path, notes: tuple[str, ...]) -> str:
        if kept(out):
            return "kept"
        said = any(word in note for note in notes)
        return "left out, said" if said else "WRONG: lost, not said"

    return Property("metadata", name, make, judge)


def languages(film: Path) -> list[str | None]:
    """Languages of the sound tracks."""
    import av

    with av.open(str(film)) as container:
        return [track.language for track in container.streams.audio]


def disposed(film: Path, track: int, name: str) -> bool:
    """True if this sound track has the disposition."""
    import av
    from av.stream import Disposition

    with av.open(str(film)) as container:
        return bool(container.streams.audio[track].disposition & Disposition[name])


def tag(film: Path, name: str) -> str | None:
    """A tag of the film."""
    import av

    with av.open(str(film)) as container:
        return {key.lower(): value for key, value in container.metadata.items()}.get(name)


def timecode(film: Path) -> str | None:
    """Time code of the pictures."""
    import av

    with av.open(str(film)) as container:
        tags = container.streams.video[0].metadata.items()
    return {key.lower(): value for key, value in tags}.get("timecode")


def has_font(film: Path) -> bool:
    """True if the attached font was kept, byte for byte."""
    import av
    from test_media_metadata import FONT

    with av.open(str(film)) as container:
        return FONT in [bytes(one.data) for one in container.streams.attachments]


def has_cover(film: Path) -> bool:
    """True if the cover picture was kept, byte for byte."""
    import av
    from av.stream import Disposition
    from test_media_metadata import jpeg

    with av.open(str(film)) as container:
        covers = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
        return any(bytes(next(p for p in container.demux(s) if p.size)) == jpeg() for s in covers)
