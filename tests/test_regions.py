"""One contract for every region, what each of them finds, and that no seam shows at its edge."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from clips import DATA, needs_clips
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamstyle.cli.main import main
from streamstyle.config import RunConfig
from streamstyle.control.style_scheduler import StyleScheduler, StyleTarget
from streamstyle.errors import ConfigError, EngineError, SourceError
from streamstyle.media.encoding import Encoding
from streamstyle.media.open import open_sink
from streamstyle.pipeline.conditions import region_opener
from streamstyle.pipeline.model import load_model
from streamstyle.regions.spec import (
    ChromaKey,
    Length,
    MaskFile,
    Rectangle,
    Rectangles,
    Segmentation,
    parse_region,
)
from streamstyle.types import Frame, Region, StreamInfo, StyleCondition

SIZE = (72, 128)
GREEN = (0, 177, 64)


def frame(index: int = 0, *, rate: int = 30, pixels: NDArray[np.uint8] | None = None) -> Frame:
    """A frame whose left half is red and whose right half is green."""
    if pixels is None:
        pixels = np.empty((*SIZE, 3), np.uint8)
        pixels[:, :64], pixels[:, 64:] = (230, 20, 30), GREEN
    return Frame(pixels, index, index, Fraction(1, rate), 1, 0.0)


def opened(spec: str, feather: float = 0.0) -> Region:
    opener = region_opener(RunConfig(region=spec, region_feather=feather))
    assert opener is not None
    return opener(*SIZE)


def write_film(path: Path, lumas: list[int], rate: int = 30) -> Path:
    """A film of flat grey frames."""
    info = StreamInfo("test:", 64, 48, Fraction(rate), Fraction(1, rate), 0, Fraction(1), "bt601", 0)
    sink = open_sink(str(path), replace(info, url=str(path) + ".silent"), Encoding(quality=1))
    for i, luma in enumerate(lumas):
        sink.write(frame(i, rate=rate, pixels=np.full((48, 64, 3), luma, np.uint8)))
    sink.close(complete=True)
    return path


def write_model(
    path: Path,
    weight: NDArray[np.float32],
    bias: list[float],
    *,
    shape: tuple[object, ...] = (1, 3, "h", "w"),
    last: bool = False,
    squeeze: bool = False,
) -> Path:
    """A network of one 1x1 convolution: weight (C, 3, 1, 1) float32 over RGB."""
    source, target, nodes = "x", "y", []
    if last:
        nodes.append(helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2]))
        source = "first"
    nodes.append(helper.make_node("Conv", [source, "weight", "bias"], ["scores"]))
    if last:
        nodes.append(helper.make_node("Transpose", ["scores"], [target], perm=[0, 2, 3, 1]))
    elif squeeze:
        nodes.append(helper.make_node("Squeeze", ["scores", "axis"], [target]))
    else:
        nodes.append(helper.make_node("Identity", ["scores"], [target]))
    constants = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(np.array(bias, np.float32), "bias"),
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
    ]
    graph = helper.make_graph(
        nodes,
        "segmentation",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def redness(gain: float = 1.0) -> NDArray[np.float32]:
    return np.array([[gain, 0, 0]], np.float32).reshape(1, 3, 1, 1)


@pytest.fixture(params=["rect", "picture", "film", "chroma", "onnx"])
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each kind of region, taking the left half of the frame; the film is flat."""
    half = np.zeros((50, 40), np.uint8)
    half[:, :20] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), half)
    specs: dict[str, Callable[[], str]] = {
        "rect": lambda: "rect:0,0,50%,100%",
        "picture": lambda: f"file:{tmp_path / 'mask.png'}",
        "film": lambda: f"file:{write_film(tmp_path / 'mask.mp4', [0, 255, 0, 255])}",
        "chroma": lambda: "chroma:e6141e",
        "onnx": lambda: f"onnx:{write_model(tmp_path / 'm.onnx', redness(20), [-10.0])}",
    }
    return specs[request.param]()


