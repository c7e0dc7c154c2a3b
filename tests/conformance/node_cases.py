"""Cuts a quantised (QDQ or QOperator) network into single operators that ONNX Runtime can be asked about one at a time.

Each activation QuantizeLinear of the file gives one case: that QuantizeLinear, the operator before it (the operators, where they
follow each other in float, as LRN and MaxPool do; the first names the case) and their DequantizeLinears, with the integer activations as graph inputs and the QuantizeLinear's output as the only output. A second
output would stop ONNX Runtime's fusion and so test another kernel. A QLinear operator, or one on integers, is a case by itself.
"""
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

# Operator of the file -> operator of ONNX Runtime's optimised graph that proves that the integer kernel ran.
FUSED = {
    "Conv": "QLinearConv",
    "Gemm": "QGemm",
    "GlobalAveragePool": "QLinearGlobalAveragePool",
    "AveragePool": "QLinearAveragePool",
    "Add": "QLinearAdd",
    "Mul": "QLinearMul",
    "Concat": "QLinearConcat",
    "MaxPool": "MaxPool",
}
# QOperator nodes that are cases, and what they are called in tables; their output's type is that of the input at this position.
QLINEAR = {
    "QLinearConv": ("Conv", 7),
    "QGemm": ("Gemm", 8),
    "QLinearMatMul": ("MatMul", 7),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", 4),
    "QLinearAveragePool": ("AveragePool", 4),
    "QLinearAdd": ("Add", 7),
    "QLinearMul": ("Mul", 7),
    "QLinearConcat": ("Concat", 1),
    "QLinearSoftmax": ("Softmax", 4),
    "MaxPool": ("MaxPool", 0),
    "Transpose": ("Transpose", 0),
    "Reshape": ("Reshape", 0),
}
MOVES = ("MaxPool", "Reshape", "Flatten", "Identity", "Transpose")
# Where ONNX Runtime is no oracle: its two modes disagree (AveragePool), its fused kernel is off (Add), or the operator is
# computed in float by a library's own order of operations. At most 1 apart, and the count is recorded.
INEXACT = ("AveragePool", "Add", "BatchNormalization", "Softmax", "LRN")


@dataclass
class Case:
    """One operator with its quantisers."""

    op: str
    name: str
    inputs: list
    output: str
    node: onnx.NodeProto
    model: onnx.ModelProto
    # Initialisers by name, and the DequantizeLinear of each input of the operator (None for a plain constant).
    constants: dict = field(repr=False, default_factory=dict)
    dequantisers: list = field(repr=False, default_factory=list)
    quantiser: onnx.NodeProto = None


