#!/usr/bin/env python3
"""The ONNX backend node tests of the operators that convolutional networks have, through `systole golden`.

    python3 tests/onnx_backend/run.py

The tests are those of onnx==1.20.0, which a virtual environment under target/onnx_backend holds: every single-node test of an operator in
`OPERATORS`, and the converted PyTorch convolutions. Outputs are compared as ONNX's own runner does: rtol 1e-3, atol 1e-7. Inputs that a
network holds as constants (weights, shapes, scales) are bound to the test's values; what a network computes stays an input (`COMPUTED`).
Floats of other widths are handed in and compared as single precision, integers of 2 and 4 bits as those of 8 that hold them.

Prints passed, refused (by reason) and failed; exit code 1 on a failure, and when a test that is recorded as passing does not pass any more.
Integer tests also run on machines (`MACHINES`), bit-exactly against golden. `--record` rewrites what is recorded: recorded.json, and
cases.zip, which `cargo test` runs. Not here: operators with quantised networks around them (tests/conformance).
"""
import argparse
import collections
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
VENV = os.path.join(ROOT, "target", "onnx_backend", "venv")
RECORDED = os.path.join(HERE, "recorded.json")
CASES = os.path.join(HERE, "cases.zip")

OPERATORS = """Add AveragePool BatchNormalization Clip Concat Conv ConvInteger ConvTranspose DeformConv DepthToSpace DequantizeLinear Div
Dropout Elu Flatten Gemm GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity LRN LeakyRelu MatMul MatMulInteger Max MaxPool
MaxUnpool Min Mul PRelu Pad QLinearConv QLinearMatMul QuantizeLinear ReduceMean Relu Reshape Resize Sigmoid Slice Softmax SpaceToDepth
Split Squeeze Sub Sum Tanh Transpose Unsqueeze Upsample""".split()
# Inputs that networks compute: all of these operators, else the first alone (and those listed).
ALL_COMPUTED = {"Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Concat"}
COMPUTED = {"DeformConv": {0, 2, 4}, "MaxUnpool": {0, 1}}
INTEGER = {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}
MACHINES = ["edge-16x16", "output-stationary-32x32"]
# Vectors of ONNX 1.20 that contradict ONNX's own definition; `disproof` shows it, or the runner fails.
WRONG = {
    "test_qlinearmatmul_2D_int8_float16",
    "test_qlinearmatmul_2D_int8_float32",
    "test_qlinearmatmul_3D_int8_float16",
    "test_qlinearmatmul_3D_int8_float32",
}
RTOL, ATOL = 1e-3, 1e-7


