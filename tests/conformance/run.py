#!/usr/bin/env python3
"""The third opinion: ONNX Runtime on real quantised networks, operator by operator, and `systole verify` on machines.

    python3 -m venv venv && venv/bin/pip install onnx==1.20.0 onnxruntime==1.23.2 numpy sympy
    venv/bin/python tests/conformance/run.py --work OUT

1. `systole verify` on every machine: simulator = golden, no tensor unobservable.
2. Golden = ONNX Runtime, teacher-forced: each operator is given golden's own inputs, so that one difference does not spread.
   Equal bit for bit, but for the operators in `node_cases.INEXACT`: at most 1 apart, exactly as often as expected.json says.

Exit code 1 on any violation, and when nothing was compared. Not checked: accuracy of the networks (their weights are random).
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime

from node_cases import FUSED, INEXACT, Network, ask, fused_operators

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED = os.path.join(HERE, "expected.json")
MODES = ["u8s8_pc", "u8s8_pt", "s8s8_pc", "s8s8_pc_symact", "u8u8_pt", "u8s8_pc_qop"]
# `--full`: networks by the modes in which they are compared.
FULL = [(network, mode) for network in ("squeezenet", "shufflenet", "resnet50") for mode in MODES]
FULL += [(network, mode) for network in ("bvlc_alexnet", "inception_v1", "inception_v2", "densenet121", "zfnet512")
         for mode in ("u8s8_pc", "s8s8_pc")]
# Share of the elements that may differ where expected.json's counts do not apply: other calibration, other kernels.
BOUNDS = {"AveragePool": 0.15, "Add": 1e-4, "BatchNormalization": 1e-4, "Softmax": 0.01, "LRN": 1e-4}


@dataclass
class Tally:
    """One line of the table."""

    tensors: int = 0
    elements: int = 0
    differing: int = 0
    largest: int = 0

    def add(self, ours, theirs):
        apart = np.abs(ours.ravel().astype(np.int32) - theirs.ravel().astype(np.int32))
        self.tensors += 1
        self.elements += apart.size
        self.differing += int(np.count_nonzero(apart))
        self.largest = max(self.largest, int(apart.max(initial=0)))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, metavar="DIR", help="models and results; models that are there are used")
    parser.add_argument("--networks", nargs="+", default=["squeezenet", "resnet50", "densenet121"])
    parser.add_argument("--modes", nargs="+", default=["u8s8_pc", "s8s8_pc"])
    parser.add_argument("--machines", nargs="*", 
                        default=["edge-16x16", "gemmini-16x16", "tpu-v1", "output-stationary-32x32", "input-stationary-32x32"])
    parser.add_argument("--full", action="store_true", help="three networks in all six modes and five more in two; takes minutes")
    parser.add_argument("--systole", default=os.path.join(HERE, "../../target/release/systole"))
    parser.add_argument("--bounds", action="store_true",
                        help="on another processor: loose bounds, not expected.json's counts (so too for models with another hash)")
    parser.add_argument("--record", action="store_true", help="writes expected.json instead of comparing with it")
    args = parser.parse_args()
    args.pairs = FULL if args.full else [(network, mode) for network in args.networks for mode in args.modes]
    return args


def make_models(work, pairs):
    for network in dict.fromkeys(network for network, _ in pairs):
        modes = [mode for other, mode in pairs if other == network]
        paths = [f"{work}/{network}__{mode}.onnx" for mode in modes] + [f"{work}/{network}__input.npy"]
        if not all(map(os.path.exists, paths)):
            script = os.path.join(HERE, "make_light_models.py")
            subprocess.run([sys.executable, script, work, network, "--mode", *modes], check=True)


def verify(args, model, image, machine):
    """What is wrong with `systole verify` on this machine, if anything."""
    out = f"{args.work}/verify/{os.path.basename(model)}__{machine}"
    os.makedirs(out, exist_ok=True)
    command = [args.systole, "verify", model, "--hw", machine, "--input", image, "--out", out, "-q"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        return f"exit code {run.returncode}: {' '.join(run.stderr.split())[:300]}"
    with open(f"{out}/report.json", encoding="utf-8") as file:
        report = json.load(file)["verify"]
    if report["tensors_unobservable"]:
        return f"unobservable: {report['tensors_unobservable']}"
    if not report["bit_exact"] or report["mismatches"] or not report["elements"] or not report["tensors_compared"]:
        return f"not verified: {report}"
    return None


def golden(args, model, image):
    """Golden's integer tensors by name."""
    with tempfile.TemporaryDirectory(dir=args.work) as directory:
        path = f"{directory}/golden.npz"
        subprocess.run([args.systole, "golden", model, "--input", image, "--layers", "--output", path, "-q"], check=True)
        with np.load(path) as file:
            return {name: file[name] for name in file.files}


