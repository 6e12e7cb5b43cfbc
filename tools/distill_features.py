"""Train a feature network that the package ships to answer as another one does.

python3 tools/distill_features.py --teacher FILE --pictures DIR [DIR ...] -o OUT.safetensors [--steps N]

The student of SqueezeNet has its architecture up to `fire7`; the student of a VGG has the same layers up to
`relu3_1`, and half the channels in those that no loss reads. Its weights begin random, and it sees only the
given pictures. Its loss is the relative squared error of every layer that it shares with the teacher. Every
tenth picture is kept out and measured. The last line of output is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from streamstyle.nets.features import PerceptualFeatures, SqueezeNetFeatures

_FIRES = ("conv1", "fire2", "fire3", "fire4", "fire5", "fire6", "fire7")
_RELUS = ("relu1_1", "relu2_1", "relu3_1")
_NARROW_VGG = {0: (3, 64), 2: (64, 32), 5: (32, 128), 7: (128, 64), 10: (64, 256)}  # channels in and out
_CROP, _RATE = 96, 0.05


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    environment.enter()
    import numpy as np
    import torch

    from streamstyle.nets.features import SqueezeNetFeatures, load_features
    from streamstyle.train.checkpoint import save_tensors
    from streamstyle.train.data import read_folder

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    teacher = load_features(arguments.teacher)
    if isinstance(teacher, SqueezeNetFeatures):
        student: PerceptualFeatures = fresh_squeezenet(teacher)
        layers: Sequence[str] = _FIRES
    else:
        student, layers = fresh_vgg(), _RELUS
    pictures = [p for folder in arguments.pictures for p in read_folder(folder, min_side=_CROP).pictures]
    kept_out, pictures = pictures[::10], [p for i, p in enumerate(pictures) if i % 10]
    # Tensors differ in size by orders of magnitude (conv1 sees 0..255); Adam's steps must not.
    rates = [_RATE * (float(tensor.detach().std()) or 0.1) for tensor in student.parameters()]
    groups = [{"params": [p], "lr": r} for p, r in zip(student.parameters(), rates, strict=True)]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=arguments.steps, pct_start=0.05
    )
    started = time.perf_counter()
    for step in range(1, arguments.steps + 1):
        terms = errors(teacher, student, layers, draw(pictures, arguments.batch, rng))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == arguments.steps:
            text = " ".join(f"{n} {float(t.detach()):.3f}" for n, t in terms.items())
            print(f"{step}/{arguments.steps} {time.perf_counter() - started:.0f} s: {text}", flush=True)
            save_tensors(arguments.out, half(student), {})
    with torch.no_grad():
        measured = errors(teacher, student, layers, draw(kept_out, 64, rng))
    error = {name: round(float(term), 4) for name, term in measured.items()}
    print(json.dumps({"steps": arguments.steps, "relative_error": error}))


def fresh_squeezenet(teacher: SqueezeNetFeatures) -> SqueezeNetFeatures:
    """The teacher's architecture with random weights, each tensor of the teacher's standard deviation."""
    import torch

    from streamstyle.nets.features import SqueezeNetFeatures

    weights = {}
    for name, tensor in teacher.state_dict().items():
        if name.split(".")[0] in _FIRES:
            weights[_public_name(name)] = torch.zeros_like(tensor)
            if name.endswith("weight"):
                weights[_public_name(name)].normal_(0, float(tensor.std()))
    return SqueezeNetFeatures(weights).requires_grad_(True)


def fresh_vgg() -> PerceptualFeatures:
    """A VGG up to `relu3_1` with two narrow layers, random weights (He et al. 2015, eq. 10) and no bias."""
    import torch

    from streamstyle.nets.features import VggFeatures

    weights = {}
    for index, (c_in, c_out) in _NARROW_VGG.items():
        weights[f"features.{index}.weight"] = torch.randn(c_out, c_in, 3, 3) * (2 / (9 * c_in)) ** 0.5
        weights[f"features.{index}.bias"] = torch.zeros(c_out)
    return VggFeatures(weights).requires_grad_(True)


def draw(pictures: list[NDArray[np.uint8]], count: int, rng: np.random.Generator) -> Tensor:
    """Random crops, turned and recoloured: (count, 3, S, S) in [0, 1]."""
    import torch

    from streamstyle.train.data import random_crop, to_tensor, vary_colour

    chosen = [pictures[i] for i in rng.integers(0, len(pictures), count)]
    crops = [random_crop(p, _CROP, rng, max_zoom=3.0, max_angle=15) for p in chosen]
    return torch.stack([to_tensor(vary_colour(c, rng)) for c in crops])


def errors(
    teacher: PerceptualFeatures, student: PerceptualFeatures, layers: Sequence[str], x: Tensor
) -> dict[str, Tensor]:
    """Relative squared error of each layer."""
    import torch

    with torch.no_grad():
        want = teacher(x, layers)
    have = student(x, layers)
    return {n: (have[n] - want[n]).square().sum() / want[n].square().sum() for n in layers}


def _public_name(name: str) -> str:
    """Name of a module's tensor in the file: `fire2.0.weight` is `fire2.squeeze1x1.weight`."""
    parts = ("squeeze1x1", "expand1x1", "expand3x3")
    layer, *rest = name.split(".")
    if layer.startswith("fire"):
        return f"{layer}.{parts[int(rest[0])]}.{rest[1]}"
    return name if layer == "conv1" else f"features.{layer.removeprefix('conv')}.{rest[0]}"


def half(student: PerceptualFeatures) -> dict[str, Tensor]:
    """The student's weights as a file holds them, fp16."""
    return {_public_name(name): tensor.half() for name, tensor in student.state_dict().items()}


if __name__ == "__main__":
    main()