def in_virtual_environment():
    """Starts over in the environment that has the requirements."""
    if os.path.realpath(sys.prefix) == os.path.realpath(VENV):
        return
    python = os.path.join(VENV, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    requirements = os.path.join(HERE, "requirements.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements], check=True)
    os.execv(python, [python, os.path.abspath(__file__), *sys.argv[1:]])


class Case:
    """One test: a model with its constants bound, inputs and outputs by name."""

    def __init__(self, folder):
        self.name = os.path.basename(folder)
        self.model = onnx.load(os.path.join(folder, "model.onnx"))
        graph = self.model.graph
        self.op = graph.node[0].op_type
        data = os.path.join(folder, "test_data_set_0")
        constants = {tensor.name for tensor in graph.initializer}
        for info in [info for info in graph.input if info.name in constants]:
            graph.input.remove(info)
        self.refusal = None
        try:
            self.values = [load(os.path.join(data, f"input_{i}.pb"), info) for i, info in enumerate(graph.input)]
            self.expected = {info.name: load(os.path.join(data, f"output_{i}.pb"), info)
                             for i, info in enumerate(graph.output)}
        except NotATensor as error:
            self.refusal, self.values, self.expected = f"the test: {error}", [], {}
            return
        computed = set(range(len(self.values))) if self.op in ALL_COMPUTED else COMPUTED.get(self.op, {0})
        first = graph.node[0].input
        self.inputs = {}
        kept = []
        for info, value in zip(graph.input, self.values):
            if list(first).index(info.name) not in computed:
                graph.initializer.append(numpy_helper.from_array(value, info.name))
            else:
                kept.append(info)
                self.inputs[info.name] = value
        del graph.input[:]
        graph.input.extend(kept)
        # What the test computes has shapes: some tests leave the extents open.
        for info in graph.input:
            shape = info.type.tensor_type.shape
            del shape.dim[:]
            for size in self.inputs[info.name].shape:
                shape.dim.add().dim_value = size


class NotATensor(Exception):
    """A sequence or an optional."""


def load(path, info):
    if not info.type.HasField("tensor_type"):
        raise NotATensor(f"`{info.name}` is a {info.type.WhichOneof('value')}")
    return numpy_helper.to_array(onnx.load_tensor(path))


def as_held(array):
    """Floats of other widths as float32, integers of 2 and 4 bits in 8; others as they are."""
    if array.dtype.kind == "f" or "float" in array.dtype.name:
        return array.astype(np.float32)
    if array.dtype.name in ("int4", "int2"):
        return array.astype(np.int8)
    return array.astype(np.uint8) if array.dtype.name in ("uint4", "uint2") else array


def tests():
    data = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data")
    for root in ("node", "pytorch-converted"):
        for name in sorted(os.listdir(os.path.join(data, root))):
            folder = os.path.join(data, root, name)
            graph = onnx.load(os.path.join(folder, "model.onnx"), load_external_data=False).graph
            single = len(graph.node) == 1 and graph.node[0].op_type in OPERATORS and not graph.node[0].domain
            if single if root == "node" else name.startswith("test_Conv"):
                yield folder


def reasons(stderr):
    """The messages of what the program says on failing, without colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", stderr)
    return [line[len("error: "):] for line in text.splitlines() if line.startswith("error: ")] or [text.strip()[:200]]


class Runner:
    """Runs `systole` on one case in a folder of its own."""

    def __init__(self, systole, folder, case):
        self.systole, self.case, self.folder = systole, case, folder
        self.model, self.inputs = os.path.join(folder, "model.onnx"), os.path.join(folder, "inputs.npz")
        onnx.save(case.model, self.model)
        np.savez(self.inputs, **{name: as_held(value) for name, value in case.inputs.items()})

    def run(self, *arguments):
        command = [self.systole, arguments[0], self.model, *arguments[1:], "--input", self.inputs, "-q"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def golden(self, *options):
        """Outputs by name, or why not; and whether that is a refusal."""
        output = os.path.join(self.folder, "outputs.npz")
        run = self.run("golden", "--output", output, *options)
        if run.returncode == 0:
            with np.load(output) as file:
                return {name: file[name] for name in file.files}, None
        return None, (run.returncode == 2 and "invalid" not in run.stderr, reasons(run.stderr))


def difference(outputs, expected):
    """What is wrong with the outputs, by ONNX's own measure."""
    for name, value in expected.items():
        if name not in outputs:
            return f"no output `{name}`"
        ours, theirs = outputs[name], as_held(value)
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            return f"`{name}` is {ours.dtype} {ours.shape}, not {theirs.dtype} {theirs.shape}"
        try:
            np.testing.assert_allclose(ours, theirs, rtol=RTOL, atol=ATOL)
        except AssertionError as error:
            return f"`{name}`: " + " ".join(str(error).split())[:300]
    return None


def disproof(case):
    """The outputs by QLinearMatMul's definition, computed here; raises if they are the test's after all."""
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = (value.astype(np.float64) for value in case.values)
    sums = np.matmul(a - a_zero, b - b_zero)
    right = np.clip(np.rint(sums * (a_scale * b_scale / y_scale)) + y_zero, -128, 127).astype(np.int8)
    right = {case.model.graph.output[0].name: right}
    if difference(right, case.expected) is None:
        raise SystemExit(f"{case.name} is listed as wrong, but follows the definition")
    return right


def on_machines(runner, expected):
    """What each machine says to an integer test: None where simulator and golden agree and the output is the expected one, else whether
    it is wrong, and why."""
    said = {}
    for machine in MACHINES:
        run = runner.run("verify", "--hw", machine)
        if run.returncode != 0:
            said[machine] = (run.returncode != 2, "; ".join(reasons(run.stderr)))
            continue
        outputs, problem = runner.golden("--hw", machine)
        wrong = problem[1] if problem else difference(outputs, expected)
        said[machine] = (True, wrong) if wrong else None
    return said


def archived(case):
    """A case as entries of cases.zip."""
    put = lambda array, name: numpy_helper.from_array(as_held(array), name).SerializeToString()
    yield f"{case.name}/model.onnx", case.model.SerializeToString()
    for name, value in case.inputs.items():
        yield f"{case.name}/inputs/{name}.pb", put(value, name)
    for name, value in case.expected.items():
        yield f"{case.name}/outputs/{name}.pb", put(value, name)


def record(results, cases):
    with open(RECORDED, "w", encoding="utf-8") as file:
        json.dump({"onnx": onnx.__version__, "tests": results}, file, indent=1, sort_keys=True)
        file.write("\n")
    with zipfile.ZipFile(CASES, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for case in cases:
            entries = list(archived(case))
            if sum(len(data) for _, data in entries) > 1 << 18:
                continue
            for name, data in entries:
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def run_case(args, case, folder):
    """`passed`, `refused: reason` or `failed: reason`, and what machines say."""
    if case.refusal:
        return f"refused: {case.refusal}", {}
    runner = Runner(args.systole, folder, case)
    outputs, problem = runner.golden("--float")
    if problem:
        refused, why = problem
        return ("refused: " if refused else "failed: ") + "; ".join(why), {}
    expected = disproof(case) if case.name in WRONG else case.expected
    wrong = difference(outputs, expected)
    machines = on_machines(runner, expected) if case.op in INTEGER and not wrong else {}
    return (f"failed: {wrong}" if wrong else "passed"), machines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systole", default=os.path.join(ROOT, "target", "release", "systole"))
    parser.add_argument("--only", default="", metavar="TEXT", help="tests whose name contains this")
    parser.add_argument("--record", action="store_true", help="writes recorded.json and cases.zip")
    args = parser.parse_args()
    results, passing, bad = {}, [], []
    for folder in tests():
        if args.only not in os.path.basename(folder):
            continue
        with tempfile.TemporaryDirectory() as work:
            case = Case(folder)
            result, machines = run_case(args, case, work)
        results[case.name] = result
        if result == "passed" and case.name not in WRONG:
            passing.append(case)
        for machine, said in machines.items():
            wrong, why = said or (False, "bit-exact, as expected")
            print(f"{case.name} on {machine}: {'refused: ' if said and not wrong else ''}{why}")
            bad += [f"{case.name} on {machine}: {why}"] if wrong else []
    refused = collections.defaultdict(list)
    for name, result in results.items():
        if result.startswith("refused"):
            refused[result[len("refused: "):]].append(name)
    for reason, names in sorted(refused.items(), key=lambda item: -len(item[1])):
        print(f"refused ({len(names)}): {reason}\n    {' '.join(names)}")
    for name in sorted(WRONG):
        if results.get(name) == "passed":
            print(f"passed by ONNX's definition, which the test's output contradicts: {name}")
    failed = {name: result for name, result in results.items() if result.startswith("failed")}
    for name, result in failed.items():
        print(f"FAILED {name}: {result}")
    passed = sum(result == "passed" for result in results.values())
    print(f"{len(results)} tests: {passed} passed, {sum(map(len, refused.values()))} refused by name, {len(failed)} failed")
    if args.record:
        record(results, passing)
    elif os.path.exists(RECORDED):
        with open(RECORDED, encoding="utf-8") as file:
            before = json.load(file)["tests"]
        lost = [name for name, result in results.items() if before.get(name) == "passed" and result != "passed"]
        bad += [f"{name}: recorded as passing" for name in lost]
    for problem in bad:
        print(f"WRONG {problem}")
    return 1 if failed or bad or not passed else 0


if __name__ == "__main__":
    in_virtual_environment()
    import numpy as np
    import onnx
    from onnx import numpy_helper

    sys.exit(main())
