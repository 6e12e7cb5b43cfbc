"""Training losses: each one function on tensors, with its formula and source.

Pictures are RGB (B, 3, H, W) float, nominally in [0, 1]. Every function returns a scalar.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

_EPS = 1e-8
_FLATNESS_NOISE = 0.02**2  # variance that a plain wall has in a photo
_FLATNESS_GAIN = 3.0  # variance of a painting's tones over that of the photo's
_CELL_DEVIATION = 0.1  # of tones; as strong a guide as a photo of that contrast
_FACET_VARIANCE = 0.2**2  # that facets may have on a plain wall
_COS_OF_FREE_HUE = 0.5
_NEUTRAL_CHROMA = 0.1  # of walls and clouds in a photo, whose hue is nobody's
_FLATNESS_TOLERANCE = 0.04**2  # variance that strokes may have on a plain wall, seen in means of 8 x 8 pixels


def gram(features: Tensor) -> Tensor:
    """Gram matrix (B, C, C) of features (B, C, h, w), divided by h*w (Gatys et al. 2016, eq. 3)."""
    flat = features.float().flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def pyramid(x: Tensor, octaves: int) -> Iterator[Tensor]:
    """The picture (B, C, H, W), then its halves by means of 2x2 pixels: `octaves` pictures."""
    yield x
    for _ in range(octaves - 1):
        x = F.avg_pool2d(x, 2)
        yield x


def layers_at(octave: int, layers: Sequence[str]) -> Sequence[str]:
    """Layers to compare at an octave: at the full size the deepest, of several, says little that the one
    before it does not say at half the size, and takes 40 % of the time."""
    return layers[:-1] if octave == 0 and len(layers) > 1 else layers


def gram_loss(output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
    """Relative Gram error, mean over layers and batch: |G_o - G_s|_F^2 / |G_s|_F^2.

    output, target: {layer: Gram matrices (B, C, C)}. Gatys et al. 2016, eq. 4, divided by the target's norm
    so that no layer outweighs the others.
    """
    per_layer = [
        (output[name] - g).square().sum((1, 2)) / (g.square().sum((1, 2)) + _EPS)
        for name, g in target.items()
    ]
    return torch.stack(per_layer).mean()


def content_loss(output: Tensor, content: Tensor, weights: Tensor | float = 1.0) -> Tensor:
    """Relative squared feature error |F_o - F_c|^2 / |F_c|^2 (Johnson et al. 2016, eq. 2), times `weights`
    (B,) of the pictures."""
    error = (output - content).square().sum((1, 2, 3))
    return (weights * error / (content.square().sum((1, 2, 3)) + _EPS)).mean()


def neighbour_loss(output: Tensor, content: Tensor, places: Tensor) -> Tensor:
    """Cosine distance of each position's features to the nearest ones in the painting, less its mean:
    (B, C, h, w), the photo's of the same shape, and the painting's (B, M, C).

    Kolkin et al. 2022 (Neural Neighbor Style Transfer), section 3.2. Nearest to the mean of output and photo:
    with the output alone, a face that was green once would stay so. Where Gram matrices ask for a painting's
    statistics in every crop, and get dirt on plain walls, this asks for one place of the painting at each
    place of the picture. A squared distance would make the network paint the grey mean of what may come.
    """

    def centred(x: Tensor, mean: Tensor) -> Tensor:
        return F.normalize(x - mean, dim=2)

    positions = output.flatten(2).transpose(1, 2)
    middle = places.mean(dim=1, keepdim=True)
    keys = centred(places, middle)
    with torch.no_grad():
        seen = positions + content.flatten(2).transpose(1, 2)
        nearest = (centred(seen, seen.mean(dim=1, keepdim=True)) @ keys.transpose(1, 2)).argmax(dim=2)
        target = keys.gather(1, nearest[..., None].expand(-1, -1, keys.shape[2]))
    return 1 - (centred(positions, middle) * target).sum(dim=2).mean()


def total_variation(x: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels (anisotropic; Mahendran and Vedaldi 2015)."""
    dx = x[..., :, 1:] - x[..., :, :-1]
    dy = x[..., 1:, :] - x[..., :-1, :]
    return dx.square().mean() + dy.square().mean()


def range_loss(x: Tensor) -> Tensor:
    """Mean squared distance to [0, 1]: clipping must not hide a drifting output."""
    return (x - x.clamp(0, 1)).square().mean()


def no_flow_loss(output: Tensor, output_next: Tensor, frame: Tensor, frame_next: Tensor) -> Tensor:
    """Mean |(O_{t+1} - O_t) - (I_{t+1} - I_t)|: the painting changes as much as the photo does.

    For pairs without motion (noise, exposure). Needs no flow, hence the name; "Consistent Video Style
    Transfer via Relaxation and Regularization", Wang et al. 2020, section III-C, in L1.
    """
    return ((output_next - output) - (frame_next - frame)).abs().mean()