@pytest.mark.parametrize("feather", [0.0, 12.0])
def test_every_region_gives_a_mask_of_the_frame_and_leaves_the_frame_alone(spec: str, feather: float) -> None:
    region = opened(spec, feather)
    for i in range(5):
        given_frame = frame(i)
        given_frame.pixels.flags.writeable = False
        mask = region.mask(given_frame)
        assert mask.shape == SIZE
        assert mask.dtype == np.uint8
        assert mask.flags.c_contiguous
    region.close()


@pytest.mark.parametrize("spec", ["rect", "picture", "chroma", "onnx"], indirect=True)
def test_every_still_region_takes_the_left_half(spec: str) -> None:
    mask = opened(spec).mask(frame())
    assert mask[:, :60].min() > 250
    assert mask[:, 68:].max() < 5


@pytest.mark.parametrize("pixels", [4.0, 12.0, 40.0])
def test_a_feather_is_as_wide_as_it_says_and_stays_where_the_edge_was(pixels: float) -> None:
    row = opened("rect:0,0,64,72", pixels).mask(frame())[36].astype(int)
    assert np.all(np.diff(row) <= 0)
    assert pixels - 2 <= np.count_nonzero((row > 0) & (row < 255)) <= pixels + 2
    assert row[63] + row[64] == pytest.approx(255, abs=3)
    assert np.abs(np.diff(row)).max() <= 2.6 * 255 / pixels


def test_a_still_mask_keeps_its_look_and_a_moving_one_does_not(tmp_path: Path) -> None:
    codes = np.zeros((2, 4), np.float32)
    scheduler = StyleScheduler(StyleTarget(codes, opened("rect:0,0,10,10", 12), None, "ink"))
    assert scheduler(frame(0)) is scheduler(frame(1))
    film = write_film(tmp_path / "mask.mp4", [0, 255])
    scheduler = StyleScheduler(StyleTarget(codes, opened(f"file:{film}", 12), None, "ink"))
    first, second, held = (scheduler(frame(i)) for i in range(3))
    assert first is not second
    assert held is second


