"""Everything in a film besides pictures, sound and subtitles: tags, languages, dispositions, timecode,
attachments and cover art. Losses in an output are noted."""

from __future__ import annotations

import re
from collections.abc import Iterable

from av.container import InputContainer, OutputContainer
from av.stream import DataStream, Disposition, Stream
from av.video.stream import VideoStream

from streamstyle.media.container import HOSTILE
from streamstyle.media.film_input import is_film, open_film
from streamstyle.media.formats import FORMATS, OutputFormat
from streamstyle.media.programs import moving_streams, picture_stream, taken_of
from streamstyle.types import StreamInfo
from streamstyle.urls import masked

# The container's own business; copying them would describe the source's container.
_OF_CONTAINER = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}

# Tags by muxers about the samples of a stream, which are others now.
_OF_SAMPLES = (
    "duration",
    "bps",
    "number_of_",
    "_statistics_",
    "encoder",
    "vendor_id",
    "rotate",
    "alpha_mode",
)

_PICTURES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}

_MAX_TIMECODE_RATE = 255  # frames a second in QuickTime's track of the timecode

# The code of ISO 639-2 that MP4 and QuickTime have room for.
_LANGUAGE = re.compile(r"[a-z]{3}")

# Hours, minutes and seconds; frames, after a semicolon or point where some are dropped.
_TIMECODE = re.compile(r"\d\d:\d\d:\d\d([:;.])(\d\d)")


def describe_(target: Stream, source: Stream) -> None:
    """Copy language, title, other tags and dispositions of a source stream to its output stream."""
    tags = {key: value for key, value in source.metadata.items() if not key.lower().startswith(_OF_SAMPLES)}
    if "name" in tags:  # as FFmpeg reads the title of a track in MP4
        tags.setdefault("title", tags.pop("name"))
    target.metadata.update(tags)
    target.disposition = source.disposition


def copy_metadata(
    output: OutputContainer,
    video: VideoStream,
    format_: OutputFormat,
    source: InputContainer,
    notes: list[str],
) -> None:
    """Copy tags, timecode, attachments and cover art of the film `source`; `video` is the output's picture
    stream. Call before the first packet is muxed. Anything that the output cannot hold is noted."""
    _tags(output, format_, source, notes)
    pictured = picture_stream(source)
    if pictured is not None:
        describe_(video, pictured)
    code = source.metadata.get("timecode")
    if code is not None and "timecode" not in {key.lower() for key in video.metadata}:
        video.metadata["timecode"] = code
    _check_timecode_(video, format_, notes)
    _dispositions(format_, source, notes)
    _languages(format_, source, notes)
    _attachments(output, format_, source, notes)
    lost = [
        stream for stream in taken_of(source, source.streams.data) if not _carried_otherwise(stream, source)
    ]
    if lost:
        names = sorted({stream.metadata.get("handler_name", stream.name or "unknown") for stream in lost})
        notes.append(f"{len(lost)} streams of data were left out: {', '.join(names)}.")


def besides_of(info: StreamInfo) -> str:
    """All that a film holds besides pictures and sound, as the end of a sentence on an output that holds none
    of it; empty if there is nothing. Raises SourceError."""
    if info.live or not is_film(info.url):
        return ""
    with open_film(info.url) as source:
        named = _besides(source)
    return f"these of {masked(info.url)} were left out: {', '.join(named)}." if named else ""


def _besides(source: InputContainer) -> list[str]:
    moving = len(moving_streams(source))
    counts = {
        "subtitle track": len(taken_of(source, source.streams.subtitles)),
        "chapter": len(source.chapters()),
        "attachment": len(source.streams.attachments),
        "cover picture": len(source.streams.video) - moving,
    }
    named = [f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count]
    if tags := sorted(_tags_of(source)):
        named.append(f"the {'tags' if len(tags) > 1 else 'tag'} {', '.join(tags)}")
    return named


