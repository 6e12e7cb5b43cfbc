"""Hardware codecs: the options that are set exist, and what cannot be opened is said."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest
from av.codec.hwaccel import HWAccel, HWDeviceType
from av.video.codeccontext import VideoCodecContext
from media_files import PATCHES, frames_at, info_of, make_video, patch_colours

from streamstyle.cli.main import main
from streamstyle.errors import SinkError, SourceError
from streamstyle.media import av_source, encoders, film_decoder
from streamstyle.media.av_sink import FileSink
from streamstyle.media.av_source import FileSource
from streamstyle.media.codecs import CODECS, VideoEncoder
from streamstyle.media.colour import ToRgb, is_full_range, matrix_name
from streamstyle.media.decoders import DeviceRefusalError, check_film, device_refusal
from streamstyle.media.encoders import HARDWARE, HardwareEncoder, refusal
from streamstyle.media.encoding import Encoding
from streamstyle.media.net.encoder import LiveEncoder, live_video
from streamstyle.media.net.parcel import PICTURE
from streamstyle.media.net.stream_sink import StreamSink
from streamstyle.media.sounds import Silence

SCENE = "test:?seconds=1&size=160x96&rate=15"
MAX_BIT_RATES = {"film": None, "live": 3_000_000}


def opens(name: str) -> bool:
    """True if FFmpeg's encoder opens on this machine with its default options."""
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


@pytest.mark.parametrize("use", MAX_BIT_RATES)
@pytest.mark.parametrize("name", HARDWARE)
@pytest.mark.parametrize("quality", [0, 18, 51])
def test_every_option_that_is_set_is_one_of_the_encoder_s_with_a_value_that_it_knows(
    name: str, use: str, quality: int
) -> None:
    hardware = HARDWARE[name]
    told = av.CodecContext.create(hardware.name, "w").supported_options
    options = {option.name: option for option in (*told.generic, *told.private)}
    for key, value in hardware.options(quality, MAX_BIT_RATES[use]).items():
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
    with pytest.raises(
        SinkError, match=f"h264_{name} in 96x64 here: .*It needs an .*Without --encoder {name}"
    ):
        FileSink(str(path), info_of(), Encoding(encoder=name))
    assert not path.exists()
    with pytest.raises(SinkError, match=f"hls:.* cannot be encoded by h264_{name}"):
        StreamSink([f"hls:{tmp_path}"], info_of(), Encoding(encoder=name))


@pytest.mark.parametrize(
    ("output", "size", "said"),
    [
        ("out.webm", (96, 64), "encodes only H.264; name an .mp4"),
        ("out.mp4", (95, 64), "even sizes only"),
    ],
)
def test_what_no_hardware_encoder_does_is_said(
    tmp_path: Path, output: str, size: tuple[int, int], said: str
) -> None:
    with pytest.raises(SinkError, match=said) as refused:
        FileSink(str(tmp_path / output), info_of(*size), Encoding(encoder="nvenc"))
    assert "It needs" not in str(refused.value)


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
    sink = StreamSink([f"hls:{tmp_path}"], info_of(), Encoding(encoder="auto"))
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
    usual = CODECS["h264"].encoder
    assert refusal(usual, info_of()) == ""
    assert refusal(VideoEncoder("h264_nvenc", {"rc": "no such"}), info_of()) != ""
    assert refusal(replace(usual, options={"preset": "no such"}), info_of()) != ""


def test_what_opens_is_taken_with_its_options_and_pixel_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """x264 stands in for a graphics chip: the path is the same from the choice to the file."""
    stand_in = HardwareEncoder("libx264", {"crf": "{quality}", "forced-idr": "1", "bf": "0"}, {}, "")
    monkeypatch.setitem(encoders.HARDWARE, "nvenc", stand_in)
    out = tmp_path / "out.mp4"
    sink = FileSink(str(out), info_of(), Encoding(quality=4, encoder="auto"))
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
    sink = FileSink(str(out), info_of(*size), Encoding(quality=12, encoder=name))
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
    video = live_video(info_of(384, 256), Encoding(encoder=name), "a stream", notes)
    encoder = LiveEncoder(video, Silence(), frames[0])
    try:
        for number, frame in enumerate(frames):
            (picture,) = [p for p in encoder.encode(frame, key=number == 7) if p.stream == PICTURE]
            assert picture.key == (number in {0, 7})
    finally:
        encoder.close()
    assert notes == [f"a stream is encoded by {video.encoder.name}."]


