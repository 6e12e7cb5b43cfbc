"""Frames painted in tiles: the same as whole, whatever the size, and without seams."""

from __future__ import annotations

import json

import numpy as np
import pytest
from clips import clip_named, needs_clips
from test_cli import refused
from test_engine_contract import PLAIN, Network, picture, psnr, soft_disc, still

from streamstyle.cli.main import main
from streamstyle.engines import conditioning, memory
from streamstyle.engines.request import EngineRequest, SizeOpener
from streamstyle.engines.tiled_engine import TiledEngine, open_fitting, open_tiled, tiles_along
from streamstyle.errors import EngineError, EngineMemoryError
from streamstyle.media.open import open_source
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.nets.noise import Fields, fields
from streamstyle.styles.bundle import BUNDLED, load_bundle
from streamstyle.types import Engine, Picture, StyleCondition

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.fresh(PLAIN)  # which sees less far than one with all parts: tiles can be smaller


@pytest.fixture(scope="module")
def lite() -> Network:
    bundle = load_bundle(BUNDLED)
    codes = np.stack([style.code for style in bundle.styles])
    return Network(bundle.manifest.architecture, bundle.weights, codes)


def receptive_radius_of(network: Network) -> int:
    return GeneratorConfig.from_json(network.architecture).receptive_radius


def tiled(network: Network, height: int, width: int, tile: tuple[int, int]) -> TiledEngine:
    opener = SizeOpener(lambda h, w: network.open_stateful("torch", h, w))
    engine = open_tiled(opener, EngineRequest(height, width), tile, receptive_radius_of(network))
    assert isinstance(engine, TiledEngine)
    return engine


def painted_with(
    network: Network, pixels: Picture, condition: StyleCondition, norm_stats: np.ndarray | None
) -> Picture:
    """Whole, with these statistics."""
    whole = network.open_stateful("torch", *pixels.shape[:2])
    whole.norm_stats = norm_stats
    return whole.start(pixels, StyleCondition(condition.codes, condition.mask, ema_decay=1.0)).result()


def test_tiles_cover_every_length_once_and_keep_away_from_inner_borders() -> None:
    rng = np.random.default_rng(2)
    for _ in range(2000):
        receptive_radius = 8 * int(rng.integers(0, 16))
        tile = 2 * receptive_radius + 8 * int(rng.integers(1, 60))
        length = tile + 8 * int(rng.integers(0, 500))
        tiles = list(tiles_along(length, tile, receptive_radius))
        assert [t.kept.start for t in tiles] == [0, *(t.kept.stop for t in tiles[:-1])]
        assert tiles[-1].kept.stop == length
        for t in tiles:
            assert t.start % 8 == 0
            assert 0 <= t.start <= t.start + tile <= length
            assert t.kept.start < t.kept.stop
            assert t.kept.start == 0 or t.kept.start - t.start >= receptive_radius
            assert t.kept.stop == length or t.start + tile - t.kept.stop >= receptive_radius


@pytest.mark.parametrize("size", [(240, 320), (245, 331), (128, 500)])
def test_tiles_are_what_the_whole_frame_is_with_the_same_statistics(
    network: Network, size: tuple[int, int]
) -> None:
    mask = soft_disc(*size)
    condition = StyleCondition(network.codes[:2], mask)
    pixels = picture(*size)
    engine = tiled(network, *size, (168, 168))
    assert engine.spec.tiles > 1
    styled = engine.start(pixels, condition).result()
    assert styled.shape == pixels.shape
    whole = painted_with(network, pixels, condition, engine.norm_stats)
    assert psnr(styled, whole) > 60


def test_the_canvas_of_a_frame_in_tiles_is_drawn_once(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int, int]] = []

    def counting(height: int, width: int) -> Fields:
        drawn.append((height, width))
        return fields(height, width)

    monkeypatch.setattr(conditioning, "fields", counting)
    engine = tiled(network, 240, 320, (168, 168))
    for _ in range(2):
        engine.start(picture(240, 320), still(network.codes[0])).result()
    assert engine.spec.tiles > 4
    assert drawn == [(168, 168), (240, 320)]


