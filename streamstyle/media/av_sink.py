"""Video files out: encoded with PyAV, at the source's time stamps, with the source's sound, subtitles and
chapters."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamstyle.errors import ConfigError, SinkError
from streamstyle.media.audio import LiveSoundTrack, TuneTrack, sound_tracks
from streamstyle.media.codecs import VideoEncoder, video_encoder
from streamstyle.media.container import UNWRITABLE, sink_error
from streamstyle.media.encoders import check_size, choose_encoder, pixel_format, video_stream
from streamstyle.media.encoding import USUAL, Encoding
from streamstyle.media.film_clock import FilmClock
from streamstyle.media.film_input import is_film, open_film
from streamstyle.media.formats import OutputFormat, format_of
from streamstyle.media.letterbox import letterboxed
from streamstyle.media.metadata import besides_of, copy_metadata
from streamstyle.media.palette import encodable
from streamstyle.media.partial_file import PartialFile
from streamstyle.media.paths import exists, is_folder, is_regular, is_standard_output, is_stream
from streamstyle.media.pipe_out import PipeEnd, piped_format
from streamstyle.media.scene.film import is_scene, parse_scene
from streamstyle.media.scene.sound import Tune
from streamstyle.media.tracks import Track, copy_chapters, subtitle_tracks
from streamstyle.types import Frame, MediaReport, Picture, StreamInfo

_USUAL_RATE = 25

KEY_SECONDS = 1  # a killed process loses at most this much, and players seek to this grid


class FileSink:
    """Writes one film as a Sink, into the container that the name's suffix names.

    `info` describes the frames that will come; sound, subtitles and chapters, if any, are taken from
    `info.url`. how: codec, quality and the like; without them H.264 in .mp4, .mov and .mkv, VP9 in .webm.
    The film is written beside its name (see `PartialFile`) and takes it when it is whole. A killed process
    leaves a partial film that plays to about its last second.

    Of a live source, its sound is encoded as late as its pictures; frames of another size are letterboxed
    (`frames_letterboxed`) and those whose time does not advance left out (`frames_skipped`).

    Counters: `frames`, `video_packets`, `audio_packets_copied`, `audio_packets_encoded`, and of films with
    subtitles `subtitle_packets_copied`.
    """

    def __init__(self, path: str, info: StreamInfo, how: Encoding = USUAL) -> None:
        """Raises ConfigError or SinkError if it cannot be written or encoded in this way."""
        self._path = Path(path)
        self._info = info
        if is_folder(path):
            raise ConfigError(f"{path} is a directory: name a film in it, or {path}/ for numbered pictures.")
        piped = is_standard_output(path) or is_stream(path)
        if exists(path) and not (piped or is_regular(path)):
            raise ConfigError(f"{path} is a socket or a device: name a file.")
        self._format = piped_format(path) if piped else format_of(self._path.suffix)
        self._counts: Counter[str] = Counter()
        self._notes: list[str] = []
        usual, quality = video_encoder(how, self._format, path)
        self._file = PipeEnd(path) if piped else PartialFile(self._path, info.url)
        self._encoder = choose_encoder(how.encoder, path, usual, info, self._notes, quality=quality)
        check_size(self._encoder, self._format.muxer, info, path)
        self._output: FilmOutput | None = None
        self._closed = False

    def write(self, frame: Frame) -> None:
        """Encode one frame; its pixels are only read, and not kept. Raises SinkError."""
        if self._closed:
            raise SinkError(f"{self._path} is closed: no frame can follow.")
        if self._info.live:
            frame = self._fitted(frame)
        elif frame.pixels.shape != (self._info.height, self._info.width, 3):
            height, width = frame.pixels.shape[:2]
            raise SinkError(
                f"A frame of {width}x{height} does not fit {self._path}, which was opened for "
                f"{self._info.width}x{self._info.height}: open another output."
            )
        try:
            if self._output is None:
                self._output = FilmOutput(
                    self._file.begin(), self._format, self._encoder, self._info, frame, self._notes
                )
            if not self._output.takes(frame):
                self._counts["frames_skipped"] += 1
                return
            self._output.write(frame)
        except UNWRITABLE as error:
            raise sink_error(str(self._path), error) from error
        self._counts["frames"] += 1

    def close(self, *, complete: bool) -> None:
        """Finish the film and give it its name. After a failed run it stays beside it, as the notes say; one
        without a frame is removed. Raises SinkError, but not while it cleans up after a failed run."""
        if self._closed:
            return
        self._closed = True
        if self._output is None:
            self._notes.append(f"No frame came, so {self._path} was not written.")
            self._file.discard()
            return
        try:
            self._output.finish()
            if complete:
                self._file.finish()
        except UNWRITABLE as error:
            self._set_apart()
            if complete:
                raise sink_error(str(self._path), error) from error
        else:
            if not complete:
                self._set_apart()

    def report(self) -> MediaReport:
        """Counters so far."""
        counts = {"frames": 0, "video_packets": 0, "audio_packets_copied": 0, "audio_packets_encoded": 0}
        counts |= dict(self._counts)
        for more in self._output.counts() if self._output else ():
            for name, count in more.items():
                counts[name] = counts.get(name, 0) + count
        notes = list(self._notes)
        if self._format.least_step and counts.get("frames_skipped"):
            notes.append(
                f"{counts['frames_skipped']} frames were left out: browsers show {self._format.muxer} files "
                f"of more than {1 / self._format.least_step} a second slowly."
            )
        return MediaReport(counters=counts, notes=tuple(notes))

    def _fitted(self, frame: Frame) -> Frame:
        """A live source may change its size; a film has one."""
        pixels = letterboxed(frame.pixels, self._info.width, self._info.height)
        if pixels is frame.pixels:
            return frame
        if not self._counts["frames_letterboxed"]:
            self._notes.append(
                f"The size of the frames changed: {self._path} keeps its size, with black borders."
            )
        self._counts["frames_letterboxed"] += 1
        return replace(frame, pixels=pixels)

    def _set_apart(self) -> None:
        """Keep a film that is half written under its partial name: it must not pose as a whole one."""
        if not self._counts["frames"]:
            self._file.discard()
        elif self._file.part is not None:
            self._notes.append(f"The run did not finish: what was written is kept as {self._file.part}.")


class _Pictures:
    """The video stream of an open container: encodes pictures, and gives packets their durations."""

    def __init__(
        self, container: OutputContainer, encoder: VideoEncoder, info: StreamInfo, notes: list[str]
    ) -> None:
        self._container = container
        self._time_base = info.time_base
        self.stream = video_stream(container, encoder, info, notes)
        self._encodable = encodable(pixel_format(self.stream), info.matrix)
        self._durations: dict[int, int] = {}
        self._last_key: Fraction | None = None
        self.packets = 0

    def write(self, pixels: Picture, pts: int, time: Fraction, duration: Fraction) -> None:
        """Encode a picture. pts: in the output's time base. time, duration: seconds."""
        picture = self._encodable(pixels)
        picture.pts = pts
        picture.time_base = self._time_base
        if self._last_key is None or time - self._last_key >= KEY_SECONDS:
            picture.pict_type = PictureType.I
            self._last_key = time
        self._durations[pts] = round(duration / self._time_base)
        self._mux(self.stream.encode(picture))

    def finish(self) -> None:
        """Flush the encoder."""
        self._mux(self.stream.encode(None))

    def _mux(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:
            # Encoders drop durations, and the last frame has no successor to derive it from.
            packet.duration = self._durations.pop(packet.pts or 0, packet.duration)
            self._container.mux(packet)
            self.packets += 1


class FilmOutput:
    """An open container with its streams. PyAV's errors pass through unchanged."""

    def __init__(
        self,
        file: str | PipeEnd,
        format_: OutputFormat,
        encoder: VideoEncoder,
        info: StreamInfo,
        first: Frame,
        notes: list[str],
    ) -> None:
        self._container: OutputContainer = av.open(
            file, "w", format=format_.muxer, options=format_.options(info.time_base)
        )
        if not format_.timed:
            info = replace(info, time_base=1 / (info.rate or Fraction(_USUAL_RATE)))
        self._info = info
        self._format = format_
        self._shift = _shift_to_zero(first, info, notes)
        self._pictures = _Pictures(self._container, encoder, info, notes)
        self._tracks = film_tracks(self._container, self._pictures.stream, format_, info, self._shift, notes)
        self._last_pts: int | None = None
        self._last = self._end = Fraction(0)

    def takes(self, frame: Frame) -> bool:
        """False for pictures of a live source whose time is not after that of the last one, and where the
        format shows no such rate."""
        if self._last_pts is None:
            return True
        time, pts = self._place(frame)
        if self._info.live and pts <= self._last_pts:
            return False
        least_step = self._format.least_step
        return not least_step or time - self._last >= least_step

    def write(self, frame: Frame) -> None:
        time, pts = self._place(frame)
        if self._last_pts is not None and pts <= self._last_pts:
            raise ValueError("frames must come in order of their time stamps")
        self._last_pts = pts
        duration = frame.duration * frame.time_base or _usual_duration(self._info)
        self._last, self._end = time, time + duration
        self._pictures.write(frame.pixels, pts, time, duration)
        for track in self._tracks:
            self._container.mux(list(track.advance(self._end)))

    def finish(self) -> None:
        """Flush the encoder and the sound, write the trailer; close everything even after an error."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._container.close)
            for track in self._tracks:
                stack.callback(track.close)
            self._pictures.finish()
            for track in self._tracks:
                self._container.mux(list(track.finish(self._last, self._end)))

    def counts(self) -> Iterable[dict[str, int]]:
        yield {"video_packets": self._pictures.packets}
        for track in self._tracks:
            yield track.counts

    def _place(self, frame: Frame) -> tuple[Fraction, int]:
        """Seconds and time stamp in the output."""
        time = frame.pts * frame.time_base + self._shift
        pts = round(time / self._info.time_base)
        return time, pts if self._format.timed or self._last_pts is None else max(pts, self._last_pts + 1)


def _shift_to_zero(first: Frame, info: StreamInfo, notes: list[str]) -> Fraction:
    """Seconds to add to every time stamp. Containers drop pictures before zero, and a recording of a live
    source starts at zero."""
    start = first.pts * first.time_base
    if info.live:
        return -start
    if start >= 0:
        return Fraction(0)
    notes.append(f"The video began {float(-start):.3f} s before zero: all time stamps were shifted by that.")
    return -start


def film_tracks(
    container: OutputContainer,
    video: VideoStream,
    format_: OutputFormat,
    info: StreamInfo,
    shift: Fraction,
    notes: list[str],
) -> list[Track]:
    """All that goes with the pictures of `info.url`: sound and subtitles as tracks; chapters, tags and
    attachments are copied at once. `video` is the output's picture stream, `shift` is added to all times of
    the source. What the output cannot hold is noted. Raises SourceError."""
    if not format_.sound_encoder:
        if info.sound is not None or info.audio_streams or is_scene(info.url):
            notes.append(f"The sound was left out, which {format_.muxer} files do not hold.")
        if besides := besides_of(info):
            notes.append(f"{format_.muxer} files hold pictures alone, so {besides}")
        return []
    if info.sound is not None:
        return [LiveSoundTrack(container, info.sound, shift, format_.sound_encoder)]
    if is_scene(info.url):
        tune = Tune(parse_scene(info.url).seconds)
        return [TuneTrack(container, tune, shift, format_.sound_encoder)]
    if info.live or not is_film(info.url):
        return []
    with open_film(info.url) as source:
        copy_chapters(container, source, shift - FilmClock(source).start, info.until)
        film = source, info.url, shift, notes
        tracks = [*sound_tracks(container, format_, *film), *subtitle_tracks(container, format_, *film)]
        copy_metadata(container, video, format_, source, notes)
        return tracks


def _usual_duration(info: StreamInfo) -> Fraction:
    return 1 / info.rate if info.rate else Fraction(0)
