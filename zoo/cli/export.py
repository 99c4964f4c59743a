"""The SavedModel of a run: `KERAS_BACKEND=tensorflow python -m zoo.cli.export --run runs/NAME`.

The best model of a run is the same file whatever backend trained it, and a SavedModel is TensorFlow's.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import keras

import zoo
from zoo.cli import command
from zoo.cli.task import dataset_as_described, make_task
from zoo.errors import UserError
from zoo.export import export_saved_model
from zoo.training.backend import training_backend
from zoo.training.run_folder import RunFolder


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the command line and exports; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.cli.export", description="Exports the best model of a run as a SavedModel; needs no data."
    )
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="a run folder of train.py")
    return command.run(lambda arguments: export_run(RunFolder(arguments.run)), parser.parse_args(argv))


def export_run(folder: RunFolder, model: keras.Model | None = None) -> None:
    """Writes the `export/` of a run; where Keras doesn't compute with TensorFlow, by a process in which it does.

    Args:
        folder: of the run.
        model: its best model, where it is loaded already.

    Raises:
        UserError: the run has no model yet, or its export differs from it.
    """
    if not training_backend().COMPUTES_WITH_TENSORFLOW:
        _export_elsewhere(folder)
        return
    config, described = folder.read_config(), folder.read_task()
    task = make_task(config, dataset_as_described(config, described), described=described)
    # Where files lie on this machine is nobody else's business.
    private = {"data_dir", "initial_weights"}
    provenance = {name: value for name, value in config.to_json().items() if name not in private}
    export_saved_model(model or folder.load_best_model(), task, folder.export, provenance=provenance)


def _export_elsewhere(folder: RunFolder) -> None:
    arguments = ["-m", "zoo.cli.export", "--run", str(folder.path.resolve())]
    root = str(Path(zoo.__file__).parents[1])
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
        "CUDA_VISIBLE_DEVICES": "-1",  # the memory of the GPUs is taken by this process
    }
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(
            "The run is complete but for its SavedModel, which TensorFlow couldn't export. Export it by: "
            f"KERAS_BACKEND=tensorflow python {' '.join(arguments)}\n{done.stderr[-2000:]}"
        )


if __name__ == "__main__":
    sys.exit(main())
