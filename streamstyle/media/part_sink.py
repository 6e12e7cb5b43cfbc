"""The pictures of a part of a film, encoded as the whole film's would be: see `join_parts`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from streamstyle.errors import SinkError
from streamstyle.media.av_sink import FilmOutput
from streamstyle.media.codecs import video_encoder
from streamstyle.media.container import UNWRITABLE, sink_error
from streamstyle.media.encoders import choose_encoder
from streamstyle.media.encoding import Encoding
from streamstyle.media.formats import FORMATS, STREAMED, format_of
from streamstyle.types import Frame, MediaReport, StreamInfo

_NUT = STREAMED["nut"]
"""Keeps packets as the encoder makes them, and time stamps in any time base, where other containers round
them or write them in another form: so the film's own muxer gets the same as from an encoder."""

_NOT_IN_NUT = {"prores_ks": FORMATS[".mov"]}


class PartSink:
    """Writes the pictures of one part as a Sink, in place and without sound.

    path: the part. info: of the film's frames. how: of the film. film: the film's name, whose suffix says how
    it is encoded. The time stamps of the frames stay. Counters: `frames`, `video_packets`.
    """

    def __init__(self, path: Path, info: StreamInfo, how: Encoding, film: str) -> None:
        """Raises ConfigError or SinkError if the film cannot hold it, or it cannot be encoded in this way."""
        self._path, self._film = path, film
        self._info = replace(info, url="", audio_streams=0)
        self._counts: Counter[str] = Counter()
        self._notes: list[str] = []
        usual, quality = video_encoder(how, format_of(Path(film).suffix), film)
        encoder = choose_encoder(how.encoder, film, usual, info, self._notes, quality=quality)
        self._encoder = replace(encoder, tag="")  # which is the film's container's
        self._format = _NOT_IN_NUT.get(encoder.name, _NUT)
        self._output: FilmOutput | None = None

    def write(self, frame: Frame) -> None:
        """Encode one frame; its pixels are only read. Raises SinkError."""
        if frame.pixels.shape != (self._info.height, self._info.width, 3):
            raise SinkError(f"A frame of another size came for a part of {self._film}.")
        try:
            if self._output is None:
                self._output = FilmOutput(
                    *(f"file:{self._path}", self._format, self._encoder, self._info, frame, self._notes)
                )
            self._output.write(frame)
        except UNWRITABLE as error:
            raise sink_error(str(self._path), error) from error
        self._counts["frames"] += 1

    def close(self, *, complete: bool) -> None:
        """Finish the file. Raises SinkError, but not while it cleans up after a failed run."""
        output, self._output = self._output, None
        if output is None:
            return
        try:
            output.finish()
        except UNWRITABLE as error:
            if complete:
                raise sink_error(str(self._path), error) from error
        for more in output.counts():
            self._counts.update(more)

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport({"frames": 0, "video_packets": 0} | dict(self._counts), tuple(self._notes))