NO_NVDEC = device_refusal()
needs_nvdec = pytest.mark.skipif(bool(NO_NVDEC), reason=f"needs NVDEC: {NO_NVDEC}")
without_nvdec = pytest.mark.skipif(not NO_NVDEC, reason="this machine has NVDEC")


def elsewhere() -> HWAccel:
    """A device that no decoder of FFmpeg's own knows: PyAV opens the film, and decodes on the CPU."""
    return HWAccel("qsv", allow_software_fallback=True)


@without_nvdec
def test_a_named_decoder_that_does_not_open_is_refused_with_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_video(tmp_path / "in.mp4")
    assert main(["run", str(film), "null:", "--decoder", "cuda"]) == 1
    told = capsys.readouterr().err
    assert "in.mp4 cannot be decoded by NVDEC: Operation not permitted; it needs an NVIDIA GPU" in told
    assert "Without --decoder cuda the CPU does it." in told


@without_nvdec
def test_auto_decodes_on_the_cpu_and_the_summary_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_video(tmp_path / "in.mp4")
    assert main(["run", str(film), "null:", "--decoder", "auto", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["frames_out"] == 12
    (note,) = summary["notes"]
    assert note.startswith(
        f"{film} is decoded by the CPU, because NVDEC cannot: Operation not permitted; it needs"
    )


def test_only_films_are_decoded_by_nvdec(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", SCENE, "null:", "--decoder", "cuda"]) == 2
    assert "only for films, not for test" in capsys.readouterr().err


@pytest.fixture
def another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that opens and decodes nothing of the film."""
    monkeypatch.setattr(av_source, "device_refusal", lambda: "")
    monkeypatch.setattr(av_source, "nvdec", elsewhere)


@pytest.mark.usefixtures("another_device")
def test_a_codec_that_the_device_does_not_decode_is_refused_or_left_to_the_cpu(tmp_path: Path) -> None:
    film = make_video(tmp_path / "in.mp4")
    plain = shown(film)
    with (
        pytest.raises(SourceError, match="cannot be decoded by NVDEC: h264 is decoded by h264 alone"),
        FileSource(str(film), decoder="cuda"),
    ):
        pass
    with pytest.raises(SourceError, match="does not exist"), FileSource("none.mp4", decoder="cuda"):
        pass
    source = FileSource(str(film), decoder="auto")
    with source:
        assert_same([(frame.pts, frame.pixels) for frame in source], plain)
    assert source.report().notes == (
        f"{film} is decoded by the CPU, because NVDEC cannot: h264 is decoded by h264 alone.",
    )


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8", "vp9", "mpeg2video", "mpeg4", "vc1"])
def test_ffmpeg_s_own_decoder_of_what_the_guide_names_knows_nvdec(codec: str) -> None:
    configs = av.Codec(codec, "r").hardware_configs
    assert any(config.device_type == HWDeviceType.cuda and config.is_supported for config in configs)


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"pix_fmt": "cuda", "width": 192, "height": 128}, ""),
        ({"pix_fmt": "yuv422p", "width": 192, "height": 128}, "not what this GPU decodes"),
        ({"pix_fmt": "cuda", "width": 184, "height": 128}, "cuts off its left or upper edge"),
        ({"is_hwaccel": False, "pix_fmt": "yuv420p", "width": 192, "height": 128}, "h264 is decoded by h264"),
    ],
)
def test_the_first_frame_tells_whether_the_device_decoded_the_film(
    context: dict[str, Any], said: str
) -> None:
    decoder = SimpleNamespace(
        **{"is_hwaccel": True, "codec": av.Codec("h264", "r"), "name": "h264"} | context
    )
    head = av.VideoFrame(192, 128, "nv12")
    if not said:
        check_film(cast(VideoCodecContext, decoder), head)
        return
    with pytest.raises(DeviceRefusalError, match=said):
        check_film(cast(VideoCodecContext, decoder), head)


@pytest.mark.usefixtures("another_device")
def test_frames_that_the_device_does_not_take_are_right_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_video(tmp_path / "in.mp4")
    plain = shown(film)
    monkeypatch.setattr(film_decoder, "check_film", lambda _context, _head: None)  # the first one it took
    source = FileSource(str(film), decoder="cuda")
    with source:
        assert_same([(frame.pts, frame.pixels) for frame in source], plain)
    assert source.report().counters["software_frames"] == 12
    assert source.report().notes == (
        f"{film} is decoded by NVDEC, but 12 frames by the CPU, because NVDEC cannot decode them.",
    )


@pytest.mark.parametrize(
    ("film_format", "device_format"),
    [
        *(("yuv420p", "nv12"), ("yuv420p", "nv21"), ("yuv422p", "nv16"), ("yuv444p", "nv24")),
        *(("yuv422p", name) for name in ("yuyv422", "uyvy422", "yvyu422")),
        *(("yuv420p10le", "p010le"), ("yuv422p10le", "p210le")),
    ],
)
@pytest.mark.parametrize("tags", [(1, 1), (1, 2), (6, 1)])
def test_the_formats_of_nvdec_and_of_cameras_become_the_same_rgb(
    tmp_path: Path, film_format: str, device_format: str, tags: tuple[int, int]
) -> None:
    film = make_video(tmp_path / "in.mp4", matrix=tags, pixel_format=film_format, frames=1)
    with av.open(str(film)) as container:
        frame = next(container.decode(video=0))
    downloaded = frame.reformat(format=device_format)
    frames = frame, downloaded
    assert [is_full_range(f) for f in frames] == [tags[1] == 2] * 2
    matrix = matrix_name(frame.colorspace, frame.height)
    host, device = (ToRgb()(f, matrix, f.width, f.height) for f in frames)
    assert np.array_equal(host, device)


@needs_nvdec
@pytest.mark.parametrize("tags", [None, (1, 1), (1, 2), (6, 1)])
def test_nvdec_decodes_what_the_cpu_does(tmp_path: Path, tags: tuple[int, int] | None) -> None:
    film = make_video(tmp_path / "in.mp4", matrix=tags, size=(384, 256), frames=40, rotation=90)
    source = FileSource(str(film), decoder="cuda")
    with source:
        got = [(frame.pts, frame.pixels) for frame in source]
    assert_same(got, shown(film))
    assert source.report().notes == (f"{film} is decoded by NVDEC.",)
    assert source.report().counters["corrupt_packets"] == 0


@needs_nvdec
def test_a_film_that_nvdec_does_not_decode_comes_from_the_cpu(tmp_path: Path) -> None:
    film = make_video(tmp_path / "in.mkv", codec="ffv1", size=(384, 256))
    source = FileSource(str(film), decoder="auto")
    with source:
        assert_same([(frame.pts, frame.pixels) for frame in source], shown(film))
    assert "ffv1 is decoded by ffv1 alone" in source.report().notes[0]


def assert_same(got: list[tuple[int, np.ndarray]], expected: list[tuple[int, np.ndarray]]) -> None:
    for (pts, pixels), (expected_pts, expected_pixels) in zip(got, expected, strict=True):
        assert pts == expected_pts
        assert np.array_equal(pixels, expected_pixels)


def shown(path: Path) -> list[tuple[int, np.ndarray]]:
    with FileSource(str(path)) as source:
        return [(frame.pts, frame.pixels) for frame in source]


def key_times(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [p.pts for p in container.demux(video=0) if p.is_keyframe and p.pts is not None]
