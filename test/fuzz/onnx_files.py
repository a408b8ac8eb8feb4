"""Small ONNX files to be damaged: one of the contract, one of somebody else with its sidecar."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from seg_node.classes import LANE
from seg_node.model.spec import ModelSpec

SIDECAR = """\
name: theirs
classes:
  - {name: background, colour: [0, 0, 0]}
  - {name: road, colour: [128, 64, 128]}
  - {name: lane_marking, colour: [255, 255, 255]}
head: softmax
layout: nchw
colour_order: rgb
scale: 255
mean: [0.485, 0.456, 0.406]
std: [0.229, 0.224, 0.225]
"""


def contract() -> onnx.ModelProto:
    """Scores of two classes from two colour channels, 32x16."""
    nodes = [
        helper.make_node('Transpose', ['image'], ['nchw'], perm=[0, 3, 1, 2]),
        helper.make_node('Gather', ['nchw', 'channels'], ['scores'], axis=1),
        helper.make_node('Cast', ['scores'], ['value'], to=TensorProto.FLOAT),
        helper.make_node('ReduceMax', ['value'], ['top'], axes=[1], keepdims=0),
        helper.make_node('Cast', ['top'], ['mask'], to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(
        nodes,
        'net',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, 16, 32, 3])],
        [
            helper.make_tensor_value_info('mask', TensorProto.UINT8, [1, 16, 32]),
            helper.make_tensor_value_info('scores', TensorProto.UINT8, [1, 2, 16, 32]),
        ],
        [numpy_helper.from_array(np.array([1, 2]), 'channels')],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    helper.set_model_props(model, ModelSpec('net', LANE, 'sigmoid').to_metadata())
    return model


def plain() -> onnx.ModelProto:
    """Logits of three classes, 16x8, which `SIDECAR` describes."""
    weight = np.random.default_rng(3).normal(size=(3, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node('Conv', ['x', 'w'], ['y'], pads=[1, 1, 1, 1])]
    ports = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 16])] for name in 'xy'
    ]
    graph = helper.make_graph(nodes, 'net', *ports, [numpy_helper.from_array(weight, 'w')])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
