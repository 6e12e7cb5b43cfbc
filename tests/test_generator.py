from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from streamstyle.metrics.grid import grid_contrast
from streamstyle.nets.discriminator import PatchDiscriminator
from streamstyle.nets.ema_norm import EmaNorm
from streamstyle.nets.generator import (
    NORM_EPS,
    Affine,
    FrameGenerator,
    Generator,
    GeneratorConfig,
)
from streamstyle.nets.noise import CANVAS_CHANNELS, PATTERNS, WOVEN_CHANNELS, canvas, fields
from streamstyle.nets.phases import PhaseConv, UpsampleConv

SMALL = GeneratorConfig(widths=(8, 8, 16), blocks=1)
NO_PAST = (torch.zeros(1, 4, 1, 1), torch.zeros(1, 4, 1, 1))


def painted(
    generator: Generator, frames: torch.Tensor, codes: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Frames (1, H, W, 3) uint8 through `FrameGenerator`, on its canvas. codes: (2, size)."""
    height, width = frames.shape[1:3]
    mask = torch.zeros(1, 1, height // 2, width // 2, dtype=torch.uint8) if mask is None else mask
    with torch.no_grad():
        styled: torch.Tensor = FrameGenerator(generator)(
            frames, codes[None], mask, torch.from_numpy(canvas(height, width))[None]
        )
    return styled


def test_upsample_conv_equals_bilinear_resize_then_convolution() -> None:
    layer = UpsampleConv(5, 3)
    x = torch.randn(2, 5, 9, 11)
    resized = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    expected = F.conv2d(resized, layer.weight, layer.bias, padding=1)
    inner = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(layer(x)[inner], expected[inner])


def test_a_convolution_of_blocks_is_one_of_the_full_size_with_mirrored_edges() -> None:
    layer = PhaseConv(3, 5)
    x = torch.randn(2, 3, 16, 22)
    found = F.pixel_shuffle(layer.phases(F.pixel_unshuffle(x, 2)), 2)
    expected = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), layer.weight, layer.bias)
    torch.testing.assert_close(found, expected)


def test_a_style_opens_the_skip_as_far_as_it_asks_for() -> None:
    torch.manual_seed(0)
    generator = Generator(replace(SMALL, skip=True)).eval()
    layout = generator.layout
    assert "skip" not in generator.norms.names
    code = layout.neutral()[None]
    scale, _ = layout.split(code)["skip"]
    x, field = torch.rand(1, 3, 64, 64), torch.from_numpy(canvas(64, 64))[None]
    with torch.no_grad():
        opened = generator(x, code, field)
        scale.zero_()
        closed = generator(x, code, field)
    plain = Generator(SMALL).eval()
    plain.load_state_dict(generator.state_dict())
    without = {name: parts for name, parts in layout.split(code).items() if name != "skip"}
    with torch.no_grad():
        torch.testing.assert_close(plain(x, plain.layout.join(without), field), closed)
    assert not torch.allclose(opened, closed, atol=1e-2)


def test_upsample_conv_draws_no_grid_on_flat_features_and_a_free_pixel_shuffle_head_does() -> None:
    torch.manual_seed(0)
    features = torch.ones(1, 4, 32, 32)
    head = torch.nn.Conv2d(4, 12, 3, padding=1, padding_mode="replicate")
    assert torch.all(UpsampleConv(4, 3)(features).std(dim=(2, 3)) < 1e-6)
    assert torch.all(F.pixel_shuffle(head(features), 2).std(dim=(2, 3)) > 0.01)


@pytest.mark.parametrize("phase", [(0, 0), (1, 2), (3, 3)])
def test_grid_contrast_sees_a_faint_grid(phase: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(60, 180, (128, 128, 3)).astype(np.uint8)
    gridded = picture.copy()
    gridded[phase[0] :: 4, phase[1] :: 4] += 60
    assert grid_contrast(picture) < 0.1
    assert grid_contrast(gridded) > 0.3


def test_a_code_is_split_into_scale_and_shift_of_every_layer() -> None:
    layout = Generator(SMALL).layout
    at = layout.split(layout.neutral()[None])
    assert layout.size == 2 * sum(layout.channels)
    for scale, shift in at.values():
        assert torch.all(scale == 1)
        assert torch.all(shift == 0)
    code = torch.randn(3, layout.size)
    assert torch.equal(layout.join(layout.split(code)), code)


def held(x: torch.Tensor, past: Affine, ema_decay: float) -> Affine:
    """(deviation, mean) that features are normalised with after a past."""
    neutral = {"layer": (torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))}
    masks = {"layer": torch.zeros(1, 1, *x.shape[2:])}
    norm = EmaNorm(neutral, neutral, masks, {"layer": past}, torch.full((1, 1, 1, 1), ema_decay))
    norm("layer", x)
    return norm.used["layer"]


def test_features_twice_as_large_are_answered_by_one_factor_in_mean_and_deviation() -> None:
    torch.manual_seed(0)
    x = 10 * torch.randn(1, 4, 40, 40) + torch.linspace(-20, 20, 4)[None, :, None, None]
    past = held(x, NO_PAST, 0)
    for now, before in zip(held(2 * x, past, 0.75), past, strict=True):
        torch.testing.assert_close(now, 1.25 * before, rtol=1e-4, atol=1e-4)


def test_the_deviation_is_found_beside_a_mean_of_fifty_times_its_size() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 4, 180, 320) + 50
    deviation, mean = held(x, NO_PAST, 0)
    expected = (x.double().var((2, 3), correction=0, keepdim=True) + NORM_EPS).sqrt()
    torch.testing.assert_close(deviation.double(), expected, rtol=2e-3, atol=0)
    torch.testing.assert_close(mean.double(), x.double().mean((2, 3), keepdim=True), rtol=1e-5, atol=0)


def test_each_code_of_a_batch_applies_to_its_own_picture() -> None:
    torch.manual_seed(0)
    generator = Generator(SMALL).eval()
    x = torch.rand(2, 3, 32, 40)
    codes = generator.layout.neutral() + 0.5 * torch.randn(2, generator.layout.size)
    field = torch.from_numpy(canvas(32, 40))[None].expand(2, -1, -1, -1)
    with torch.no_grad():
        together = generator(x, codes, field)
        apart = torch.cat([generator(x[i : i + 1], codes[i : i + 1], field[:1]) for i in range(2)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(codes[0], codes[1])


def test_flat_pictures_on_a_flat_canvas_get_no_frame_at_their_edges() -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig()).eval()
    x = torch.full((1, 3, 64, 64), 0.7)
    with torch.no_grad():
        y = generator(x, generator.layout.neutral()[None], torch.zeros(1, CANVAS_CHANNELS, 8, 8))
    assert float(y.std(dim=(2, 3)).max()) < 1e-4


def test_frames_are_rounded_and_clipped_not_wrapped() -> None:
    generator = Generator(SMALL).eval()
    for parameter in generator.parameters():
        torch.nn.init.zeros_(parameter)
    codes = torch.zeros(2, generator.layout.size)
    codes[0, -3:] = torch.tensor([1.7, -0.4, 100.6 / 255])  # the offset of the direct path
    frames = torch.randint(0, 256, (1, 16, 16, 3), dtype=torch.uint8)
    styled = painted(generator, frames, codes)
    assert styled.dtype == torch.uint8
    assert styled[0, 3, 5].tolist() == [255, 0, 101]


def test_the_direct_path_alone_is_the_identity() -> None:
    generator = Generator(SMALL).eval()
    torch.nn.init.zeros_(generator.up2.weight)
    torch.nn.init.zeros_(generator.up2.bias)
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 24, 32, 3), np.uint8))
    codes = generator.layout.neutral().expand(2, -1)
    assert torch.equal(painted(generator, frames, codes), frames)


def test_a_mask_of_0_paints_with_the_first_code_and_of_255_with_the_second() -> None:
    torch.manual_seed(0)
    generator = Generator(SMALL).eval()
    frames = torch.randint(0, 256, (1, 32, 40, 3), dtype=torch.uint8)
    first, second = generator.layout.neutral() + 0.5 * torch.randn(2, generator.layout.size)
    both = torch.stack([first, second])
    mask = torch.full((1, 1, 16, 20), 255, dtype=torch.uint8)
    assert torch.equal(painted(generator, frames, both), painted(generator, frames, first.expand(2, -1)))
    inside = painted(generator, frames, both, mask).int() - painted(generator, frames, second.expand(2, -1))
    assert inside.abs().max() <= 1  # first + (second - first) is second but for the last bit
    assert not torch.equal(first, second)


def test_a_canvas_is_the_top_left_part_of_its_fields() -> None:
    drawn = fields(64, 96)
    assert drawn.woven.shape[1:] == (64, 64), "those of a small frame are larger"
    np.testing.assert_array_equal(canvas(64, 96)[:WOVEN_CHANNELS], drawn.woven[:, :8, :12])
    assert not np.array_equal(canvas(64, 96, seed=1), canvas(64, 96))


def test_every_channel_of_the_canvas_has_the_size_that_the_network_expects() -> None:
    deviations = np.mean([canvas(512, 768, seed).std(axis=(1, 2)) for seed in range(4)], axis=0)
    patterns = deviations[WOVEN_CHANNELS:].reshape(PATTERNS, -1).mean(axis=1)
    joints = slice(2, 4)  # 0 or 1
    assert (patterns[joints] > 0.2).all()
    assert np.delete(patterns, joints) == pytest.approx(1, abs=0.15)
    np.testing.assert_allclose(deviations[:WOVEN_CHANNELS], 1, atol=0.25)


@pytest.mark.parametrize("size", [(64, 64), (72, 104)])
def test_the_discriminator_judges_patches_by_style(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(3).eval()
    x = torch.rand(2, 3, *size)
    first, second = (discriminator(x, torch.tensor([s, s])) for s in (0, 1))
    assert first.shape == (2, 1, size[0] // 8, size[1] // 8)
    assert not torch.allclose(first, second)


def test_a_config_survives_its_manifest() -> None:
    config = GeneratorConfig(widths=(8, 16, 32), blocks=2, kernel=7)
    assert GeneratorConfig.from_json(config.to_json()) == config