def luminance_warp_loss(
    output_next: Tensor, output_warped: Tensor, frame_next: Tensor, frame_warped: Tensor, mask: Tensor
) -> Tensor:
    """Mean |(O_{t+1} - W O_t) - Y(I_{t+1} - W I_t)| over pixels that exist in both frames.

    ReCoNet's output-level temporal loss (Gao et al. 2018, eq. 7), in L1: a brighter photo may make the
    painting brighter, by as much, in every channel. The warp W is exact because the motion was
    synthesised. Y: BT.709 relative luminance. mask: (B, 1, H, W) in {0, 1}.
    """
    weights = output_next.new_tensor([0.2126, 0.7152, 0.0722])[None, :, None, None]
    brighter = ((frame_next - frame_warped) * weights).sum(dim=1, keepdim=True)
    error = ((output_next - output_warped) - brighter).abs() * mask
    return error.sum() / (mask.sum() * output_next.shape[1] + _EPS)


def motion_blur_loss(output: Tensor, output_shaken: Tensor) -> Tensor:
    """Mean |O_shaken - O|: a frame that a shaken camera blurred is painted as the sharp one beside it.

    Strokes that follow edges which single frames of a hand-held film lack come and go with those frames.
    Both sides learn: the sharp painting leans on what survives the blur.
    """
    return (output_shaken - output).abs().mean()


def grid_loss(x: Tensor) -> Tensor:
    """Var / mean^2 over the 16 pixel phases (x mod 4, y mod 4) of the batch's mean |Laplacian|.

    0 where fine detail does not depend on the pixel grid; the differentiable sibling of
    `metrics.grid.grid_contrast`. Sides must be multiples of 4.
    """
    kernel = x.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    luma = x.mean(dim=1, keepdim=True)
    detail = F.conv2d(F.pad(luma, (1, 1, 1, 1), mode="replicate"), kernel).abs()
    phases = F.pixel_unshuffle(detail, 4).mean(dim=(0, 2, 3))
    return phases.var() / (phases.mean().square() + _EPS)


