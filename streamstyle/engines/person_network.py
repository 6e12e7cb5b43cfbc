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
_ENLARGED_AND_CONVOLVED = ["Interpolate", "Transpose", "Convolution", "Add"]
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
            model = _of_bytes(_convolved_small(reader.convert(reader.load(str(path)))))
            self._request = core.compile_model(model, "CPU", _OPTIONS).create_infer_request()
        except RuntimeError as error:
            raise EngineError(
                f"the model {path} cannot be compiled by OpenVINO {openvino.__version__}: install another "
                "version, or leave the region out"
            ) from error

    def foreground(self, picture: Picture) -> NDArray[np.float32]:
        """Share of each pixel that belongs to a person: (144, 256), 0..1, of RGB (144, 256, 3). The array
        is overwritten by the next call."""
        self._request.infer([picture[None]], share_inputs=True)
        return self._request.get_output_tensor(0).data[0, ..., 0]  # type: ignore[no-any-return]


def _of_bytes(model: Any) -> Any:
    """The model with RGB in 0..255 as its input, where it takes 0..1."""
    from openvino import Type
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(Type.u8)
    steps.input().preprocess().convert_element_type(Type.f32).scale(255.0)
    return steps.build()


def _convolved_small(model: Any) -> Any:
    """The model with its 1x1 convolutions before the bilinear enlargements that they follow, at a quarter of
    the pixels. The result is the same, since the weights of an enlargement add up to 1 at every pixel."""
    from openvino import opset8 as ops

    for enlarged in model.get_ordered_ops():
        chain = _only_users(enlarged, 3)
        if [node.get_type_name() for node in (enlarged, *chain)] != _ENLARGED_AND_CONVOLVED:
            continue
        planes, _, convolved = chain
        users = convolved.output(0).get_target_inputs()
        planes.input(0).replace_source_output(enlarged.input_value(0))
        enlarged.input(0).replace_source_output(ops.transpose(convolved, np.array([0, 2, 3, 1])).output(0))
        wide = ops.transpose(enlarged, np.array([0, 3, 1, 2])).output(0)
        for user in users:
            user.replace_source_output(wide)
    model.validate_nodes_and_infer_types()
    return model


def _only_users(node: Any, count: int) -> list[Any]:
    """The nodes after this one, up to `count`, as long as each is the only user of the one before."""
    found: list[Any] = []
    while len(found) < count and len(users := node.output(0).get_target_inputs()) == 1:
        node = users.pop().get_node()
        found.append(node)
    return found


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
