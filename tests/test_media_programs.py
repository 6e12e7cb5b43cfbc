"""Broadcasts of several programs: the pictures that players show, with the sound of their own program."""

from __future__ import annotations

import struct
from itertools import zip_longest
from pathlib import Path

import av
import pytest
from av.container import InputContainer
from media_files import audio_packets, make_video, passed_through

from streamstyle.media import programs
from streamstyle.media.av_source import FileSource
from streamstyle.media.live_url import LiveInput
from streamstyle.media.open import open_live
from streamstyle.media.sounds import FilmSound

FRAMES = 20
PACKET = 188
TABLE = 0x1000  # PID of the first program's table


def crc(data: bytes) -> int:
    """CRC-32 of MPEG-2."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def program_table(count: int) -> bytes:
    """A transport packet with the table of `count` programs."""
    body = b"".join(struct.pack(">HH", n + 1, 0xE000 | TABLE + n) for n in range(count))
    section = struct.pack(">BHHBBB", 0, 0xB000 | len(body) + 9, 1, 0xC1, 0, 0) + body
    section += struct.pack(">I", crc(section))
    return (b"\x47\x40\x00\x10\x00" + section).ljust(PACKET, b"\xff")


def program(folder: Path, number: int, *, size: tuple[int, int], audio: str = "aac", at: float = 0) -> Path:
    """A film as one program, whose clock begins at `at` seconds."""
    options = {
        "mpegts_pmt_start_pid": str(TABLE + number - 1),
        "mpegts_start_pid": str(0x100 + 16 * number),
        "mpegts_service_id": str(number),
        "output_ts_offset": str(at),
    }
    path = folder / f"{number}.ts"
    return make_video(path, frames=FRAMES, size=size, audio=[audio], container_options=options)


def broadcast(path: Path, *films: Path) -> Path:
    """The films as programs of one transport stream, in turns."""

    def packets(film: Path) -> list[bytes]:
        data = film.read_bytes()
        parts = [data[i : i + PACKET] for i in range(0, len(data), PACKET)]
        return [part for part in parts if (part[1] & 0x1F) << 8 | part[2] not in {0x00, 0x11}]

    table = program_table(len(films))
    with path.open("wb") as file:
        for n, turn in enumerate(zip_longest(*map(packets, films), fillvalue=b"")):
            file.write((b"" if n % 20 else table) + b"".join(turn))
    return path


@pytest.mark.parametrize("at", [0, 5000])
def test_of_several_programs_the_first_is_taken_with_its_own_sound(tmp_path: Path, at: float) -> None:
    first = program(tmp_path, 1, size=(96, 64), at=at)
    second = program(tmp_path, 2, size=(64, 48), audio="mp2")
    both = broadcast(tmp_path / "both.ts", first, second)
    out, alone = tmp_path / "out.mkv", tmp_path / "1.mkv"
    report = passed_through(str(both), out)
    passed_through(str(first), alone)
    assert audio_packets(out) == audio_packets(alone)
    assert len(audio_packets(out)) == 1
    with av.open(str(out)) as film, av.open(str(alone)) as expected:
        assert film.duration == expected.duration
        assert [s.type for s in film.streams] == ["video", "audio"]
    assert report.counters["frames"] == FRAMES
    with FileSource(str(both)) as source, FileSource(str(first)) as expected_source:
        assert source.info.audio_streams == 1
        assert source.info.width == 96
        assert [frame.pts for frame in source] == [frame.pts for frame in expected_source]
        notes = source.report().notes
    assert any("holds 2 programs: number 1 was taken, whose pictures come first" in note for note in notes)
    assert not any("video streams" in note or "jumps" in note for note in notes)


def test_the_program_follows_the_pictures_even_after_sound_of_another(tmp_path: Path) -> None:
    """The first stream of the file is the sound of a program without pictures."""
    radio = tmp_path / "radio.ts"
    options = {"mpegts_pmt_start_pid": str(TABLE), "mpegts_start_pid": "272", "mpegts_service_id": "1"}
    with av.open(str(program(tmp_path, 3, size=(64, 48), audio="mp2"))) as film:
        (sound,) = film.streams.audio
        with av.open(str(radio), "w", options=options) as output:
            copy = output.add_stream_from_template(sound)
            for packet in film.demux(sound):
                if packet.size:
                    packet.stream = copy
                    output.mux(packet)
    pictures = program(tmp_path, 2, size=(96, 64))
    both = broadcast(tmp_path / "both.ts", radio, pictures)
    with av.open(str(both)) as film:
        assert film.streams[0].type == "audio"
        assert film.streams.audio[0].codec_context.name != "aac"
    passed_through(str(both), tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as film:
        assert [s.codec_context.name for s in film.streams.audio] == ["aac"]
    heard = [FilmSound(str(path)).reader().until(0.5) for path in (both, pictures)]
    assert (heard[0] == heard[1]).all()


def test_a_broadcast_is_described_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = [program(tmp_path, number, size=(96, 64)) for number in (1, 2)]
    both, told = broadcast(tmp_path / "both.ts", *films), list[str]()

    def description(container: InputContainer) -> str:
        told.append(container.name)
        return describe(container)

    describe = programs._description
    monkeypatch.setattr(programs, "_description", description)
    with FileSource(str(both)) as source:
        assert source.info.audio_streams == 1
        assert sum(1 for _ in source)
    assert len(told) == 1


def test_one_program_and_files_of_other_kinds_are_read_whole(tmp_path: Path) -> None:
    film = make_video(tmp_path / "in.ts", frames=4, audio=["aac", "mp2"])
    with FileSource(str(film)) as source:
        assert source.info.audio_streams == 2
        assert not source.report().notes


def test_a_live_broadcast_gives_the_sound_of_its_pictures(tmp_path: Path) -> None:
    first = program(tmp_path, 1, size=(96, 64))
    second = program(tmp_path, 2, size=(64, 48), audio="mp2")
    both = broadcast(tmp_path / "both.ts", second, first)
    address = LiveInput("both.ts", f"file:{both}", film=True)
    with open_live(address) as source:
        assert source.info.audio_streams == 1