def regularity(x: Tensor, side: int = 64) -> Tensor:
    """Likeness of windows of a picture to a lattice or a grille: (B, windows).

    ln(mean(p^2) / mean(p)^2) over the frequencies with a period of 4 to side/2 pixels, p the power spectrum
    of luma under a Hann window times the squared frequency (which makes photos' spectra flat; Field 1987).
    Noise gives about 0.7, a single wave about 4. Sides of `x` must be multiples of side/2.
    """
    luma = x.mean(dim=1, keepdim=True)
    windows = F.unfold(luma, side, stride=side // 2).transpose(1, 2)
    windows = windows.reshape(*windows.shape[:2], side, side)
    hann = torch.hann_window(side, periodic=False, device=x.device)
    windows = (windows - windows.mean(dim=(2, 3), keepdim=True)) * hann[:, None] * hann
    frequency = torch.fft.fftfreq(side, device=x.device)[:, None].square()
    frequency = frequency + torch.fft.rfftfreq(side, device=x.device).square()
    band = (frequency >= (2 / side) ** 2) & (frequency <= 0.25**2)
    power = (torch.fft.rfft2(windows).abs().square() * frequency)[..., band]
    seen = (0.01 * side) ** 2 * (2 / side) ** 2  # ripples below 1/100 do not count
    peaked: Tensor = (power.square().mean(2) + seen**2).log() - 2 * (power.mean(2) + seen).log()
    return peaked


def lattice_loss(output: Tensor, content: Tensor, painting: Tensor) -> Tensor:
    """Mean max(0, R_o - max(R_c, mean R_s)), R the `regularity` of each window: strokes that repeat like
    wallpaper, where neither photo nor painting does.

    A network that shares its kernels among all styles likes to fill walls and skies with one wave, which
    statistics of features hardly see. In the spirit of Liu et al. 2016 (Texture synthesis through
    convolutional neural networks and spectrum constraints).
    """
    with torch.no_grad():
        allowed = torch.maximum(regularity(content), regularity(painting).mean(dim=1, keepdim=True))
    return F.relu(regularity(output) - allowed).mean()


def hue_loss(output: Tensor, content: Tensor) -> Tensor:
    """Mean max(0, |P||Q| cos 60 - P . Q) of the chroma P of the photo, less 0.1, and Q of the painting, in
    means of 4 x 4 pixels: colours further than 60 degrees from a coloured thing's cost as much as both are
    strong.

    What Gram matrices want of a painting's colours, they do not say where: a face then gets the green that
    the painting has somewhere. Chroma: red - green, and yellow - blue (Hasler and Suesstrunk 2003, eq. 1 and
    2), (B, 2, h, w). Sides must be multiples of 4.
    """

    def chroma(x: Tensor) -> tuple[Tensor, Tensor]:
        red, green, blue = F.avg_pool2d(x, 4).unbind(1)
        of = torch.stack([red - green, (red + green) / 2 - blue], dim=1)
        return of, (of.square().sum(1) + _EPS).sqrt()

    (photo, strength), (painted, saturation) = chroma(content), chroma(output)
    coloured = F.relu(1 - _NEUTRAL_CHROMA / strength)
    return (coloured * F.relu(strength * saturation * _COS_OF_FREE_HUE - (photo * painted).sum(1))).mean()


def flatness_loss(output: Tensor, content: Tensor, cells: Tensor) -> Tensor:
    """Mean squared residual of each colour's best affine fit to the photo's colours and the cells of the
    canvas, in windows of 7 x 7 means of 8 x 8 pixels, or of all that there are: pictures (B, 3, H, W), H and
    W multiples of 8, and cells (B, K, H/8, W/8) of deviation 1.

    Zero where tones follow the photo's, or make facets. What else varies on a plain wall, as a halo or a blot
    does, cannot be fitted. Grain of wood can, but must not become dark patches: beyond three times the
    photo's variance, and some for facets, what is explained counts as well. Strokes of less than 8 pixels are
    not seen at this size. The matting Laplacian of Levin et al. 2008 (eq. 10, by window sums), as Luan et al.
    2017 (Deep photo style transfer, eq. 2) use it.
    """
    photo, painted = F.avg_pool2d(content, 8), F.avg_pool2d(output, 8)
    guide = torch.cat([photo, _CELL_DEVIATION * cells], dim=1)
    window = min(7, *guide.shape[2:])

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, window, stride=2)

    def covariance(a: Tensor, b: Tensor) -> Tensor:
        products = (a[:, :, None] * b[:, None]).flatten(1, 2)
        of_means = (mean(a)[:, :, None] * mean(b)[:, None]).flatten(1, 2)
        windows = (mean(products) - of_means).movedim(1, 3)
        return windows.reshape(*windows.shape[:3], a.shape[1], b.shape[1])

    noise = _FLATNESS_NOISE * torch.eye(guide.shape[1], device=output.device)
    within, across = covariance(guide, guide), covariance(guide, painted)
    explained = (across * torch.linalg.solve(within + noise, across)).sum(dim=3)
    variance = within.diagonal(dim1=3, dim2=4)[..., : photo.shape[1]].mean(dim=3, keepdim=True)
    residual: Tensor = covariance(painted, painted).diagonal(dim1=3, dim2=4) - explained
    allowed = _FLATNESS_GAIN * variance + _FACET_VARIANCE
    unlike = residual + F.relu(explained - allowed)
    return F.relu(unlike - _FLATNESS_TOLERANCE).mean()


def facet_loss(output: Tensor, content: Tensor, facets: Tensor, strength: Tensor) -> Tensor:
    """Mean max(0, strength - |slopes|)^2, slopes those of the painting's brightness over both patterns of
    facets, on means of 8 x 8 pixels: pictures (B, 3, H, W), facets (B, 2, H/8, W/8), strength (B,).

    A partial regression, so that it does not matter where the photo is bright. Statistics of features hardly
    tell a wall of facets from an empty one; a person does at once.
    """

    def centred(x: Tensor) -> Tensor:
        return (x - x.mean((2, 3), keepdim=True)).flatten(2)

    photo, painted = (centred(F.avg_pool2d(x, 8).mean(1, keepdim=True)) for x in (content, output))
    along = centred(facets)
    shared = (along * photo).sum(2, keepdim=True) / (photo.square().sum(2, keepdim=True) + _EPS)
    along = along - shared * photo
    slopes = (along * painted).sum(2) / (along.square().sum(2) + _EPS)
    return F.relu(strength - (slopes.square().sum(1) + _EPS).sqrt()).square().mean()


def generator_hinge(fake_logits: Tensor) -> Tensor:
    """-E[D(fake)] (Lim and Ye 2017, eq. 3)."""
    return -fake_logits.mean()


def discriminator_hinge(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))] (Lim and Ye 2017, eq. 4)."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def r1_penalty(real_logits: Tensor, real: Tensor) -> Tensor:
    """E[|grad_x D(x)|^2] / 2 on real pictures (Mescheder et al. 2018, eq. 9, without gamma).

    real_logits: (B, 1, h, w) of `real` (B, 3, H, W), which requires a gradient. Squared norms are divided
    by the number of patches, so that one gamma fits every size of crop.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean() / real_logits[0].numel() / 2


def identity_loss(output: Tensor, content: Tensor) -> Tensor:
    """Mean absolute difference: the code `original` reproduces the photo."""
    return (output - content).abs().mean()