def _check_timecode_(video: VideoStream, format_: OutputFormat, notes: list[str]) -> None:
    """Remove a timecode that the muxer would refuse together with the whole film."""
    key = next((key for key in video.metadata if key.lower() == "timecode"), None)
    if key is None or format_.muxer not in {"mp4", "mov"}:
        return
    rate = round(video.codec_context.framerate or 0)
    told = _TIMECODE.fullmatch(video.metadata[key])
    counts = told is not None and int(told[2]) < rate and (told[1] == ":" or not rate % 30)
    if not counts or rate > _MAX_TIMECODE_RATE:
        notes.append(
            f"The timecode {video.metadata.pop(key)} was left out: {format_.muxer} files cannot hold a "
            f"timecode of this kind at {rate} frames a second."
        )


def _tags(output: OutputContainer, format_: OutputFormat, source: InputContainer, notes: list[str]) -> None:
    tags = _tags_of(source)
    output.metadata.update(tags)
    if format_.tags is not None:
        lost = {key for key in tags if key.lower().partition("-")[0] not in format_.tags} - {"timecode"}
        _note_lost(
            "The tags", lost, format_, [s for s, other in FORMATS.items() if other.tags is None], notes
        )


def _tags_of(source: InputContainer) -> dict[str, str]:
    return {key: value for key, value in source.metadata.items() if key.lower() not in _OF_CONTAINER}


def _dispositions(format_: OutputFormat, source: InputContainer, notes: list[str]) -> None:
    kept = taken_of(source, source.streams.audio)
    said = {one.name or "" for stream in kept for one in Disposition(stream.disposition)}
    said |= {
        one.name or ""
        for stream in taken_of(source, source.streams.subtitles)
        if stream.codec_context is not None and stream.codec_context.codec.canonical_name in format_.subtitles
        for one in Disposition(stream.disposition)
    }
    lost = said - format_.dispositions
    others = [suffix for suffix, other in FORMATS.items() if lost <= other.dispositions]
    _note_lost("The dispositions of tracks", lost, format_, others, notes)


def _languages(format_: OutputFormat, source: InputContainer, notes: list[str]) -> None:
    if format_.muxer not in {"mp4", "mov"}:
        return
    said = {
        stream.metadata.get("language", "und")
        for stream in taken_of(source, tuple(source.streams))
        if stream.type != "data"
    }
    lost = [language for language in said if not _LANGUAGE.fullmatch(language)]
    _note_lost("The languages", lost, format_, [".mkv", ".webm"], notes)


def _attachments(
    output: OutputContainer, format_: OutputFormat, source: InputContainer, notes: list[str]
) -> None:
    lost: list[str] = []
    for attached in source.streams.attachments:
        if format_.attachments:
            name, kind = attached.name or "attachment", attached.mimetype or "application/octet-stream"
            output.add_attachment(name, kind, attached.data)
        else:
            lost.append(attached.name or "an attachment")
    moving = {stream.index for stream in moving_streams(source)}
    for cover in source.streams.video:
        if cover.index in moving:
            continue
        name, kind = _PICTURES.get(cover.name or "", ("", ""))
        picture = _first_packet(source, cover) if name and format_.attachments else b""
        if picture:
            output.add_attachment(cover.metadata.get("filename", name), kind, picture)
        else:
            lost.append("the cover picture")
    others = [suffix for suffix, other in FORMATS.items() if other.attachments]
    _note_lost("Attachments", lost, format_, others, notes)


def _first_packet(source: InputContainer, stream: VideoStream) -> bytes:
    try:
        source.seek(0)  # others have read from here, and pictures come first
        return next((bytes(packet) for packet in source.demux(stream) if packet.size), b"")
    except HOSTILE:
        return b""


def _note_lost(
    what: str, lost: Iterable[str], format_: OutputFormat, others: list[str], notes: list[str]
) -> None:
    named = sorted(set(lost))
    if named:
        remedy = f": {' and '.join(others)} files can" if others else ""
        notes.append(
            f"{what} {', '.join(named)} were left out, because {format_.muxer} files cannot hold "
            f"them{remedy}."
        )


def _carried_otherwise(stream: DataStream, source: InputContainer) -> bool:
    """True for QuickTime's track of the timecode, or of chapter titles."""
    return "timecode" in stream.metadata or (stream.name == "bin_data" and bool(source.chapters()))