def compare(network, tensors, work):
    """Tallies by operator, and what is wrong."""
    tallies, problems, kernels = defaultdict(Tally), [], set()
    for case in network.cases:
        missing = [name for name in (*case.inputs, case.output) if name not in tensors]
        if missing:
            problems.append(f"{case.op} {case.name}: golden has no tensor {missing[0]}")
            continue
        optimised = None
        if case.op in FUSED and case.op not in kernels:  # a QLinear operator must have stayed one, too
            optimised = os.path.join(work, "optimised.onnx")
        theirs, ours = ask(case, tensors, optimised), tensors[case.output]
        if optimised:
            kernels.add(case.op)
            found = fused_operators(optimised)
            os.remove(optimised)
            if found != [FUSED[case.op]]:
                problems.append(f"{case.op} {case.name}: ONNX Runtime ran {found}, not {FUSED[case.op]}")
        if ours.dtype != theirs.dtype or ours.size != theirs.size:
            problems.append(f"{case.op} {case.name}: {ours.dtype} {ours.shape}, ONNX Runtime has {theirs.dtype} {theirs.shape}")
            continue
        tally = Tally()
        tally.add(ours, theirs)
        allowed = 1 if case.op in INEXACT else 0
        if tally.largest > allowed:
            problems.append(f"{case.op} {case.name}: {tally.differing} of {tally.elements} differ, by up to {tally.largest}")
        tallies[case.op].add(ours, theirs)
    return tallies, problems


def digest(path):
    """Quantised scales come from float kernels, so another processor may make other models."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def check_counts(key, tallies, counts):
    """Differences from the recorded counts of the operators without an exact oracle; loose bounds where `counts` is None."""
    for op, tally in tallies.items():
        if op not in INEXACT:
            continue
        if counts is None:
            if tally.differing > max(1, BOUNDS[op] * tally.elements):
                yield f"{op}: {tally.differing} of {tally.elements} differ"
        elif tally.differing != counts.get(f"{key} {op}"):
            yield f"{op}: {tally.differing} differ, expected {counts.get(f'{key} {op}')}"


def main():
    args = arguments()
    os.makedirs(args.work, exist_ok=True)
    make_models(args.work, args.pairs)
    with open(EXPECTED, encoding="utf-8") as file:
        recorded = json.load(file)
    if (onnx.__version__, onnxruntime.__version__) != (recorded["onnx"], recorded["onnxruntime"]):
        print(f"note: expected.json was recorded with onnx {recorded['onnx']}, onnxruntime {recorded['onnxruntime']}")
    problems, compared = [], 0
    line = "{:<12} {:<10} {:<20} {:>7} {:>10} {:>9} {:>4}"
    print(line.format("network", "mode", "op", "tensors", "elements", "differing", "max"))
    for name, mode in args.pairs:
        key, model, image = f"{name} {mode}", f"{args.work}/{name}__{mode}.onnx", f"{args.work}/{name}__input.npy"
        for machine in args.machines:
            wrong = verify(args, model, image, machine)
            problems += [f"{key} on {machine}: {wrong}"] if wrong else []
        network = Network(model)
        tensors = golden(args, model, image)
        # Golden starts from the quantised input and does not hand it back.
        source, quantised = network.quantised_input(np.load(image))
        tensors.setdefault(source, quantised)
        tallies, wrong = compare(network, tensors, args.work)
        if args.record:
            recorded["differing"].update({f"{key} {op}": t.differing for op, t in tallies.items() if op in INEXACT})
            recorded["models"][key] = digest(model)
        known = not args.bounds and digest(model) == recorded["models"].get(key)
        if not known:
            print(f"note: {key} is not the recorded model, or --bounds: loose bounds instead of counts")
        wrong += check_counts(key, tallies, recorded["differing"] if known else None)
        problems += [f"{key}: {text}" for text in wrong]
        for op, t in sorted(tallies.items()):
            print(line.format(name, mode, op, t.tensors, t.elements, t.differing, t.largest), flush=True)
            compared += t.elements
    if args.record:
        recorded.update(onnx=onnx.__version__, onnxruntime=onnxruntime.__version__)
        with open(EXPECTED, "w", encoding="utf-8") as file:
            json.dump(recorded, file, indent=2, sort_keys=True)
            file.write("\n")
    for problem in problems:
        print("WRONG", problem)
    if not compared:
        print("WRONG nothing was compared")
    print(f"{compared} elements compared, {len(problems)} violations")
    return 1 if problems or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
