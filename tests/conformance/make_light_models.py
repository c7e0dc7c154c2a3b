#!/usr/bin/env python3
"""Make real quantised ONNX networks to try Systole on.

The `onnx` package ships nine published networks as graphs ("light" models of its backend tests) whose weights are constants.
This script gives them seeded weights, folds nothing, and quantises them to int8 with ONNX Runtime's own static quantiser, in the
forms that people have: QDQ or QOperator, per tensor or per channel, u8 or i8 activations.

    python3 -m venv venv && venv/bin/pip install onnx==1.20.0 onnxruntime==1.23.2 numpy sympy
    venv/bin/python make_light_models.py OUT_DIR [NETWORK ...] [--mode MODE ...]

NETWORK: resnet50 squeezenet bvlc_alexnet inception_v1 inception_v2 densenet121 shufflenet vgg19 zfnet512 (default: all but vgg19).
MODE: u8s8_pc u8s8_pt s8s8_pc s8s8_pc_symact u8u8_pt u8s8_pc_qop (default: u8s8_pc s8s8_pc).
Writes OUT_DIR/NETWORK__float.onnx and OUT_DIR/NETWORK__MODE.onnx, plus NETWORK__input.npy (one seeded image, float32 NCHW).
Calibration data are smooth seeded random images: fine for exactness and timing, meaningless for accuracy.

Origin: written for this project; the graphs are the `onnx` package's (Apache-2.0), the weights are drawn here, nothing is downloaded.
"""
import argparse
import os

import numpy as np
import onnx
from onnx import numpy_helper, version_converter
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

LIGHT = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data", "light")
NETWORKS = "resnet50 squeezenet bvlc_alexnet inception_v1 inception_v2 densenet121 shufflenet vgg19 zfnet512".split()
U8, S8 = QuantType.QUInt8, QuantType.QInt8
QDQ, QOP = QuantFormat.QDQ, QuantFormat.QOperator
MODES = {
    "u8s8_pc": dict(activation_type=U8, weight_type=S8, per_channel=True, quant_format=QDQ),
    "u8s8_pt": dict(activation_type=U8, weight_type=S8, per_channel=False, quant_format=QDQ),
    "s8s8_pc": dict(activation_type=S8, weight_type=S8, per_channel=True, quant_format=QDQ),
    "s8s8_pc_symact": dict(activation_type=S8, weight_type=S8, per_channel=True, quant_format=QDQ,
                           extra_options={"ActivationSymmetric": True}),
    "u8u8_pt": dict(activation_type=U8, weight_type=U8, per_channel=False, quant_format=QDQ),
    "u8s8_pc_qop": dict(activation_type=U8, weight_type=S8, per_channel=True, quant_format=QOP),
}


def seeded_weights(path, seed):
    """Replace the ConstantOfShape weights of a light model by seeded values of a sensible spread; opset 13."""
    model = onnx.load(path)
    rng = np.random.default_rng(seed)
    initial = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    users = {}
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            users.setdefault(name, []).append((node, position))

    def role(name):
        for node, position in users.get(name, []):
            return role(node.output[0]) if node.op_type == "Unsqueeze" else (node.op_type, position)
        return ("unused", 0)

    made = []
    for node in [n for n in model.graph.node if n.op_type == "ConstantOfShape"]:
        shape = tuple(int(x) for x in initial[node.input[0]])
        kind = role(node.output[0])
        if kind in (("Conv", 1), ("Gemm", 1)):
            values = rng.normal(0, np.sqrt(2 / max(1, int(np.prod(shape[1:])))), shape)
        elif kind[0] == "BatchNormalization":
            values = {1: lambda: rng.uniform(0.7, 1.2, shape), 4: lambda: rng.uniform(0.6, 1.6, shape)}.get(
                kind[1], lambda: rng.normal(0, 0.1, shape))()
        elif kind[0] == "Mul":
            values = rng.uniform(0.8, 1.2, shape)
        else:
            values = rng.normal(0, 0.05, shape)
        made.append(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
    nodes = [n for n in model.graph.node if n.op_type != "ConstantOfShape"]
    for node in nodes:  # the quantiser leaves Sum in float, and has a quantised Add
        if node.op_type == "Sum" and len(node.input) == 2:
            node.op_type = "Add"
    used = {name for node in nodes for name in node.input}
    kept = [i for i in model.graph.initializer if i.name in used]
    names = {i.name for i in kept} | {i.name for i in made}
    inputs = [i for i in model.graph.input if i.name in used and i.name not in names]
    for field, values in ((model.graph.node, nodes), (model.graph.initializer, kept + made), (model.graph.input, inputs)):
        del field[:]
        field.extend(values)
    model.ir_version = 8
    model = version_converter.convert_version(model, 13)
    model.ir_version = 8
    return model


def image(shape, seed):
    """A smooth random image, roughly normalised: float32, NCHW."""
    rng = np.random.default_rng(seed)
    n, c, h, w = shape
    coarse = rng.normal(0, 1, (n, c, h // 8 + 2, w // 8 + 2))
    fine = np.kron(coarse, np.ones((1, 1, 8, 8)))[:, :, :h, :w] + rng.normal(0, 0.2, shape)
    return fine.astype(np.float32)


class Images(CalibrationDataReader):
    def __init__(self, name, shape):
        self.items = iter([{name: image(shape, 100 + k)} for k in range(8)])

    def get_next(self):
        return next(self.items, None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("networks", nargs="*", default=[n for n in NETWORKS if n != "vgg19"])
    parser.add_argument("--mode", nargs="+", default=["u8s8_pc", "s8s8_pc"], choices=list(MODES))
    parser.add_argument("--seed", type=int, default=1234)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for name in args.networks:
        plain = f"{args.out}/{name}__float.onnx"
        onnx.save(seeded_weights(f"{LIGHT}/light_{name}.onnx", args.seed), plain)
        quant_pre_process(plain, plain, skip_symbolic_shape=True)
        graph = onnx.load(plain).graph
        known = {i.name for i in graph.initializer}
        source = next(i for i in graph.input if i.name not in known)
        shape = tuple(d.dim_value for d in source.type.tensor_type.shape.dim)
        np.save(f"{args.out}/{name}__input.npy", image(shape, 7))
        for mode in args.mode:
            quantize_static(plain, f"{args.out}/{name}__{mode}.onnx", Images(source.name, shape),
                            calibrate_method=CalibrationMethod.MinMax, **MODES[mode])
            print(name, mode, "written", flush=True)


if __name__ == "__main__":
    main()
