"""Training to an accuracy. `pytest -m slow` runs the whole proofs, each a command of docs/zoo.md; without it runs a
short form of each that must be well on its way.
"""

import json
import tarfile

import pytest

from zoo.cli import evaluate, train

# The data set, the options of its command, the test accuracy it must reach; then a short form and its accuracy.
PROOFS = [
    pytest.param("digits", ["--model", "resnet50"], 0.97, ["--epochs", "2", "--model", "simplenet"], 0.8, id="digits"),
    pytest.param(
        "cifar10",
        ["--model", "simplenet_v2", "--epochs", "2"],
        0.60,
        ["--model", "simplenet_v2", "--epochs", "2"],
        0.25,
        id="cifar10",
    ),
    pytest.param(
        "fashion_mnist",
        ["--model", "simplenet_v2", "--epochs", "1"],
        0.88,
        ["--model", "simplenet", "--steps", "100"],
        0.60,
        id="fashion_mnist",
    ),
]


def train_and_evaluate(arguments, folder):
    """The test accuracy that a run reports; its SavedModel must have the same."""
    assert train.main(["--norm", "gn", *arguments, "--output", str(folder)]) == 0
    accuracy = json.loads((folder / "metrics.json").read_text())["test"]["accuracy"]
    data_dir = arguments[arguments.index("--data-dir") :] if "--data-dir" in arguments else []
    assert evaluate.main(["--saved-model", str(folder / "export"), *data_dir, "--output", str(folder / "again")]) == 0
    assert json.loads((folder / "again" / "metrics.json").read_text())["accuracy"] == accuracy
    return accuracy


@pytest.fixture
def data_arguments(shared_data):
    def arguments(name):
        # Of CIFAR-10 the shared folder holds a part of the official batches.
        return ["--dataset", name] + ([] if name == "digits" else ["--data-dir", str(shared_data / name)])

    return arguments


@pytest.mark.parametrize(("name", "command", "accuracy", "short", "short_accuracy"), PROOFS)
def test_a_short_run_is_well_on_its_way(name, command, accuracy, short, short_accuracy, data_arguments, tmp_path):
    assert train_and_evaluate([*short, *data_arguments(name)], tmp_path / "run") >= short_accuracy


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "command", "accuracy", "short", "short_accuracy"), PROOFS)
def test_a_whole_run_reaches_its_accuracy(
    name, command, accuracy, short, short_accuracy, data_arguments, shared_data, tmp_path
):
    arguments = data_arguments(name)
    if name == "cifar10":
        with tarfile.open(shared_data / "cifar10" / "CIFAR-10-images.tar.gz") as images:
            images.extractall(tmp_path / "images", filter="data")
        arguments[-1] = str(tmp_path / "images")
    assert train_and_evaluate([*command, *arguments], tmp_path / "run") >= accuracy
