"""torchvision's VGG weights (`vgg16-397923af.pth`, `vgg19-dcbb9e9d.pth` ...) as features.

A `.pth` is a pickle: it is opened with `weights_only=True`, and only in a child process, which hands back the
convolutions as safetensors. Its `main` is that child.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from streamstyle.errors import ModelError

TIME_LIMIT = 300  # seconds


def read_vgg_file(path: Path) -> dict[str, Tensor]:
    """The tensors `features.N.weight` and `.bias` of a file of torch.save, fp32.

    Raises ModelError where it holds something else.
    """
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "features.safetensors"
        # -P: a folder of downloads may hold a torch.py; the child must not import from where it stands.
        child = [sys.executable, "-P", "-m", "streamstyle.nets.vgg_file", str(path.resolve()), str(converted)]
        try:
            done = subprocess.run(child, capture_output=True, timeout=TIME_LIMIT, check=False)
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{path} could not be read within {TIME_LIMIT} s") from error
        if done.returncode != 0:
            raise ModelError(f"{path} holds no VGG weights of torchvision; download the file again")
        return load_file(converted)


def main(source: str, target: str) -> None:
    """Read `source`, write its convolutions to `target`; any failure ends the process."""
    # mmap: the classifier, nine tenths of the file, is never read.
    loaded = torch.load(source, map_location="cpu", weights_only=True, mmap=True)
    wanted = {
        name: tensor
        for name, tensor in loaded.items()
        if name.startswith("features.") and isinstance(tensor, Tensor)
    }
    if "features.0.weight" not in wanted:
        sys.exit("no VGG")
    save_file({name: tensor.float().contiguous().clone() for name, tensor in wanted.items()}, target)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
