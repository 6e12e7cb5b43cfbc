"""One segment, from the film to a file with a record beside it; and all of them to one film."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from functools import partial
from itertools import islice
from pathlib import Path
from platform import node

from streamstyle.batch.film_options import check_unchanged, model_of
from streamstyle.batch.manifest import (
    MANIFEST,
    FilmManifest,
    FilmRecord,
    Segment,
    SegmentRecord,
    digest,
    read,
    write,
)
from streamstyle.batch.storage import parted, storage_of
from streamstyle.batch.tasks import DamagedSegments
from streamstyle.config import RunConfig
from streamstyle.errors import SinkError
from streamstyle.flow import Flow, Inlet, Outlet, StopRequest
from streamstyle.media.film_part import FilmPart, FilmRange
from streamstyle.media.join import join_parts
from streamstyle.media.part_sink import PartSink
from streamstyle.pipeline.chain import ProcessingChain, chain_opener
from streamstyle.pipeline.conditions import region_of
from streamstyle.pipeline.job import Job
from streamstyle.pipeline.opencv_threads import single_threaded_opencv
from streamstyle.pipeline.outputs import encoding_of
from streamstyle.pipeline.run_hooks import RunHooks
from streamstyle.pipeline.run_job import run_job
from streamstyle.pipeline.run_tap import open_configured
from streamstyle.types import Frame

_SINK_TIMEOUT = 60.0
"""Seconds that an encoder may take to finish."""

OnFrame = Callable[[], None]
Notify = Callable[[str], None]


def segment_path(folder: str, number: int) -> str:
    """The address of the pictures of a segment."""
    return f"{folder}/{number:04}.segment"


def record_path(folder: str, number: int) -> str:
    """The address of the record of a segment."""
    return f"{folder}/{number:04}.json"


def manifest_of(folder: str) -> FilmManifest:
    """The plan of a film. Raises SinkError, OptionsMismatchError."""
    manifest = read(f"{folder}/{MANIFEST}", FilmManifest)
    if manifest is None:
        raise SinkError(f"{folder} no longer contains {MANIFEST}: start again")
    return manifest


def config_of(manifest: FilmManifest) -> RunConfig:
    """The settings that the film is painted with. The canvas stands still: whoever paints a segment does not
    know how the camera has moved before."""
    names = {field.name for field in fields(RunConfig)}
    kept = {name: value for name, value in manifest.options.items() if name in names}
    return RunConfig(**kept, canvas="still", network=manifest.network or "auto")


def paint_segment(folder: str, number: int, on_frame: OnFrame, notify: Notify) -> SegmentRecord:
    """Paint a segment and record it; on_frame: called after each of its frames. Raises the first
    StreamStyleError of any stage."""
    manifest = manifest_of(folder)
    check_unchanged(Path(manifest.source), manifest.options)
    segment, storage = manifest.segments[number], storage_of(folder)
    kinds = Counter[str]()
    flagged = 0

    def on_painted(frame: Frame) -> None:
        nonlocal flagged
        if frame.quality is not None and frame.quality.kinds:
            flagged += 1
            kinds.update(str(kind) for kind in frame.quality.kinds)
        on_frame()

    started = time.monotonic()
    with ExitStack() as stack:
        part = stack.enter_context(storage.scratch(folder)) / f"{number:04}.{node()}.{os.getpid()}.part"
        stack.callback(part.unlink, missing_ok=True)
        frames, chain, notes = _painted(manifest, segment, part, on_painted, notify)
        record = SegmentRecord(
            number=number,
            size=part.stat().st_size,
            sha256=digest(part),
            frames=frames,
            flagged=flagged,
            anomalies=dict(kinds),
            engine=f"{chain.engine.spec.name} {chain.engine.spec.precision}",
            seconds=round(time.monotonic() - started, 3),
            notes=notes,
        )
        storage.publish(part, segment_path(folder, number))
    write(record_path(folder, number), record)
    return record


def _painted(
    manifest: FilmManifest, segment: Segment, part: Path, on_frame: Callable[[Frame], None], notify: Notify
) -> tuple[int, ProcessingChain, tuple[str, ...]]:
    """Paint a segment into the file `part`. Returns its frames, the engine, and notes."""
    config = config_of(manifest)
    range_ = FilmRange(segment.begin, segment.end, segment.index - segment.warm_up, segment.key)
    film = FilmPart(
        *(manifest.source, range_),
        decoder=config.decoder,
        deinterlace=config.deinterlace,
        background=config.background,
    )
    with single_threaded_opencv(), ExitStack() as stack:
        reading = stack.enter_context(ExitStack())
        info = reading.enter_context(film).info
        chain = chain_opener(
            Job(manifest.source, (str(part),)), config, model_of(config), RunHooks(notify=notify)
        )(stack, info, region_of(config, info))
        sink = PartSink(part, info, encoding_of(config), manifest.output)
        flow = Flow(
            Inlet(film, reading.pop_all().close),
            [Outlet(sink, part.name, config.queue, _SINK_TIMEOUT)],
            stop=StopRequest(),
            capacity=config.queue,
        )
        flow.run(partial(_without_warm_up, segment.warm_up, chain.process), on_frame)
    notes = (*film.report().notes, *sink.report().notes)
    return sink.report().counters["frames"], chain, notes


def _without_warm_up(
    count: int, process: Callable[[Iterable[Frame | None]], Iterator[Frame]], frames: Iterable[Frame | None]
) -> Iterator[Frame]:
    return islice(process(frames), count, None)


def done_segments(folder: str, manifest: FilmManifest) -> list[SegmentRecord]:
    """The finished segments, by their sizes; `join_film` compares digests. Removes all other files except the
    plan. Raises SinkError."""
    storage = storage_of(folder)
    there = {*storage.names(folder)}
    found, kept = [], {MANIFEST, "lock"}
    for segment in manifest.segments:
        path, beside = segment_path(folder, segment.number), record_path(folder, segment.number)
        names = {parted(path)[1], parted(beside)[1]}
        record = read(beside, SegmentRecord) if names <= there else None
        if record is not None and storage.size(path) == record.size:
            found.append(record)
            kept |= names
    for name in there:
        if name not in kept:
            storage.remove(f"{folder}/{name}")
    return found


def join_film(folder: str, record: str) -> FilmRecord | DamagedSegments:
    """Join all segments to the film, or find out which of them have changed since, and forget those. record:
    where the film is remembered. Raises SourceError, SinkError."""
    manifest = manifest_of(folder)
    if (before := _done_before(manifest, record)) is not None:
        return before
    check_unchanged(Path(manifest.source), manifest.options)
    records = [read(record_path(folder, segment.number), SegmentRecord) for segment in manifest.segments]
    done = [one for one in records if one is not None]
    engines = sorted({one.engine for one in done})
    if len(done) != len(records) or len(engines) != 1:
        raise SinkError(
            f"{folder} cannot be joined: segments are missing, or were painted by "
            f"{' and '.join(engines)}. Remove it and begin again."
        )
    config, storage = config_of(manifest), storage_of(folder)
    with open_configured(manifest.source, config) as source:
        info = source.info
    anomalies = Counter[str]()
    for one in done:
        anomalies.update(one.anomalies)
    flagged = sum(one.flagged for one in done)
    with ExitStack() as stack:
        addresses = (segment_path(folder, segment.number) for segment in manifest.segments)
        paths = [stack.enter_context(storage.local(address)) for address in addresses]
        changed = [one for one, path in zip(done, paths, strict=True) if not _is_whole(path, one)]
        if changed:
            for one in changed:
                storage.remove(record_path(folder, one.number))
            return DamagedSegments({one.number: one.frames for one in changed})
        joined = stack.enter_context(_whole_film(manifest, folder))
        report = join_parts(paths, joined, info, encoding_of(config), manifest.end)
        frames = report.counters["frames"]
        if frames != sum(one.frames for one in done):
            raise SinkError(f"{folder} cannot be joined: a segment was changed. Remove it and begin again.")
        notes = tuple(dict.fromkeys([note for one in done for note in one.notes] + list(report.notes)))
        return _finished(manifest, joined, record, (frames, flagged), dict(anomalies), notes)


@contextmanager
def _whole_film(manifest: FilmManifest, folder: str) -> Iterator[Path]:
    """A path of this machine for the film. What a failure leaves of it is removed, since it may be what fills
    the disk."""
    with storage_of(folder).scratch(folder) as scratch:
        try:
            yield scratch / f"joined{Path(manifest.output).suffix}"
        finally:
            for left in scratch.glob("joined*"):
                left.unlink(missing_ok=True)


def _is_whole(path: Path, record: SegmentRecord) -> bool:
    try:
        return digest(path) == record.sha256
    except OSError:  # it is gone, or the disk cannot read it any more
        return False


def paint_whole(folder: str, record: str, on_frame: OnFrame, notify: Notify) -> FilmRecord:
    """Paint a film in one piece, as `streamstyle run` does. record: where that is remembered. Raises the
    first StreamStyleError of any stage."""
    manifest = manifest_of(folder)
    if (before := _done_before(manifest, record)) is not None:
        return before
    check_unchanged(Path(manifest.source), manifest.options)
    config = config_of(manifest)
    with _whole_film(manifest, folder) as joined:
        summary = run_job(
            *(Job(manifest.source, (str(joined),)), config),
            stop=StopRequest(),
            hooks=RunHooks(on_progress=lambda _: on_frame(), notify=notify),
            model=model_of(config),
        )
        check_unchanged(Path(manifest.source), manifest.options)
        counts = summary.frames_out, summary.flagged_frames
        return _finished(manifest, joined, record, counts, summary.anomalies, summary.notes)


def _done_before(manifest: FilmManifest, record: str) -> FilmRecord | None:
    """The record of this film, if a worker finished it and was lost before it could report that."""
    done = read(record, FilmRecord)
    if done is None or done.options != manifest.options:
        return None
    return done if storage_of(manifest.output).size(manifest.output) == done.size else None


def _finished(
    manifest: FilmManifest,
    joined: Path,
    record: str,
    counts: tuple[int, int],
    anomalies: dict[str, int],
    notes: tuple[str, ...],
) -> FilmRecord:
    """Give the film its name and remember it. counts: frames, flagged frames."""
    size = joined.stat().st_size
    storage_of(manifest.output).publish(joined, manifest.output)
    done = FilmRecord(
        source=manifest.source,
        output=manifest.output,
        options=manifest.options,
        network=manifest.network,
        size=size,
        frames=counts[0],
        segments=len(manifest.segments),
        flagged=counts[1],
        anomalies=anomalies,
        notes=notes,
    )
    write(record, done)
    return done
