"""Hardware codecs: the options that are set exist, and what cannot be opened is said."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import PATCHES, frames_at, info_of, patch_colours

from streamstyle.cli.main import main
from streamstyle.errors import SinkError
from streamstyle.media import encoders
from streamstyle.media.av_sink import FileSink
from streamstyle.media.av_source import FileSource
from streamstyle.media.encoders import HARDWARE, HardwareEncoder, refusal
from streamstyle.media.formats import FORMATS
from streamstyle.media.net.encoder import LiveEncoder, live_video
from streamstyle.media.net.parcel import PICTURE
from streamstyle.media.net.stream_sink import StreamSink
from streamstyle.media.sounds import Silence

SCENE = "test:?seconds=1&size=160x96&rate=15"
MOST = {"film": None, "live": 3_000_000}


def opens(name: str) -> bool:
    """Does FFmpeg's encoder open here, with options of its own choice?"""
    context = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = 640, 360, "nv12"
    context.time_base = Fraction(1, 30)
    try:
        context.open()
    except av.FFmpegError:
        return False
    return True


OPEN = {name: opens(hardware.name) for name, hardware in HARDWARE.items()}


def absent(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(OPEN[name], reason=f"this machine has {name}")


NONE_OPENS = pytest.mark.skipif(any(OPEN.values()), reason="this machine has a hardware encoder")
EACH_ABSENT = [pytest.param(name, marks=absent(name)) for name in HARDWARE]
EACH_PRESENT = [
    pytest.param(name, marks=pytest.mark.skipif(not there, reason=f"needs {HARDWARE[name].needs}"))
    for name, there in OPEN.items()
]


@pytest.mark.parametrize("use", MOST)
@pytest.mark.parametrize("name", HARDWARE)
@pytest.mark.parametrize("quality", [0, 18, 51])
def test_every_option_that_is_set_is_one_of_the_encoder_s_with_a_value_that_it_knows(
    name: str, use: str, quality: int
) -> None:
    hardware = HARDWARE[name]
    told = av.CodecContext.create(hardware.name, "w").supported_options
    options = {option.name: option for option in (*told.generic, *told.private)}
    for key, value in hardware.options(quality, MOST[use]).items():
        assert key in options, f"{hardware.name} has no option {key}"
        option = options[key]
        if value not in {choice.name for choice in option.choices}:
            # The generic bit rates are 64 bits wide, whose limits are no floats.
            assert option.min <= float(value) <= max(option.max, 2**31), f"{key}={value}"


def test_a_stream_has_a_bit_rate_that_quality_cannot_exceed_and_a_film_has_none() -> None:
    for hardware in HARDWARE.values():
        assert hardware.options(23, 900_000)["maxrate"] == "900000"
        assert "maxrate" not in hardware.options(23, None)


@pytest.mark.parametrize("name", EACH_ABSENT)
def test_a_named_encoder_that_does_not_open_is_refused_with_what_it_needs(tmp_path: Path, name: str) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(SinkError, match=f"h264_{name} here: .*It needs an .*Without --encoder {name}"):
        FileSink(str(path), info_of(), encoder=name)
    assert not path.exists()
    with pytest.raises(SinkError, match=f"hls:.* cannot be encoded by h264_{name}"):
        StreamSink([f"hls:{tmp_path}"], info_of(), encoder=name)


@pytest.mark.parametrize(
    ("output", "size", "said"),
    [
        ("out.webm", (96, 64), r"\.webm does not hold; name an \.mp4"),
        ("out.mp4", (95, 64), "even sizes only"),
    ],
)
def test_what_no_hardware_encoder_does_is_said(
    tmp_path: Path, output: str, size: tuple[int, int], said: str
) -> None:
    with pytest.raises(SinkError, match=said):
        FileSink(str(tmp_path / output), info_of(*size), encoder="nvenc")


@NONE_OPENS
def test_auto_encodes_on_the_cpu_and_the_summary_says_what_did_not_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    assert main(["run", SCENE, str(out), "--encoder", "auto", "--json"]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert note.startswith(f"{out} is encoded by libx264: no hardware encoder opens, h264_nvenc (")
    assert "h264_qsv (" in note
    assert "h264_amf (" in note
    with FileSource(str(out)) as source:
        assert len(list(source)) == 15


@NONE_OPENS
def test_auto_streams_on_the_cpu_and_says_so(tmp_path: Path) -> None:
    sink = StreamSink([f"hls:{tmp_path}"], info_of(), encoder="auto")
    try:
        note = sink.report().notes[0]
    finally:
        sink.close(complete=False)
    assert "is encoded by libx264: no hardware encoder opens" in note


@absent("nvenc")
def test_the_command_line_gets_one_sentence_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mkv"
    assert main(["run", SCENE, str(out), "--encoder", "nvenc"]) == 1
    assert "driver 570 or newer" in capsys.readouterr().err
    assert not out.exists()


def test_the_trial_lets_pass_what_encodes_and_gives_the_reason_otherwise() -> None:
    format_ = FORMATS[".mp4"]
    assert refusal(format_, dict(format_.video_options), info_of()) == ""
    assert refusal(replace(format_, video="h264_nvenc"), {"rc": "no such"}, info_of()) != ""
    assert refusal(format_, {"preset": "no such"}, info_of()) != ""


def test_what_opens_is_taken_with_its_options_and_pixel_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """x264 stands in for a graphics chip: the path is the same from the choice to the file."""
    stand_in = HardwareEncoder("libx264", {"crf": "{quality}", "forced-idr": "1", "bf": "0"}, {}, "")
    monkeypatch.setitem(encoders.HARDWARE, "nvenc", stand_in)
    out = tmp_path / "out.mp4"
    sink = FileSink(str(out), info_of(), quality=4, encoder="auto")
    times = [512 * i for i in range(40)]
    for frame in frames_at(times):
        sink.write(frame)
    sink.close(complete=True)
    assert sink.report().notes == (f"{out} is encoded by libx264.",)
    got = shown(out)
    assert [pts for pts, _ in got] == times
    assert np.abs(patch_colours(got[0][1]) - np.array(PATCHES)).max() <= 6
    assert key_times(out) == [0, 15360]


@pytest.mark.parametrize("name", EACH_PRESENT)
def test_a_hardware_encoder_keeps_times_colours_and_key_frames(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.mp4"
    size = (384, 256)
    sink = FileSink(str(out), info_of(*size), quality=12, encoder=name)
    times = [512 * i for i in range(40)]
    for frame in frames_at(times, size=size):
        sink.write(frame)
    sink.close(complete=True)
    assert sink.report().notes == (f"{out} is encoded by {HARDWARE[name].name}.",)
    got = shown(out)
    assert [pts for pts, _ in got] == times
    assert np.abs(patch_colours(got[0][1]) - np.array(PATCHES)).max() <= 6
    assert {0, 15360} <= set(key_times(out))


@pytest.mark.parametrize("name", [*EACH_PRESENT, "stand-in"])
def test_every_picture_of_a_stream_leaves_as_it_came_and_key_frames_when_asked(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "stand-in":
        options = {"crf": "{quality}", "maxrate": "{most}", "bufsize": "{most}", "bf": "0", "forced-idr": "1"}
        stand_in = HardwareEncoder("libx264", {}, options | {"tune": "zerolatency"}, "")
        monkeypatch.setitem(encoders.HARDWARE, name, stand_in)
    notes: list[str] = []
    frames = frames_at([512 * i for i in range(12)], size=(384, 256))
    video = live_video(info_of(384, 256), None, name, "a stream", notes)
    encoder = LiveEncoder(video, Silence(), frames[0])
    try:
        for number, frame in enumerate(frames):
            (picture,) = [p for p in encoder.encode(frame, key=number == 7) if p.stream == PICTURE]
            assert picture.key == (number in {0, 7})
    finally:
        encoder.close()
    assert notes == [f"a stream is encoded by {video.format.video}."]


def shown(path: Path) -> list[tuple[int, np.ndarray]]:
    with FileSource(str(path)) as source:
        return [(frame.pts, frame.pixels) for frame in source]


def key_times(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [p.pts for p in container.demux(video=0) if p.is_keyframe and p.pts is not None]