class Network:
    """A quantised file: its cases in order, and its integer inputs."""

    def __init__(self, path):
        self.model = onnx.load(path)
        graph = self.model.graph
        self.constants = {i.name: i for i in graph.initializer}
        self.types = {q.output[0]: self.constants[q.input[2]].data_type
                      for q in graph.node if q.op_type == "QuantizeLinear"}
        self.producers = {o: n for n in graph.node for o in n.output}
        self.input_name = next(i.name for i in graph.input if i.name not in self.constants)
        quantisers = [n for n in self.sorted_nodes() if n.op_type == "QuantizeLinear"]
        self.input_quantiser = next(q for q in quantisers if q.input[0] == self.input_name)
        for node in self.sorted_nodes():
            if node.op_type in QLINEAR:
                self.type_of(node, QLINEAR[node.op_type][1])
            elif node.op_type in MOVES:
                self.type_of(node, 0)
        self.cases = [self.cut(q) for q in quantisers if q.input[0] in self.producers]
        self.cases += [self.cut_integer(n) for n in self.sorted_nodes()
                       if n.op_type in QLINEAR and n.output[0] in self.types]

    def type_of(self, node, position):
        """The element type of a node's output, where it is an integer tensor."""
        source = node.input[position]
        if source in self.constants:
            self.types[node.output[0]] = self.constants[source].data_type
        elif source in self.types:
            self.types[node.output[0]] = self.types[source]

    def sorted_nodes(self):
        """The file's nodes are sorted already, except that quantisers may stand at the end: sort them anyway."""
        known = set(self.constants) | {self.input_name, ""}
        pending = list(self.model.graph.node)
        while pending:
            later = []
            for node in pending:
                if all(i in known for i in node.input):
                    known.update(node.output)
                    yield node
                else:
                    later.append(node)
            if len(later) == len(pending):
                raise ValueError(f"{later[0].name}: an input that nothing makes")
            pending = later

    def cut(self, quantiser):
        node = self.producers[quantiser.input[0]]
        chain = [node]
        while node.op_type in MOVES and self.producers[node.input[0]].op_type != "DequantizeLinear":
            node = self.producers[node.input[0]]
            chain.insert(0, node)
        dequantisers = [self.producers.get(i) for i in node.input]
        nodes, names, inputs = [], [], []
        names += [i for n in chain[1:] for i in n.input[1:]]
        for name, dq in zip(node.input, dequantisers):
            if dq is None:
                names.append(name)
                continue
            if dq.op_type != "DequantizeLinear":
                raise ValueError(f"{node.name}: input {name} comes from {dq.op_type}")
            if dq not in nodes:
                nodes.append(dq)
            names += list(dq.input)
            if dq.input[0] not in self.constants and dq.input[0] not in inputs:
                inputs.append(dq.input[0])
        names += list(quantiser.input)
        constants = {n: self.constants[n] for n in names if n in self.constants}
        model = self.single([*nodes, *chain, quantiser], inputs, quantiser.output[0], constants)
        return Case(node.op_type, node.name or node.output[0], inputs, quantiser.output[0], node, model, constants,
                    dequantisers, quantiser)

    def cut_integer(self, node):
        """The case of a node that takes and makes integers."""
        inputs = [n for n in dict.fromkeys(node.input) if n and n not in self.constants]
        constants = {n: self.constants[n] for n in node.input if n in self.constants}
        model = self.single([node], inputs, node.output[0], constants)
        op = QLINEAR[node.op_type][0]
        return Case(op, node.name or node.output[0], inputs, node.output[0], node, model, constants)

    def single(self, nodes, inputs, output, constants):
        value = lambda name: helper.make_tensor_value_info(name, self.types[name], None)
        graph = helper.make_graph(nodes, "case", [value(i) for i in inputs], [value(output)], list(constants.values()))
        model = helper.make_model(graph, opset_imports=list(self.model.opset_import))
        model.ir_version = self.model.ir_version
        return model

    def quantised_input(self, image):
        """Rule N-2, as ONNX Runtime's QuantizeLinear has it."""
        q = self.input_quantiser
        scale, zero = (numpy_helper.to_array(self.constants[n]) for n in q.input[1:3])
        info = np.iinfo(zero.dtype)
        v = np.rint(image.astype(np.float32) / scale) + zero.astype(np.float32)
        return q.output[0], np.clip(v, info.min, info.max).astype(zero.dtype)


def session(model, signed, optimised=None):
    """ONNX Runtime with its exact kernels. Without the first option u8 activations saturate at 16 bit on x86 without VNNI; with
    it models of i8 activations do not load (their weights become u8, for which there is no kernel), and theirs are exact
    without. Without the second option i8 operators run in float."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "0" if signed else "1")
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if optimised:
        options.optimized_model_filepath = optimised
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def ask(case, tensors, optimised=None):
    """ONNX Runtime's output for these integer tensors."""
    signed = tensors[case.inputs[0]].dtype == np.int8
    return session(case.model, signed, optimised).run([case.output], {i: tensors[i] for i in case.inputs})[0]


def fused_operators(path):
    """Operators of an optimised model that ONNX Runtime has written."""
    return [n.op_type for n in onnx.load(path).graph.node]
