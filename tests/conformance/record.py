#!/usr/bin/env python3
"""Writes fixtures/ort_cases.{json,bin}: single operators cut small from real networks, with ONNX Runtime's outputs.

    venv/bin/python tests/conformance/record.py --work OUT      (venv and OUT as for run.py)

The bin holds the elements, little-endian, row-major, at the offsets that the json names. A cut takes a few channels and a small
window of an operator with the network's own scales, zero points, weights and activations; ONNX Runtime is asked about the
cut itself. `differing` is how many elements the rules of docs/numerics.md (rules.py) give otherwise, by 1.
"""
import argparse
import json
import os
import sys
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import rules
from node_cases import FUSED, INEXACT, Case, Network, ask, fused_operators
from run import HERE, make_models

# The last is here for its local response normalisation alone.
NETWORKS = ("squeezenet", "resnet50", "densenet121", "inception_v1")
MODES = ("u8s8_pc", "s8s8_pc")
# Cases of an operator in one network and mode: evenly spread over the network.
WANTED = {"Conv": 14, "Concat": 4, "Add": 5, "Mul": 5, "BatchNormalization": 4, "MaxPool": 3, "AveragePool": 3,
          "GlobalAveragePool": 1, "Gemm": 1, "Softmax": 1, "LRN": 2}
ONLY = {"inception_v1": ("LRN",)}
LIMIT = 400_000


@dataclass
class Cut:
    """A case with smaller tensors."""

    case: Case
    values: dict = field(default_factory=dict)  # integer activations
    constants: dict = field(default_factory=dict)  # initialisers, whole unless cut
    whole_output: np.ndarray = None  # ONNX Runtime's output of the uncut case

    def operand(self, i):
        """(q, scale, zero point) of the operator's input `i`."""
        dq = self.case.dequantisers[i]
        q = self.values[dq.input[0]] if dq.input[0] in self.values else self.constants[dq.input[0]]
        return q, self.constants[dq.input[1]], self.constants[dq.input[2]]

    def target(self):
        """(scale, zero point) of the output."""
        return tuple(self.constants[name] for name in self.case.quantiser.input[1:3])

    def cut_constant(self, i, index):
        """Cuts the constant of input `i`, and its scales and zero points where there are as many as output channels."""
        dq = self.case.dequantisers[i]
        names = [self.case.node.input[i]] if dq is None else list(dq.input)
        length = self.constants[names[0]].shape[0]
        self.constants[names[0]] = self.constants[names[0]][index]
        first = index[0] if isinstance(index, tuple) else index
        for name in names[1:]:
            if self.constants[name].shape == (length,) and length > 1:
                self.constants[name] = self.constants[name][first]

    def ask(self, path):
        """ONNX Runtime's output for the cut; refuses another kernel than the fused one."""
        model = onnx.ModelProto()
        model.CopyFrom(self.case.model)
        del model.graph.initializer[:]
        model.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in self.constants.items())
        case = Case(**{**self.case.__dict__, "model": model})
        output = ask(case, self.values, path)
        found = fused_operators(path)
        if case.op in FUSED and found != [FUSED[case.op]]:
            raise SystemExit(f"{case.op} {case.name}: ONNX Runtime ran {found}")
        return output


