"""The network that finds people: mediapipe's selfie segmentation, on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.openvino_engine import import_openvino
from streamstyle.errors import EngineError
from streamstyle.types import Picture

SIZE = (144, 256)
"""(height, width) of the picture that the network takes and of the mask that it gives."""

_OPERATOR = "Convolution2DTransposeBias"  # mediapipe's own; TensorFlow Lite has none with a bias
# Of the operator's only use. Its options hold them too, which OpenVINO does not hand to Python.
_STRIDE = 2
# The network is small: a second thread would cost more than it brings.
_OPTIONS = {
    "INFERENCE_NUM_THREADS": 1,
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_PRECISION_HINT": "f32",
}


class PersonNetwork:
    """One compiled graph, used from one thread."""

    def __init__(self, path: Path) -> None:
        """path: the TensorFlow Lite file of `streamstyle models get person`. Raises EngineError."""
        openvino = import_openvino()
        core = openvino.Core()
        from openvino.frontend import ConversionExtension, FrontEndManager

        try:
            reader = FrontEndManager().load_by_framework("tflite")
            reader.add_extension(ConversionExtension(_OPERATOR, _transposed_convolution))
            model = reader.convert(reader.load(str(path)))
            self._request = core.compile_model(model, "CPU", _OPTIONS).create_infer_request()
        except RuntimeError as error:
            raise EngineError(
                f"the model {path} cannot be compiled by OpenVINO {openvino.__version__}: install another "
                "version, or leave the region out"
            ) from error
        self._input = np.empty((1, *SIZE, 3), np.float32)

    def foreground(self, picture: Picture) -> NDArray[np.float32]:
        """Share of each pixel that belongs to a person: (144, 256), 0..1, of RGB (144, 256, 3). The array
        is overwritten by the next call."""
        np.multiply(picture, np.float32(1 / 255), out=self._input[0])
        self._request.infer([self._input], share_inputs=True)
        return self._request.get_output_tensor(0).data[0, ..., 0]  # type: ignore[no-any-return]


def _transposed_convolution(node: Any) -> list[Any]:
    """mediapipe's operator in OpenVINO's: input NHWC, weight (1, 2, 2, in), bias (1,).

    Windows of 2x2 at strides of 2 do not overlap: the values of a window are four channels of a convolution
    of 1x1, which takes a quarter of the time.
    """
    from openvino import opset8 as ops

    values, weight, bias = (node.get_input(number) for number in range(3))
    planes = ops.transpose(values, np.array([0, 3, 1, 2]))
    kernel = ops.reshape(weight, np.array([_STRIDE * _STRIDE, -1, 1, 1]), special_zero=False)
    windows = ops.convolution(planes, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    wide = ops.depth_to_space(windows, "blocks_first", _STRIDE)
    return [ops.add(ops.transpose(wide, np.array([0, 2, 3, 1])), bias).output(0)]