def test_rectangles_join_and_end_at_the_frame() -> None:
    mask = opened("rect:0,0,10,10+50%,50%,500,500").mask(frame())
    expected = np.zeros(SIZE, np.uint8)
    expected[:10, :10] = expected[36:, 64:] = 255
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(("rate", "suffix"), [(30, ".mp4"), (30, ".mkv"), (15, ".mp4")])
def test_a_mask_film_keeps_step_with_the_source_and_holds_its_last_frame(
    tmp_path: Path, rate: int, suffix: str
) -> None:
    lumas = [20, 60, 100, 140, 180]
    region = opened(f"file:{write_film(tmp_path / f'mask{suffix}', lumas, rate)}")
    for i in [0, 1, 2, 5, 6, 20]:  # frames may be missing
        wanted = lumas[min(i * rate // 30, len(lumas) - 1)]
        assert region.mask(replace(frame(i), pts=i + 900)).mean() == pytest.approx(wanted, abs=3)
    region.close()


def test_a_colour_key_ignores_brightness_and_is_soft() -> None:
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:, :40], pixels[:, 40:80], pixels[:, 80:] = GREEN, (30, 200, 92), (200, 150, 120)
    mask = opened("chroma:00b140").mask(frame(pixels=pixels))
    assert mask[:, :80].min() == 255
    assert mask[:, 80:].max() == 0
    colours = np.linspace(GREEN, (120, 110, 110), SIZE[1]).round().astype(np.uint8)
    ramp = opened("chroma:00b140").mask(frame(pixels=np.broadcast_to(colours, (*SIZE, 3)).copy()))[0]
    assert {0, 255} < set(ramp.tolist())


@pytest.mark.parametrize(
    ("channels", "layout", "suffix"),
    [
        ("probability", {}, ""),
        ("logit", {}, ""),
        ("logit", {"shape": (1, 3, 32, 64)}, ""),
        ("logit", {"shape": ("n", 3, "h", "w")}, ""),
        ("logit", {"shape": (1, "h", "w", 3), "last": True}, ""),
        ("logit", {"squeeze": True}, ""),
        ("logit", {}, ",0"),
        ("two", {}, ""),
        ("two", {"shape": (1, 32, 64, 3), "last": True}, ",1"),
        ("many", {}, ",3"),
        ("signed", {}, ",signed"),
    ],
)
def test_a_segmentation_network_of_any_usual_form_finds_the_red_half(
    tmp_path: Path, channels: str, layout: dict[str, object], suffix: str
) -> None:
    red = redness()
    forms = {
        "probability": (red, [0.0]),
        "logit": (20 * red, [-10.0]),
        "signed": (20 * red, [0.0]),
        "two": (np.concatenate([-10 * red, 10 * red]), [5.0, -5.0]),
        "many": (
            np.concatenate([0 * red, 0 * red, -9 * red, 40 * red, 0 * red]),
            [0.0, 0.0, 0.0, -20.0, 0.0],
        ),
    }
    path = write_model(tmp_path / "a,7.onnx", *forms[channels], **layout)  # type: ignore[arg-type]
    mask = opened(f"onnx:{path}{suffix}").mask(frame()).astype(int)
    assert mask[:, :58].min() > 220
    assert mask[:, 70:].max() < 35


@pytest.mark.parametrize(
    ("model", "suffix", "said"),
    [
        (None, "", "no such file"),
        (b"not a network", "", "ONNX"),
        (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41", "", "ONNX"),
        (b"\x08\x08\x3a\xff\x7f", "", "ONNX"),
        (b"", "", "0 inputs"),
        ((redness(), [0.0], {"shape": (1, 3, 32)}), "", "cannot be used"),
        ((redness(), [0.0], {"shape": (4, 3, 32, 64)}), "", "one picture"),
        ((np.zeros((5, 3, 1, 1), np.float32), [0.0] * 5, {}), "", "name one"),
        ((np.zeros((2, 3, 1, 1), np.float32), [0.0] * 2, {}), ",2", "no class 2"),
        ((redness(float("nan")), [0.0], {}), "", "not numbers"),
    ],
    ids=[
        "missing",
        "garbage",
        "film",
        "cut off",
        "empty",
        "rank",
        "batch",
        "class missing",
        "class unknown",
        "nan",
    ],
)
def test_an_unusable_model_is_told_in_one_sentence(
    tmp_path: Path, model: object, suffix: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.onnx"
    if isinstance(model, bytes):
        path.write_bytes(model)
    elif isinstance(model, tuple):
        write_model(path, model[0], model[1], **model[2])
    with pytest.raises(EngineError, match=said) as caught:
        opened(f"onnx:{path}{suffix}")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", ""), "a library printed"


@pytest.mark.parametrize(
    ("name", "data"), [("m.png", b""), ("m.png", b"no"), ("m.mp4", b"no"), ("n.png", None)]
)
def test_a_mask_that_cannot_be_read_is_told(tmp_path: Path, name: str, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=name):
        opened(f"file:{tmp_path / name}")


def test_a_region_is_read_as_it_is_written() -> None:
    px, percent = (lambda v: Length(v, percent=False)), (lambda v: Length(v, percent=True))
    first, second = Rectangle(px(1), px(2), px(3), px(4.5)), Rectangle(percent(0), percent(5), px(3), px(4))
    assert parse_region("rect:1,2,3,4.5+0%,5%, 3,4") == Rectangles((first, second))
    assert parse_region("file:a:b,c.mp4") == MaskFile("a:b,c.mp4")
    assert parse_region("chroma:00B140,12.5") == ChromaKey((0, 177, 64), 12.5)
    assert parse_region("onnx:m.onnx") == Segmentation("m.onnx", None, "unit")
    assert parse_region("onnx:a,b.onnx,15,imagenet") == Segmentation("a,b.onnx", 15, "imagenet")


@pytest.mark.parametrize(
    "text",
    [
        *("", "rect", "rect:", "file:", "onnx:", "onnx:,15", "oval:1,2,3,4", "rect:1,2,3", "rect:1,2,3,0"),
        *("rect:-1,0,3,3", "rect:1,2,3,4+", "rect:1,2,3,1e9", "rect:1,2,3,nan", "rect:1,2,3,%"),
        *("chroma:00b14", "chroma:00b140,0", "chroma:00b140,nan", "chroma:green", "chroma:00b140,"),
    ],
)
def test_a_region_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_region(text)
    assert "\n" not in str(caught.value)


def test_a_rectangle_outside_the_frame_and_a_style_without_region_are_refused() -> None:
    with pytest.raises(ConfigError, match="128x72"):
        opened("rect:128,0,5,5")
    with pytest.raises(ConfigError, match="--region"):
        region_opener(RunConfig(region_style="udnie"))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("onnx:{}/none.onnx", "none.onnx cannot be used: there is no such file"),
        ("onnx:{}/text.onnx", "text.onnx cannot be used: it is not an ONNX file"),
        ("file:{}/none.mkv", "none.mkv does not exist"),
        ("file:{}/none.png", "cannot read the mask .*none.png: No such file"),
        ("file:{}/text.png", "text.png is not a picture that can be read"),
        ("file:{}/text.onnx", "text.onnx is not a media file that can be read"),
        ("rect:1000,0,5,5", "no pixel in frames of 64x48"),
    ],
)
def test_a_region_that_cannot_be_opened_is_told_before_any_network_is_measured_or_compiled(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spec: str,
    told: str,
) -> None:
    def compiled(*_: object, **__: object) -> None:
        raise AssertionError("a network was opened")

    for module, name in (("network", "_measured"), ("chain", "open_for_run")):
        monkeypatch.setattr(f"streamstyle.pipeline.{module}.{name}", compiled)
    for name in ("text.onnx", "text.png"):
        (tmp_path / name).write_text("no model, no picture")
    film = write_film(tmp_path / "in.mkv", [0, 255])
    out = tmp_path / "out.mp4"
    assert main(["run", str(film), str(out), "--region", spec.format(tmp_path)]) in {1, 2}
    assert re.search(told, capsys.readouterr().err)
    assert not out.exists()


SPECS = st.one_of(
    st.text(max_size=40),
    st.builds(
        "{}:{}".format,
        st.sampled_from(["rect", "file", "chroma", "onnx"]),
        st.text("0123456789,+%.#-eafnx \n\0", max_size=30),
    ),
)


@given(SPECS)
def test_any_text_is_a_region_or_a_clear_error(text: str) -> None:
    try:
        spec = parse_region(text)
    except ConfigError:
        return
    if isinstance(spec, Rectangles):
        assert all(part.width.value > 0 and part.height.value > 0 for part in spec.parts)
    if isinstance(spec, ChromaKey):
        assert 0 < spec.tolerance <= 255


def steps(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean luma step from each column to the next, (W - 1,)."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return np.abs(np.diff(luma, axis=1)).mean(axis=0)


def seam(picture: NDArray[np.uint8], pure: list[NDArray[np.uint8]], edge: int) -> float:
    """The largest step in 12 columns about the edge, against the largest of the pure paintings within 36."""
    near, around = slice(edge - 12, edge + 12), slice(edge - 36, edge + 36)
    return float(steps(picture)[near].max() / max(steps(each)[around].max() for each in pure))


@needs_clips
@pytest.mark.parametrize("other", ["original", "great-wave"])
@pytest.mark.parametrize("photo", ["cc0_pd_gb82_city.jpg", "cc0_pd_gb82_flowers.jpg", "cc0_pd_mdn_larch.jpg"])
def test_a_feathered_edge_between_two_styles_shows_no_seam(photo: str, other: str) -> None:
    pixels = cv2.cvtColor(cv2.imread(str(DATA / "content" / photo)), cv2.COLOR_BGR2RGB)
    pixels = cv2.resize(pixels, (256, 192), interpolation=cv2.INTER_AREA).astype(np.uint8)
    config = RunConfig(style="starry-night", region="rect:128,0,128,192", region_style=other)
    model, opener = load_model(config), region_opener(config)
    assert opener is not None
    engine = model.open_engine(192, 256)
    pure = [engine.start(pixels, StyleCondition(np.stack([code, code]))).result() for code in model.codes]
    scheduler = StyleCondition(model.codes, opener(192, 256).mask(frame(pixels=pixels)))
    painted = seam(engine.start(pixels, scheduler).result(), pure, 128)
    pasted = seam(np.concatenate([pure[0][:, :128], pure[1][:, 128:]], axis=1), pure, 128)
    engine.close()
    # Between styles far apart the passage is a slope that both pure paintings lack.
    assert painted <= max(1.1, pasted / 4)
    assert painted < pasted
