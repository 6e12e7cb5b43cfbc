"""From a style bundle's weights to the torch network that every engine starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from streamstyle.errors import ModelError
from streamstyle.nets.generator import FrameGenerator, GeneratorConfig


def frame_generator(
    architecture: Mapping[str, Any], weights: Mapping[str, NDArray[np.generic]]
) -> FrameGenerator:
    """Build the fp32 network of a bundle, in evaluation mode. Raises ModelError where they disagree."""
    try:
        generator = GeneratorConfig.from_json(architecture).create()
        tensors = {k: torch.from_numpy(np.asarray(v, np.float32)) for k, v in weights.items()}
        generator.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"the bundle's weights do not fit its architecture: {error}") from error
    return FrameGenerator(generator.requires_grad_(False)).eval()
