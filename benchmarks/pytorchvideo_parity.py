"""With PyTorchVideo's weights, slow_resnet50 and i3d_resnet50 compute what PyTorchVideo's slow_r50 and i3d_r50 compute.

    python benchmarks/pytorchvideo_parity.py
    python benchmarks/pytorchvideo_parity.py --packages DIR --models slow_r50 --seed 7

PyTorchVideo 0.1.5 runs on Debian's torch (`apt-get install python3-torch`) in /usr/bin/python3; pip fetches it, and
what it imports, from PyPI into DIR, or into a folder that lasts as long as this command. It builds its model for 400
classes with random weights and random moving statistics (pytorchvideo_parity_reference.py) and runs it on a random clip
of 8 frames and 224 x 224 pixels, which its head is made for, and on one of 6 frames and 97 x 130 pixels. The zoo's
model with frozen batch normalization loads the same weights by `zoo.weights.pytorchvideo` and sees the same clips.
Exits with 1 where logits differ by more than 1e-3, features by more than 1e-4 of a map's largest value, or the numbers
of parameters at all; with 2 where there is no torch or no PyTorchVideo.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
from checks import Check, report_checks
from tables import aligned

import zoo
from zoo.weights.pytorchvideo import load_pytorchvideo

PYTHON = "/usr/bin/python3"
REFERENCE = Path(__file__).with_name("pytorchvideo_parity_reference.py")
PACKAGES = (
    "pytorchvideo==0.1.5",
    *("fvcore", "iopath", "yacs", "portalocker", "parameterized", "pyyaml", "tqdm", "termcolor", "tabulate"),
    "typing_extensions",
)
SIZES = ("8x224x224", "6x97x130")
# Theirs and ours.
MODELS: Mapping[str, str] = {"slow_r50": "slow_resnet50", "i3d_r50": "i3d_resnet50"}
# What may differ at most: features of each map's largest value.
BOUNDS: Mapping[str, float] = {"c2": 1e-4, "c3": 1e-4, "c4": 1e-4, "c5": 1e-4, "logits": 1e-3}
Differences = dict[str, float]


def torch_is_missing() -> str:
    """Why the reference can't run, or nothing."""
    try:
        tried = subprocess.run([PYTHON, "-c", "import torch"], capture_output=True)
    except OSError:
        return f"there is no {PYTHON}"
    return f"{PYTHON} has no torch: apt-get install python3-torch" if tried.returncode else ""


def fetch_packages(folder: Path) -> None:
    """Has pip put PyTorchVideo there, unless it is there already.

    Raises:
        subprocess.CalledProcessError: pip failed; it has said why.
    """
    if not (folder / "pytorchvideo").exists():
        # Debian's torch serves, and what else the packages ask for isn't imported.
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *PACKAGES]
        subprocess.run(command, check=True, stdout=sys.stderr)


def run_reference(folder: Path, name: str, packages: Path, *, seed: int, sizes: Sequence[str]) -> Path:
    """Lets PyTorchVideo write its weights and outputs into a folder, which is returned.

    Raises:
        RuntimeError: It failed; with the end of what it said.
    """
    target = folder / name
    command = [PYTHON, str(REFERENCE), str(target), "--model", name, "--seed", str(seed), "--sizes", *sizes]
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        raise RuntimeError(f"PyTorchVideo's {name} ended with {result.returncode}:\n{result.stderr[-3000:]}")
    return target


def build_model(name: str, state: Mapping[str, np.ndarray]) -> keras.Model:
    """The zoo's model with the reference's weights; it puts out features and logits."""
    model = zoo.build(MODELS[name], "frozen_bn", num_classes=400)
    load_pytorchvideo(model, state)
    ends = {"c2": "stage2_block3_out", "c3": "stage3_block4_out", "c4": "stage4_block6_out", "c5": "stage5_block3_out"}
    outputs = {feature: model.get_layer(layer).output for feature, layer in ends.items()}
    return keras.Model(model.input, {**outputs, "logits": model.output})


