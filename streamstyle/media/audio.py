"""Sound on its way into an output file: copied bit for bit, re-encoded, or encoded from samples."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from streamstyle.media.carried import describe_
from streamstyle.media.container import HOSTILE
from streamstyle.media.formats import OutputFormat
from streamstyle.media.scene.sound import SOUND_RATE, Tune
from streamstyle.media.tracks import CopyTrack, Feed, Track, codec_name
from streamstyle.types import Sound

_CHUNK = 1024

_BIT_RATE = 160_000
_OPUS_RATE = 48_000  # Opus knows few rates, and this one always


class EncodeTrack:
    """Decodes and encodes again, for codecs that the container cannot hold. Mono stays mono, more than
    two channels become stereo."""

    def __init__(self, output: OutputContainer, path: str, index: int, shift: Fraction, encoder: str) -> None:
        self._feed = Feed(path, [index], shift)
        (stream,) = self._feed.streams
        assert isinstance(stream, AudioStream)
        self._source, context = stream, stream.codec_context
        rate = _OPUS_RATE if encoder == "libopus" else min(context.sample_rate or 48_000, 48_000)
        layout = "mono" if context.channels == 1 else "stereo"
        self._stream = _encoder(output, encoder, rate, layout)
        describe_(self._stream, stream)
        self._encoded = 0

    @property
    def counts(self) -> dict[str, int]:
        return {"audio_packets_encoded": self._encoded}

    def advance(self, until: Fraction) -> Iterator[Packet[Any]]:
        yield from self._through(self._feed.until(until))

    def finish(self, end: Fraction) -> Iterator[Packet[Any]]:
        yield from self._through(iter(self._feed.rest(end)))
        yield from self._counted(self._frames(None))
        yield from self._counted([None])

    def close(self) -> None:
        self._feed.container.close()

    def _through(self, packets: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
        for packet in packets:
            yield from self._counted(self._frames(packet))

    def _frames(self, packet: Packet[Any] | None) -> list[av.AudioFrame]:
        try:
            return self._source.decode(packet)
        except HOSTILE:
            return []  # a damaged packet is a gap in the sound, no reason to lose the film

    def _counted(self, frames: list[av.AudioFrame] | list[None]) -> Iterator[Packet[Any]]:
        for frame in frames:
            for packet in self._stream.encode(frame):
                self._encoded += 1
                yield packet


class PcmTrack:
    """Encodes the scene's tune, which begins at `shift` seconds."""

    def __init__(self, output: OutputContainer, tune: Tune, shift: Fraction, encoder: str) -> None:
        self._tune = tune
        self._first = round(shift * SOUND_RATE)
        self._done = 0
        self._encoded = 0
        self._stream = _encoder(output, encoder, SOUND_RATE, "stereo")

    @property
    def counts(self) -> dict[str, int]:
        return {"audio_packets_encoded": self._encoded}

    def advance(self, until: Fraction) -> Iterator[Packet[Any]]:
        wanted = min(round(until * SOUND_RATE) - self._first, self._tune.samples)
        while self._done < wanted:
            chunk = self._tune[self._done : min(self._done + _CHUNK, wanted)]
            frame = _pcm_frame(np.ascontiguousarray(chunk.T), self._first + self._done)
            self._done += len(chunk)
            yield from self._counted(frame)

    def finish(self, end: Fraction) -> Iterator[Packet[Any]]:
        yield from self.advance(end)
        yield from self._counted(None)

    def close(self) -> None:
        """Nothing was opened."""

    def _counted(self, frame: av.AudioFrame | None) -> Iterator[Packet[Any]]:
        for packet in self._stream.encode(frame):
            self._encoded += 1
            yield packet


class SoundTrack:
    """Encodes the sound of a live source, up to each picture as it is written: as late as the picture is."""

    def __init__(self, output: OutputContainer, sound: Sound, shift: Fraction, encoder: str) -> None:
        self._reader = sound.reader()
        self._shift = shift
        self._encoded = 0
        self.stream = _encoder(output, encoder, SOUND_RATE, "stereo")

    @property
    def counts(self) -> dict[str, int]:
        return {"audio_packets_encoded": self._encoded}

    def advance(self, until: Fraction) -> Iterator[Packet[Any]]:
        samples = self._reader.until(float(until - self._shift))
        # From the end, since a gap of the source gives no samples but does take its time.
        first = round(until * SOUND_RATE) - len(samples)
        for at in range(0, len(samples), _CHUNK):
            chunk = np.ascontiguousarray(samples[at : at + _CHUNK].T)
            yield from self._counted(_pcm_frame(chunk, first + at))

    def finish(self, end: Fraction) -> Iterator[Packet[Any]]:
        yield from self.advance(end)
        yield from self._counted(None)

    def close(self) -> None:
        """Nothing was opened."""

    def _counted(self, frame: av.AudioFrame | None) -> Iterator[Packet[Any]]:
        for packet in self.stream.encode(frame):
            self._encoded += 1
            yield packet


def sound_tracks(
    output: OutputContainer,
    format_: OutputFormat,
    source: InputContainer,
    path: str,
    shift: Fraction,
    notes: list[str],
) -> list[Track]:
    """A track for each sound stream of the film at `path`, which is open as `source`; what had to be
    re-encoded or left out is noted."""
    tracks: list[Track] = []
    codecs = {stream.index: codec_name(stream) for stream in source.streams.audio}
    for number, (index, codec) in enumerate(codecs.items(), start=1):
        if codec is None:
            notes.append(f"Sound stream {number} of {path} is of an unknown codec and was left out.")
        elif _can_copy(output, format_, codec):
            tracks.append(CopyTrack(output, path, [index], shift, "audio_packets_copied"))
        else:
            notes.append(f"The sound was re-encoded from {codec}: {format_.muxer} files do not hold {codec}.")
            tracks.append(EncodeTrack(output, path, index, shift, format_.sound_encoder))
    return tracks


def _can_copy(output: OutputContainer, format_: OutputFormat, codec: str) -> bool:
    return codec in (output.supported_codecs if format_.sound is None else format_.sound)


def _encoder(output: OutputContainer, name: str, rate: int, layout: str) -> AudioStream:
    stream = output.add_stream(name, rate=rate)
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = layout
    stream.codec_context.bit_rate = _BIT_RATE if layout == "stereo" else _BIT_RATE // 2
    stream.codec_context.time_base = Fraction(1, rate)
    return stream


def _pcm_frame(samples: NDArray[np.float32], first: int) -> av.AudioFrame:
    """samples: (2, n), 48 kHz. first: its place in samples from time zero."""
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
    frame.sample_rate = SOUND_RATE
    frame.time_base = Fraction(1, SOUND_RATE)
    frame.pts = first
    return frame