def test_nothing_beyond_the_reach_changes_a_pixel(lite: Network) -> None:
    receptive_radius, condition = receptive_radius_of(lite), still(lite.codes[3])
    pixels = picture(64, 432)
    engine = lite.open_stateful("torch", 64, 432)
    engine.start(pixels, condition).result()
    norm_stats = engine.norm_stats
    before = painted_with(lite, pixels, condition, norm_stats).astype(int)
    pixels[:, 216 + receptive_radius :] = 255 - pixels[:, 216 + receptive_radius :]
    differs = np.flatnonzero(
        np.abs(painted_with(lite, pixels, condition, norm_stats) - before).max(axis=(0, 2))
    )
    assert 216 <= differs[0] < 216 + 40, "the reach is enough, and not much more than that"


@needs_clips
@pytest.mark.parametrize("clip", ["sam2_05_default_juggle.mp4", "nature_flower.mp4"])
def test_tiled_clip_has_no_seams_and_looks_as_painted_whole(lite: Network, clip: str) -> None:
    with open_source(str(clip_named(clip))) as source:
        pixels = np.ascontiguousarray(next(iter(source)).pixels[60:500, 100:900])
    condition = still(lite.codes[5])
    engine = tiled(lite, *pixels.shape[:2], (320, 480))
    styled = engine.start(pixels, condition).result()
    assert psnr(styled, painted_with(lite, pixels, condition, engine.norm_stats)) > 60
    whole = lite.open_stateful("torch", *pixels.shape[:2]).start(pixels, condition).result()
    assert psnr(styled, whole) > 28
    steps = np.abs(np.diff(styled.astype(int), axis=1)).mean(axis=(0, 2))
    expected = np.abs(np.diff(whole.astype(int), axis=1)).mean(axis=(0, 2))
    seams = [t.kept.stop - 1 for t in tiles_along(800, 480, receptive_radius_of(lite))][:-1]
    assert seams
    assert (steps[seams] / expected[seams]).max() < 1.15


def test_statistics_are_held_from_frame_to_frame_and_another_style_begins_anew(network: Network) -> None:
    pixels, size = picture(240, 320), (240, 320)
    engine = tiled(network, *size, (168, 168))
    one, other = still(network.codes[0]), still(network.codes[1])
    first = engine.start(pixels, one).result()
    kept = engine.norm_stats
    engine.start(pixels // 3, StyleCondition(one.codes, ema_decay=1.0)).result()
    np.testing.assert_array_equal(engine.norm_stats, kept)
    engine.start(pixels // 3, StyleCondition(one.codes, ema_decay=0.5)).result()
    assert engine.norm_stats is not None
    assert not np.array_equal(engine.norm_stats, kept)
    engine.start(pixels, other).result()
    engine.norm_stats = None
    np.testing.assert_array_equal(engine.start(pixels, one).result(), first)


def test_frames_that_do_not_fit_into_memory_are_tiled_and_too_small_tiles_refused(network: Network) -> None:
    def open_small(height: int, width: int) -> Engine:
        if height * width > 30_000:
            raise EngineMemoryError(f"{width}x{height} does not fit")
        return network.open_stateful("torch", height, width)

    receptive_radius = receptive_radius_of(network)
    engine = open_fitting(SizeOpener(open_small), EngineRequest(240, 320), receptive_radius)
    assert engine.spec.tiles > 1
    assert engine.start(picture(240, 320), still(network.codes[0])).result().shape == (240, 320, 3)
    assert open_fitting(SizeOpener(open_small), EngineRequest(96, 128), receptive_radius).spec.tiles == 1
    with pytest.raises(EngineMemoryError, match="does not fit"):
        open_fitting(SizeOpener(open_small), EngineRequest(240, 30_000), receptive_radius)
    with pytest.raises(EngineError, match="too small"):
        open_tiled(SizeOpener(open_small), EngineRequest(240, 320), (64, 64), receptive_radius)


def test_run_paints_in_tiles_when_asked_and_when_memory_is_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ["run", "test:?seconds=1&size=640x288&rate=10", "null:", "--engine", "torch", "--frames", "2"]
    assert main([*run, "--tile", "320x320", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["engine"]["tiles"] == 4
    assert summary["frames_out"] == 2
    enough_for = memory.BYTES_TO_COMPILE + 300 * 600 * memory.BYTES_PER_PIXEL
    monkeypatch.setattr(memory, "available_bytes", lambda: enough_for)
    assert main(run) == 0
    assert "painting in " in capsys.readouterr().out


def test_tile_that_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, error = refused(capsys, "run", "test:?seconds=1", "null:", "--tile", "auto")
    assert code == 2
    assert "--tile" in error