def differences(outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> Differences:
    """The largest of each output that is expected, features of their largest value.

    >>> differences({"logits": np.array([2.0, 4.0])}, {"logits": np.array([2.5, 4.0])})
    {'logits': 0.5}
    """
    found = {}
    for name in (name for name in BOUNDS if name in expected):
        ours, theirs = np.asarray(outputs[name], "float64"), np.asarray(expected[name], "float64")
        away = np.abs(ours - theirs).max() if ours.shape == theirs.shape else np.inf
        found[name] = float(away if name == "logits" else away / np.abs(theirs).max())
    return found


def measure(
    name: str, packages: Path, *, seed: int, sizes: Sequence[str]
) -> tuple[dict[str, Differences], dict[str, int]]:
    """The differences by size, and both numbers of parameters."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = run_reference(Path(temporary), name, packages, seed=seed, sizes=sizes)
        with np.load(folder / "weights.npz") as state:
            model = build_model(name, state)
            theirs = sum(state[tensor].size for tensor in state if not tensor.endswith(_STATISTICS))
        ours = sum(math.prod(variable.shape) for variable in model.weights if "moving" not in variable.name)
        by_size = {}
        for size in sizes:
            with np.load(folder / f"{size}.npz") as expected:
                outputs = model.predict_on_batch(expected["clip"])
                by_size[size] = differences(outputs, expected)
    return by_size, {"ours": int(ours), "theirs": int(theirs)}


_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def judge(name: str, by_size: Mapping[str, Differences], parameters: Mapping[str, int]) -> list[Check]:
    """The largest difference of each output of all sizes, and the parameters."""
    found = [
        Check(f"{name}: parameters, ours and theirs", abs(parameters["ours"] - parameters["theirs"]), "at most", 0)
    ]
    for output, bound in BOUNDS.items():
        largest = max(each[output] for each in by_size.values() if output in each)
        found.append(Check(f"{name}: {output}, of the {bound:g} allowed", largest / bound, "at most", 1))
    return found


def table(found: Mapping[str, tuple[Mapping[str, Differences], Mapping[str, int]]]) -> str:
    """A row an output, a column a clip."""
    columns = [(name, size) for name, (by_size, _) in found.items() for size in by_size]
    rows = [["largest difference", *(f"{name} {size}" for name, size in columns), "allowed"]]
    for output, bound in BOUNDS.items():
        cells = [found[name][0][size].get(output) for name, size in columns]
        rows.append([output, *("-" if cell is None else f"{cell:.1e}" for cell in cells), f"{bound:g}"])
    for side in ("ours", "theirs"):
        rows.append([f"parameters, {side}", *(f"{found[name][1][side]:,}" for name, _ in columns), "equal"])
    return "\n".join(aligned(rows)) + "\n"


def compare(names: Sequence[str], packages: Path, *, seed: int = 0, sizes: Sequence[str] = SIZES) -> list[Check]:
    """Compares each model on clips of these sizes, of which the first has logits, prints a table, and judges."""
    found = {name: measure(name, packages, seed=seed, sizes=sizes) for name in names}
    sys.stdout.write(table(found))
    return [check for name, (by_size, parameters) in found.items() for check in judge(name, by_size, parameters)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, metavar="DIR", help="where PyTorchVideo lies; fetched if absent")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if reason := torch_is_missing():
        sys.stderr.write(f"{reason}\n")
        return 2
    with nullcontext(arguments.packages) if arguments.packages else tempfile.TemporaryDirectory() as folder:
        try:
            fetch_packages(Path(folder))
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"PyTorchVideo can't be fetched, see above: {error}\n")
            return 2
        return report_checks(compare(arguments.models, Path(folder), seed=arguments.seed))


if __name__ == "__main__":
    raise SystemExit(main())
