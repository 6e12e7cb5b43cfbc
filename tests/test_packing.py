from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from streamstyle.engines.packing import FramePacker
from streamstyle.engines.pattern_mixing import PatternMixer
from streamstyle.nets.ema_norm import StatefulFrameGenerator
from streamstyle.nets.generator import FrameGenerator, Generator
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.nets.noise import PATTERNS, canvas, fields
from streamstyle.nets.packed import (
    PackedFrameGenerator,
    PlainPackedFrameGenerator,
    StatefulPackedFrameGenerator,
)

HEIGHT, WIDTH = 48, 80


def blocks_of(packer: FramePacker, height: int, width: int) -> np.ndarray:
    """Blocks without the padding around the picture: (1, h, w, 16)."""
    framed = packer.blocks.reshape(height // 2 + 2, width // 2 + 2, 16)
    return np.ascontiguousarray(framed[1:-1, 1:-1])[None]


@given(rows=st.integers(1, 40), columns=st.integers(1, 40), seed=st.integers(0, 99))
def test_a_frame_comes_back_from_its_blocks(rows: int, columns: int, seed: int) -> None:
    height, width = 2 * rows, 2 * columns
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    packer = FramePacker(height, width)
    packer.pack(pixels)
    blocks = blocks_of(packer, height, width)
    assert np.array_equal(blocks[0, 0, 0, :3], pixels[0, 0])
    assert np.array_equal(blocks[0, 0, 0, 4:7], pixels[0, 1])
    assert np.array_equal(blocks[0, 0, 0, 8:11], pixels[1, 0])
    assert np.array_equal(packer.unpack(blocks), pixels)


def test_a_frame_that_is_packed_in_several_bands_comes_back_too() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1090, 1920, 3)).astype(np.uint8)
    packer = FramePacker(1090, 1920)
    packer.pack(pixels)
    picture = packer.unpack(blocks_of(packer, 1090, 1920))
    assert np.array_equal(picture, pixels)


def test_blocks_at_the_edges_are_repeated_around_the_frame() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    packer = FramePacker(6, 8)
    packer.pack(pixels)
    framed = packer.blocks.reshape(5, 6, 16)
    assert np.array_equal(framed, np.pad(framed[1:-1, 1:-1], ((1, 1), (1, 1), (0, 0)), mode="edge"))


PLAIN = GeneratorConfig(widths=(8, 16, 24), blocks=2)
RICH = replace(PLAIN, fine_blocks=1, skip=True, head=6, patterns=PATTERNS)


@pytest.fixture(scope="module", params=[PLAIN, RICH], ids=["plain", "rich"])
def generator(request: pytest.FixtureRequest) -> Generator:
    torch.manual_seed(0)
    generator: Generator = Generator(request.param).requires_grad_(False).eval()
    if request.param.head:
        torch.nn.init.normal_(generator.head.photo.weight, std=0.2)  # which begins as 0
    return generator


@pytest.fixture(scope="module")
def inputs(generator: Generator) -> Callable[[], tuple[torch.Tensor, ...]]:
    rng = np.random.default_rng(0)
    size = generator.layout.size
    codes = generator.layout.neutral() + 0.3 * torch.from_numpy(rng.standard_normal((1, 2, size))).float()
    mask = torch.from_numpy(rng.integers(0, 256, (1, 1, HEIGHT // 2, WIDTH // 2)).astype(np.uint8))
    return lambda: (codes, mask, torch.from_numpy(canvas(HEIGHT, WIDTH))[None])


def mixed(generator: Generator, codes: torch.Tensor) -> list[torch.Tensor]:
    """Patterns as codes (N, size) mix them, where the network has some."""
    config = generator.config
    if not config.patterns:
        return []
    return [
        torch.from_numpy(
            PatternMixer(config).mixed(
                codes.numpy(), fields(HEIGHT, WIDTH).window(0, 0, HEIGHT // 8, WIDTH // 8)
            )
        )
    ]


def frames_and_blocks() -> tuple[torch.Tensor, torch.Tensor]:
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    packer = FramePacker(HEIGHT, WIDTH)
    packer.pack(pixels)
    return torch.from_numpy(pixels)[None], torch.from_numpy(packer.blocks)


def test_patterns_are_mixed_anew_only_where_a_code_or_the_canvas_changes() -> None:
    mixer = PatternMixer(RICH)
    field, other = (fields(16, 24, seed).window(0, 0, 2, 3) for seed in (0, 1))
    codes = np.random.default_rng(0).standard_normal((2, RICH.layout.size)).astype(np.float32)
    first = mixer.mixed(codes, field)
    assert first.shape == (4, 8 * 12, RICH.widths[0])
    assert mixer.mixed(codes.copy(), field) is first
    kept = first.copy()
    for again in (mixer.mixed(codes[::-1], field), mixer.mixed(codes[::-1], other)):
        assert not np.array_equal(again, kept)
    np.testing.assert_array_equal(mixer.mixed(codes, field), kept)
    np.testing.assert_array_equal(first, kept)


def test_the_network_paints_packed_frames_as_it_paints_frames(
    generator: Generator, inputs: Callable[[], tuple[torch.Tensor, ...]]
) -> None:
    frames, blocks = frames_and_blocks()
    with torch.no_grad():
        codes, mask, field = inputs()
        expected = FrameGenerator(generator)(frames, codes, mask, field)[0].numpy()
        patterns = mixed(generator, codes[0])
        packed = PackedFrameGenerator(generator)(blocks, codes, mask, field, *patterns).numpy()
    assert not packed[..., 3::4].any()
    found = FramePacker(HEIGHT, WIDTH).unpack(packed)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert np.mean(found == expected) > 0.999
    assert expected.std() > 5


def test_in_one_style_the_network_needs_no_mask(
    generator: Generator, inputs: Callable[[], tuple[torch.Tensor, ...]]
) -> None:
    _, blocks = frames_and_blocks()
    codes, mask, field = inputs()
    with torch.no_grad():
        both, first = (mixed(generator, codes[0, :count]) for count in (2, 1))
        expected = PackedFrameGenerator(generator)(blocks, codes, torch.zeros_like(mask), field, *both)
        found = PlainPackedFrameGenerator(generator)(blocks, codes[:, 0], field, *first)
    torch.testing.assert_close(found, expected, atol=1, rtol=0)
    assert (found == expected).float().mean() > 0.999


def test_the_network_holds_the_same_statistics_on_packed_frames(
    generator: Generator, inputs: Callable[[], tuple[torch.Tensor, ...]]
) -> None:
    frames, blocks = frames_and_blocks()
    rng = np.random.default_rng(2)
    past = torch.from_numpy(rng.uniform(0.2, 1, (1, generator.norms.size)).astype(np.float32))
    state = past, torch.full((1, 1), 0.4)
    with torch.no_grad():
        codes, *others = inputs()
        expected, used = StatefulFrameGenerator(generator)(frames, codes, *others, *state)
        packed, packed_used = StatefulPackedFrameGenerator(generator)(
            blocks, codes, *others, *state, *mixed(generator, codes[0])
        )
    found = FramePacker(HEIGHT, WIDTH).unpack(packed.numpy())
    assert np.abs(found.astype(int) - expected[0].numpy()).max() <= 1
    torch.testing.assert_close(packed_used, used, atol=1e-4, rtol=1e-4)
