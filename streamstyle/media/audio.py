"""Sound for an output file: copied bit for bit, re-encoded, or encoded from samples."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from streamstyle.media.container import HOSTILE
from streamstyle.media.continuous_sound import ContinuousSound, Samples
from streamstyle.media.formats import OutputFormat
from streamstyle.media.layouts import channels_of_, encoded_layout
from streamstyle.media.metadata import describe_
from streamstyle.media.programs import taken_of
from streamstyle.media.scene.sound import SOUND_RATE, Tune
from streamstyle.media.sound_copy import copy_refusal, first_packets
from streamstyle.media.tracks import CopyTrack, StreamPackets, Track, codec_name
from streamstyle.types import Sound
from streamstyle.urls import masked

_CHUNK = 1024

_BIT_RATE = 160_000


class AudioEncoder:
    """An audio stream of the output that is encoded from samples. rate: samples per second. layout: FFmpeg's
    name. packets: number of encoded packets so far."""

    def __init__(
        self, output: OutputContainer, name: str, rate: int = SOUND_RATE, layout: str = "stereo"
    ) -> None:
        """name: FFmpeg's name of the encoder."""
        stream = output.add_stream(name, rate=rate)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = layout
        stream.codec_context.bit_rate = _BIT_RATE // 2 * len(av.AudioLayout(layout).channels)
        stream.codec_context.time_base = Fraction(1, rate)
        self.stream = stream
        self.packets = 0
        self._rate, self._layout = rate, layout

    def encode(self, samples: Samples, first: int) -> Iterator[Packet[Any]]:
        """Packets that are complete with these samples (n, channels). first: place of the first one, in
        samples from time zero."""
        # Interleaved, since PyAV takes planes for more than they are from eight channels on.
        packed = np.ascontiguousarray(samples).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = first
        yield from self._counted(frame)

    def rest(self) -> Iterator[Packet[Any]]:
        """The packets that the encoder still holds."""
        yield from self._counted(None)

    def _counted(self, frame: av.AudioFrame | None) -> Iterator[Packet[Any]]:
        for packet in self.stream.encode(frame):
            self.packets += 1
            yield packet


class EncodeTrack:
    """Decodes and encodes again, for codecs that the container cannot hold. Up to 7.1 the channels stay."""

    def __init__(self, output: OutputContainer, path: str, index: int, shift: Fraction, encoder: str) -> None:
        self._feed = StreamPackets(path, [index], shift)
        (stream,) = self._feed.streams
        assert isinstance(stream, AudioStream)
        self._source, context = stream, stream.codec_context
        self._rate = encoded_rate(encoder, context.sample_rate or SOUND_RATE)
        channels = channels_of_(stream)
        self._layout = encoded_layout(encoder, channels)
        self._encoder = AudioEncoder(output, encoder, self._rate, self._layout)
        describe_(self._encoder.stream, stream)
        self._sound = ContinuousSound(self._rate, self._layout, channels)
        self._done: int | None = None

    @property
    def counts(self) -> dict[str, int]:
        return {"audio_packets_encoded": self._encoder.packets}

    def advance(self, until: Fraction) -> Iterator[Packet[Any]]:
        for packet in self._feed.until(until):
            yield from self._through(packet)

    def finish(self, last: Fraction, end: Fraction) -> Iterator[Packet[Any]]:
        packets, cut = self._feed.rest(last, end)
        most = round(end * self._rate) if cut else None
        for packet in [*packets, None]:
            yield from self._through(packet, most)
        yield from self._encoder.rest()

    def close(self) -> None:
        self._feed.container.close()

    def _through(self, packet: Packet[Any] | None, most: int | None = None) -> Iterator[Packet[Any]]:
        """Samples through a resampler; None flushes it at the end. most: samples in the output, from time
        zero."""
        for first, samples in self._samples(packet):
            fresh, at = samples, first
            if self._done is not None:
                while self._done < first:  # encoders know no gaps
                    silence = np.zeros((min(first - self._done, self._rate), samples.shape[1]), np.float32)
                    yield from self._encode(silence, self._done)
                fresh, at = samples[self._done - first :], self._done
            if most is not None:
                fresh = fresh[: max(most - at, 0)]
            yield from self._encode(fresh, at)

    def _encode(self, samples: Samples, at: int) -> Iterator[Packet[Any]]:
        self._done = at + len(samples)
        if len(samples):
            yield from self._encoder.encode(samples, at)

    def _samples(self, packet: Packet[Any] | None) -> list[tuple[int, Samples]]:
        placed: list[tuple[int, Samples]] = []
        # A damaged packet is a gap in the sound, no reason to lose the film.
        with contextlib.suppress(*HOSTILE):
            for frame in self._source.decode(packet):
                placed += self._sound.placed(frame)
        if packet is None:
            placed += self._sound.placed(None)
        return placed