def attributes(node):
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def at(center, size, length):
    """A slice of `size` around `center` within `length`."""
    size = min(size, length)
    start = min(max(center - size // 2, 0), length - size)
    return slice(start, start + size)


def conv(cut, index):
    x, w = cut.operand(0)[0], cut.operand(1)[0]
    kernel = w.shape[2]
    step = attributes(cut.case.node).get("strides", [1, 1])[0]
    # Every seventh keeps its whole depth, for sums of the network's own size.
    depth = w.shape[1] if index % 7 == 3 else (160 if kernel == 1 else 24)
    outputs = slice(index % max(1, w.shape[0] - 3), index % max(1, w.shape[0] - 3) + 3)
    channels = at(w.shape[1] // 2, depth, w.shape[1])
    size = kernel + step if kernel > 1 else 3
    window = (at(x.shape[2] // 2, size, x.shape[2]), at(x.shape[3] // 3, size + 1, x.shape[3]))
    cut.values[cut.case.inputs[0]] = np.ascontiguousarray(x[:, channels, window[0], window[1]])
    cut.cut_constant(1, (outputs, channels))
    if len(cut.case.dequantisers) > 2:
        cut.cut_constant(2, outputs)


def gemm(cut, _):
    cut.cut_constant(1, slice(10, 14))
    cut.cut_constant(2, slice(10, 14))


def planes(cut, _):
    """Pooling over everything: some channels, whole planes."""
    for name in cut.case.inputs:
        cut.values[name] = np.ascontiguousarray(cut.values[name][:, 3:19])


def windows(cut, _):
    x = cut.operand(0)[0]
    height, width = attributes(cut.case.node)["kernel_shape"]
    area = (at(x.shape[2] // 2, 2 * height + 2, x.shape[2]), at(x.shape[3] // 2, 2 * width + 2, x.shape[3]))
    cut.values[cut.case.inputs[0]] = np.ascontiguousarray(x[:, 5:13, area[0], area[1]])


def concat(cut, _):
    for name in cut.case.inputs:
        x = cut.values[name]
        cut.values[name] = np.ascontiguousarray(x[:, :6, at(x.shape[2] // 2, 6, x.shape[2]), at(x.shape[3] // 2, 6, x.shape[3])])


def telling(cut):
    """Elements of an Add or Mul that tell its rule from ONNX Runtime's way (Add) or from the obvious other rule (Mul)."""
    operands = (cut.operand(0), cut.operand(1), *cut.target())
    if cut.case.op == "Mul":
        return np.argwhere(rules.mul(*operands) != rules.mul_zero_point_last(*operands))
    return np.argwhere(rules.add(*operands) != cut.whole_output)


def pixelwise(cut, _):
    """Around an element that tells rules apart, if there is one, else around the middle."""
    x = cut.operand(0)[0]
    center = np.array(x.shape) // 2
    if cut.case.op in ("Add", "Mul"):
        center = next(iter(telling(cut)), center)
    channels, rows, columns = (at(int(center[i]), size, x.shape[i]) for i, size in ((1, 8), (2, 5), (3, 5)))
    for name in cut.case.inputs:
        cut.values[name] = np.ascontiguousarray(cut.values[name][:, channels, rows, columns])
    for i, dq in enumerate(cut.case.dequantisers[1:], 1):
        if dq is None or dq.input[0] in cut.constants:
            cut.cut_constant(i, channels)


def columns(cut, _):
    """All channels of a few pixels."""
    name, = cut.case.inputs
    x = cut.values[name]
    cut.values[name] = np.ascontiguousarray(x[:, :, at(x.shape[2] // 2, 3, x.shape[2]), at(x.shape[3] // 3, 3, x.shape[3])])


def whole(_cut, _index):
    pass


CUTS = {"Conv": conv, "Gemm": gemm, "GlobalAveragePool": planes, "AveragePool": windows, "MaxPool": windows, "Concat": concat,
        "Add": pixelwise, "Mul": pixelwise, "BatchNormalization": pixelwise, "Softmax": whole, "LRN": columns}


def dequantised(operand):
    return rules.centred(operand).astype(np.float32) * operand[1]


def expected(cut, attrs):
    """What the rules say, for the operators without an exact oracle."""
    op, target = cut.case.op, cut.target()
    if op == "Add":
        return rules.add(cut.operand(0), cut.operand(1), *target)
    if op == "AveragePool":
        return rules.average_pool(cut.operand(0), attrs, *target)
    if op == "BatchNormalization":
        return rules.batch_norm(cut.operand(0), *folded(cut, attrs), *target)
    if op == "LRN":
        return rules.lrn(cut.operand(0), attrs, *target)
    return rules.softmax(cut.operand(0), *target)


def folded(cut, attrs):
    mean, variance = (cut.constants[name] for name in cut.case.node.input[3:5])
    return rules.batch_norm_constants(dequantised(cut.operand(1)), dequantised(cut.operand(2)), mean, variance, attrs["epsilon"])


class Recorder:
    """Collects cases and the elements of their tensors."""

    def __init__(self):
        self.blob, self.cases = bytearray(), []

    def tensor(self, values, scale=None, zero=None, constant=False):
        entry = {"dtype": {"uint8": "u8", "int8": "i8", "int32": "i32", "float32": "f32"}[values.dtype.name],
                 "shape": list(values.shape), "offset": len(self.blob)}
        if scale is not None:
            entry["scale"] = [float(s) for s in scale.reshape(-1)]
            entry["zero"] = [int(z) for z in zero.reshape(-1)]
        entry["constant"] = constant
        self.blob += values.astype(values.dtype.newbyteorder("<")).tobytes()
        return entry

    def add(self, name, cut, output):
        attrs = attributes(cut.case.node)
        inputs = []
        for i, dq in enumerate(cut.case.dequantisers):
            if cut.case.op == "BatchNormalization" and i > 0:
                break
            q, scale, zero = cut.operand(i)
            constant = dq.input[0] in cut.constants
            # Per-channel constants are [c, 1, 1] in the file, [c] in a quantised graph.
            inputs.append(self.tensor(q.reshape(-1) if constant and cut.case.op in ("Add", "Mul") else q, scale, zero, constant))
        if cut.case.op == "BatchNormalization":
            inputs += [self.tensor(v, constant=True) for v in folded(cut, attrs)]
        differing = 0
        if cut.case.op in INEXACT:
            apart = np.abs(expected(cut, attrs).astype(np.int32) - output.astype(np.int32))
            if apart.max() > 1:
                raise SystemExit(f"{name}: rules and ONNX Runtime are {apart.max()} apart")
            differing = int(np.count_nonzero(apart))
        kept = {k: list(attrs[k]) for k in ("strides", "pads", "dilations", "kernel_shape") if k in attrs}
        kept |= {k: attrs[k] for k in ("size", "alpha", "beta", "bias") if cut.case.op == "LRN"}
        for key in ("ceil_mode", "count_include_pad"):
            if attrs.get(key):
                raise SystemExit(f"{name}: {key} is not recorded")
        self.cases.append({"op": cut.case.op, "name": name, **kept, "groups": attrs.get("group", 1), "inputs": inputs,
                           "output": self.tensor(output, *cut.target()), "differing": differing})


def spread(cases, wanted):
    """`wanted` of the cases, evenly, the first among them; the last too where there is more than one."""
    if len(cases) <= wanted:
        return cases
    return [cases[i] for i in sorted({round(k * (len(cases) - 1) / max(1, wanted - 1)) for k in range(wanted)})]


def cut_of(case, tensors):
    """The case, not cut yet."""
    constants = {n: numpy_helper.to_array(c) for n, c in case.constants.items()}
    return Cut(case, {n: tensors[n] for n in case.inputs}, constants, tensors[case.output])


def chosen(op, cases, tensors):
    """The cases to record: of concats those that rescale, of sums and products also some that tell rules apart."""
    if op == "Concat":
        rescale = lambda cut: len({cut.operand(i)[1].item() for i in range(len(cut.case.dequantisers))}) > 1
        cases = [c for c in cases if rescale(cut_of(c, tensors))]
    if op == "LRN":  # one that is followed by a pooling in float has a pooled output
        cases = [c for c in cases if tensors[c.output].shape == tensors[c.inputs[0]].shape]
    picked = spread(cases, WANTED[op])
    if op in ("Add", "Mul"):
        picked += [c for c in cases if c not in picked and len(telling(cut_of(c, tensors)))][:3]
    return picked


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, metavar="DIR")
    args = parser.parse_args()
    make_models(args.work, [(network, mode) for network in NETWORKS for mode in MODES])
    recorder, scratch = Recorder(), os.path.join(args.work, "optimised.onnx")
    for name in NETWORKS:
        for mode in MODES:
            network = Network(f"{args.work}/{name}__{mode}.onnx")
            tensors = dict([network.quantised_input(np.load(f"{args.work}/{name}__input.npy"))])
            for case in network.cases:
                tensors[case.output] = ask(case, tensors)
            for op in ONLY.get(name, WANTED):
                cases = [c for c in network.cases if c.op == op]
                for index, case in enumerate(chosen(op, cases, tensors)):
                    cut = cut_of(case, tensors)
                    CUTS[op](cut, index)
                    recorder.add(f"{name} {mode} {case.name}", cut, cut.ask(scratch))
    os.remove(scratch)
    document = {
        "origin": f"tests/conformance/record.py, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}",
        "cases": recorder.cases,
    }
    text = "{\n\"origin\": " + json.dumps(document["origin"]) + ",\n\"cases\": [\n"
    text += ",\n".join(json.dumps(c, separators=(",", ":")) for c in recorder.cases) + "\n]\n}\n"
    if len(text) + len(recorder.blob) > LIMIT:
        raise SystemExit(f"{len(text)} + {len(recorder.blob)} bytes: too large for a fixture")
    os.makedirs(f"{HERE}/fixtures", exist_ok=True)
    with open(f"{HERE}/fixtures/ort_cases.json", "w", encoding="utf-8") as file:
        file.write(text)
    with open(f"{HERE}/fixtures/ort_cases.bin", "wb") as file:
        file.write(recorder.blob)
    counts = {op: sum(c["op"] == op for c in recorder.cases) for op in WANTED}
    print(counts, "differing", {op: sum(c["differing"] for c in recorder.cases if c["op"] == op) for op in INEXACT})
    print(f"{len(recorder.cases)} cases, {len(text)} + {len(recorder.blob)} bytes")


if __name__ == "__main__":
    sys.exit(main())
