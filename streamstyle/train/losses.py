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
_EDGE_VARIANCE = 0.03**2  # of a photo's tones within 24 x 24 pixels; half as flat a place as a plain wall
_FINE_SIDE = 9  # of the mean that leaves what is finer, in means of 2 x 2 pixels
_DETAIL_VARIANCE = 0.07**2  # of tones within 24 x 24 pixels, where patterns would hide what is seen
_DETAIL_SHARE = 0.4  # of a pattern's strength that such places may have
_HALO_RADII = (2, 4)  # of halos, in means of 8 x 8 pixels
_HALO_NOISE = 0.01**2
_TONE_VARIANCE = 0.1**2
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
    the painting has somewhere. Sides must be multiples of 4.
    """

    photo, painted = (_chroma(F.avg_pool2d(x, 4)) for x in (content, output))
    strength, saturation = ((x.square().sum(1) + _EPS).sqrt() for x in (photo, painted))
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


def halo_loss(output: Tensor, content: Tensor, cells: Tensor) -> Tensor:
    """Mean variance of the painting's colours on flat places of the photo that the nearness of an edge
    explains, beyond what the photo's colours and the cells of the canvas explain: pictures (B, 3, H, W), H
    and W multiples of 8, and cells (B, K, H/8, W/8) of deviation 1.

    A halo: the wall beside a person is lighter, or of another colour, than the wall far away. Nearness, on
    means of 8 x 8 pixels: what a blur adds to the photo's brightness, and a blur of where the photo is not
    flat, of two radii each. The sum of squares that these add to a weighted linear regression (Frisch and
    Waugh 1933), the weights near 1 on flat places and near 0 at edges.
    """

    def blurred(x: Tensor, radius: int) -> Tensor:
        side = 2 * radius + 1
        for _ in range(2):
            x = F.avg_pool2d(F.pad(x, (radius,) * 4, mode="replicate"), side, stride=1)
        return x

    photo, painted = F.avg_pool2d(content, 8), F.avg_pool2d(output, 8)
    flat = _flat(content, _EDGE_VARIANCE)
    luma = photo.mean(dim=1, keepdim=True)
    near = [x for r in _HALO_RADII for x in (blurred(luma, r) - luma, blurred(1 - flat, r))]

    def centred(x: Tensor) -> Tensor:
        mean = (flat * x).sum((2, 3), keepdim=True) / (flat.sum((2, 3), keepdim=True) + _EPS)
        return ((x - mean) * flat.sqrt()).flatten(2)

    def covariance(a: Tensor, b: Tensor) -> Tensor:
        products: Tensor = a @ b.transpose(1, 2)
        return products / a.shape[2]

    def fit(a: Tensor, b: Tensor) -> Tensor:
        noise = _HALO_NOISE * torch.eye(a.shape[1], device=a.device)
        slopes: Tensor = torch.linalg.solve(covariance(a, a) + noise, covariance(a, b))
        return slopes

    known = centred(torch.cat([photo, _CELL_DEVIATION * cells], dim=1))
    beside = centred(torch.cat(near, dim=1))
    beside = beside - fit(known, beside).transpose(1, 2) @ known
    colours = centred(painted)
    explained: Tensor = (covariance(beside, colours) * fit(beside, colours)).sum(dim=1)
    return explained.mean()


def facet_loss(output: Tensor, content: Tensor, facets: Tensor, strength: Tensor) -> Tensor:
    """Mean max(0, strength - |slopes|)^2, slopes those of the painting's brightness over both patterns of
    facets: pictures (B, 3, H, W), facets (B, 2, H/8, W/8), strength (B,).

    Statistics of features hardly tell a wall of facets from an empty one; a person does at once.
    """
    brightness, photo = (F.avg_pool2d(x, 8).mean(1, keepdim=True) for x in (output, content))
    return F.relu(strength - _norm(_slopes(brightness, photo, facets))).square().mean()


def tint_loss(output: Tensor, content: Tensor, numbers: Tensor, strength: Tensor) -> Tensor:
    """The same of the painting's chroma over fields (B, K, H/s, W/s) of the canvas, on means of s x s pixels:
    cells of a wall, or brush strokes, get colours of the painting, which else would lie there as one mean."""
    side = output.shape[3] // numbers.shape[3]
    painted, photo = (F.avg_pool2d(x, side) for x in (output, content))
    slopes = _norm(_slopes(_chroma(painted), photo.mean(1, keepdim=True), numbers))
    return F.relu(strength - slopes).square().mean()


def pattern_loss(output: Tensor, content: Tensor, kinds: Sequence[Tensor], strengths: Tensor) -> Tensor:
    """Sum over kinds of patterns of max(0, |strength| - slope)^2, or slope^2 where no strength is asked, the
    slope that of the painting's brightness over the patterns: pictures (B, 3, H, W), of each kind
    (B, K, H/2, W/2), and strengths (B, kinds). Below 0: patterns shall be dark, as leads between glass are.

    Brush strokes in one style, hatching in another, and no cells in either: statistics of features are
    content with cells everywhere. That is of flat places of the photo; in details, such as eyes, it is
    max(0, slope - _DETAIL_SHARE |strength|)^2. What varies within 18 pixels counts: no bright regions.
    """

    def fine(x: Tensor) -> Tensor:
        return x - F.avg_pool2d(x, _FINE_SIDE, 1, _FINE_SIDE // 2, count_include_pad=False)

    brightness, photo = (fine(F.avg_pool2d(x, 2).mean(1, keepdim=True)) for x in (output, content))
    flat = _flat(content, _DETAIL_VARIANCE)
    places, share, asked = F.interpolate(flat, brightness.shape[2:]), flat.mean((1, 2, 3)), strengths.abs()
    fields = [fine(kind) for kind in kinds]
    there, in_details = ([_slopes(brightness, photo, x, at) for x in fields] for at in (places, 1 - places))
    either, crossing = (torch.stack([_norm(x) for x in slopes], dim=1) for slopes in (there, in_details))
    dark = torch.stack([-of_kind.sum((1, 2)) / of_kind.shape[1] ** 0.5 for of_kind in there], dim=1)
    missed = F.relu(asked - torch.where(strengths < 0, dark, either))
    unmet = torch.where(strengths == 0, either, missed).square().sum(dim=1)
    beyond = F.relu(crossing - _DETAIL_SHARE * asked).square().sum(dim=1)
    return (share * unmet + (1 - share) * beyond).mean()


def tone_loss(output: Tensor, content: Tensor, strength: Tensor) -> Tensor:
    """Mean max(0, strength - slope)^2, the slope that of the painting's brightness over the photo's, on means
    of 8 x 8 pixels: pictures (B, 3, H, W), strength (B,). A photo of contrast 0.1 counts half.

    In a dark painting a person and a white wall become equally dark, as all statistics of the painting ask.
    """
    painted, photo = (F.avg_pool2d(x, 8).mean(1).flatten(1) for x in (output, content))
    along = photo - photo.mean(1, keepdim=True)
    variance = along.square().mean(1)
    slope = (along * painted).mean(1) / (variance + _EPS)
    contrast = variance / (variance + _TONE_VARIANCE)
    return (contrast * F.relu(strength - slope).square()).mean()


def _norm(slopes: Tensor) -> Tensor:
    """(B, K, C) to (B,)."""
    return (slopes.square().sum((1, 2)) + _EPS).sqrt()


def _slopes(tones: Tensor, photo: Tensor, fields: Tensor, weights: Tensor | None = None) -> Tensor:
    """Slopes (B, K, C) of tones (B, C, h, w) over fields (B, K, h, w), less what these share with the photo's
    brightness (B, 1, h, w): so it does not matter where the photo is bright. weights: (B, 1, h, w) of places,
    all alike by default."""
    of_places = torch.ones_like(photo) if weights is None else weights
    total = of_places.sum((2, 3), keepdim=True) + _EPS

    def centred(x: Tensor) -> Tensor:
        mean = (of_places * x).sum((2, 3), keepdim=True) / total
        return ((x - mean) * of_places.sqrt()).flatten(2)

    bright, along = centred(photo), centred(fields)
    shared = (along * bright).sum(2, keepdim=True) / (bright.square().sum(2, keepdim=True) + _EPS)
    along = along - shared * bright
    along = along / (along.square().sum(2, keepdim=True) + _EPS)
    return along @ centred(tones).transpose(1, 2)


def _flat(content: Tensor, variance: float) -> Tensor:
    """How flat places of photos (B, 3, H, W) are, (B, 1, H/8, W/8): 1 on a plain wall, 1/2 where tones within
    24 x 24 pixels have that variance, near 0 at edges."""
    photo = F.avg_pool2d(content, 8)
    padded = F.pad(photo, (1, 1, 1, 1), mode="replicate")
    between = F.avg_pool2d(padded.square(), 3, 1) - F.avg_pool2d(padded, 3, 1).square()
    inside = F.avg_pool2d(content.square(), 8) - photo.square()
    found = (between + inside).mean(dim=1, keepdim=True)
    return 1 / (1 + (found / variance).square())


def _chroma(x: Tensor) -> Tensor:
    """Red - green, and yellow - blue (Hasler and Suesstrunk 2003, eq. 1 and 2): (B, 3, h, w) to
    (B, 2, h, w)."""
    red, green, blue = x.unbind(1)
    return torch.stack([red - green, (red + green) / 2 - blue], dim=1)


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