class TuneTrack:
    """Encodes the scene's tune, which begins at `shift` seconds."""

    def __init__(self, output: OutputContainer, tune: Tune, shift: Fraction, encoder: str) -> None:
        self._tune = tune
        self._first = round(shift * SOUND_RATE)
        self._done = 0
        self._encoder = AudioEncoder(output, encoder)

    @property
    def counts(self) -> dict[str, int]:
        return {"audio_packets_encoded": self._encoder.packets}

    def advance(self, until: Fraction) -> Iterator[Packet[Any]]:
        wanted = min(round(until * SOUND_RATE) - self._first, self._tune.samples)
        while self._done < wanted:
            chunk = self._tune[self._done : min(self._done + _CHUNK, wanted)]
            at = self._first + self._done
            self._done += len(chunk)
            yield from self._encoder.encode(chunk, at)

    def finish(self, last: Fraction, end: Fraction) -> Iterator[Packet[Any]]:  # noqa: ARG002 - no packet outlasts the pictures
        yield from self.advance(end)
        yield from self._encoder.rest()

    def close(self) -> None:
        """Do nothing: nothing was opened."""


class LiveSoundTrack:
    """Encodes the sound of a live source up to the time of each written picture, so that sound has the
    picture's delay."""

    def __init__(self, output: OutputContainer, sound: Sound, shift: Fraction, encoder: str) -> None:
        self._reader = sound.reader()
        self._shift = shift
        self._encoder = AudioEncoder(output, encoder)

    @property
    def stream(self) -> AudioStream:
        """The stream in the output."""
        return self._encoder.stream

    @property
    def counts(self) -> dict[str, int]:
        return {"audio_packets_encoded": self._encoder.packets}

    def advance(self, until: Fraction) -> Iterator[Packet[Any]]:
        samples = self._reader.until(float(until - self._shift))
        # From the end, since a gap of the source gives no samples but does take its time.
        first = round(until * SOUND_RATE) - len(samples)
        for at in range(0, len(samples), _CHUNK):
            yield from self._encoder.encode(samples[at : at + _CHUNK], first + at)

    def finish(self, last: Fraction, end: Fraction) -> Iterator[Packet[Any]]:  # noqa: ARG002 - no packet outlasts the pictures
        yield from self.advance(end)
        yield from self._encoder.rest()

    def close(self) -> None:
        """Do nothing: nothing was opened."""


def sound_tracks(
    output: OutputContainer,
    format_: OutputFormat,
    source: InputContainer,
    path: str,
    shift: Fraction,
    notes: list[str],
) -> list[Track]:
    """One track per sound stream of the film at `path`, which is open as `source`. Re-encoded and omitted
    streams are noted."""
    tracks: list[Track] = []
    streams = taken_of(source, source.streams.audio)
    first = first_packets(source, streams) if streams else {}
    if "hls" in source.format.name and len(streams) > 1:
        notes.append(
            "The first sound of the playlist was taken; the others are usually the same in other qualities."
        )
        streams = streams[:1]
    for number, stream in enumerate(streams, start=1):
        index, codec = stream.index, codec_name(stream)
        if codec is None:
            notes.append(f"Sound stream {number} of {masked(path)} has an unknown codec and was left out.")
            continue
        channels = channels_of_(stream)
        if not channels.decodable and not _can_copy(output, format_, codec):
            notes.append(
                f"Sound stream {number} of {masked(path)} was left out: its channels ({channels.layout}) are "
                f"in an order that cannot be decoded, and {format_.muxer} files cannot hold {codec}."
            )
            continue
        why = f"{format_.muxer} files cannot hold {codec}"
        if _can_copy(output, format_, codec):
            why = copy_refusal(format_, stream, first[index]) if channels.decodable else ""
            why = why and f"{format_.muxer} files cannot hold it as it is in {masked(path)} ({why})"
        if why:
            kept = encoded_layout(format_.sound_encoder, channels)
            lost = channels.count - len(av.AudioLayout(kept).channels)
            mixed = f", and mixed down from {channels.layout} to {kept}" if lost > 0 else ""
            notes.append(f"The sound was re-encoded from {codec}{mixed}: {why}.")
            tracks.append(EncodeTrack(output, path, index, shift, format_.sound_encoder))
        else:
            tracks.append(CopyTrack(output, path, [index], shift, "audio_packets_copied"))
    return tracks


def encoded_rate(encoder: str, rate: int) -> int:
    """Samples per second for this encoder of sound that has `rate`: the same if the encoder supports it,
    otherwise the next higher rate, up to 48 kHz. Opus always uses 48 kHz."""
    taken = av.Codec(encoder, "w").audio_rates
    if encoder == "libopus" or rate >= SOUND_RATE:
        return SOUND_RATE
    return min((known for known in taken or [rate] if known >= rate), default=SOUND_RATE)


def _can_copy(output: OutputContainer, format_: OutputFormat, codec: str) -> bool:
    return codec in (output.supported_codecs if format_.sound is None else format_.sound)
