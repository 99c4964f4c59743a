"""`KERAS_BACKEND=jax`: the same training, in processes of their own."""

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.cli import evaluate
from zoo.training.fit import fit, prepare
from zoo.training.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--model", "simplenet", "--norm", "gn:groups=4", "--image-size", "8", "--batch-size", "64"]

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts Python with Keras on JAX and two virtual devices; what was compiled once is not compiled again."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

    def start(*arguments, **changes):
        command = [sys.executable, *map(str, arguments)]
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env={**environment, **changes}, cwd=ROOT, **settings)

    return start


def ended(process):
    """Its status, and what it said."""
    try:
        output, error = process.communicate(timeout=500)
    finally:
        process.kill()
    return process.returncode, output, error


def test_training_on_jax_and_its_first_steps_as_on_tensorflow(start, tmp_path, config, task):
    weights = tmp_path / "start.keras"
    zoo.build(config.model, norm=config.norm, num_classes=10, input_shape=(8, 8, 1)).save(weights)
    cases = Path(__file__).with_name("jax_cases.py")
    options = ["-n", "0", "-q", "-p", "no:cacheprovider"]
    status, output, _ = ended(start("-m", "pytest", *options, cases, KERAS_GN_JAX_FOLDER=str(tmp_path)))
    assert status == 0, output
    training = prepare(dataclasses.replace(config, steps=5), dataclasses.replace(task, initial_weights=weights))
    fit(training, RunFolder(tmp_path / "run"))
    of_jax, of_tensorflow = (pd.read_csv(folder / "history.csv") for folder in (tmp_path, tmp_path / "run"))
    pd.testing.assert_frame_equal(of_jax, of_tensorflow, rtol=1e-4)
    with np.load(tmp_path / "weights.npz") as stored:
        for name, value in zip(stored.files, training.model.get_weights(), strict=True):
            np.testing.assert_allclose(stored[name], value, rtol=1e-4, atol=1e-5)


def test_sigterm_resume_export_and_evaluation(start, tmp_path):
    folder = tmp_path / "run"
    options = ["--strategy", "mirrored", "--epochs", "400", "--learning-rate", "0.02", "--output", folder]
    process = start("train.py", *SMALL, *options)
    deadline = time.monotonic() + 240
    while not list(folder.glob("checkpoints/step_*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    status, _, error = ended(process)
    assert status == os.EX_TEMPFAIL, error
    assert "strategy mirrored on cpu:0 (JAX), cpu:1 (JAX)" in error
    begun = len(pd.read_csv(folder / "history.csv"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "epochs": begun + 1}))

    status, _, error = ended(start("train.py", "--output", folder, "--resume"))
    assert status == 0, error
    assert list(pd.read_csv(folder / "history.csv")["epoch"]) == list(range(1, begun + 2))
    trained = json.loads((folder / "metrics.json").read_text())["test"]
    # The SavedModel, and the best model, are TensorFlow's too; the scores are those that JAX gave.
    for source in (["--saved-model", folder / "export"], ["--run", folder]):
        assert evaluate.main([*map(str, source), "--output", str(tmp_path / "scores")]) == 0
        scores = json.loads((tmp_path / "scores" / "metrics.json").read_text())
        assert scores["accuracy"] == trained["accuracy"]
        assert scores["loss"] == pytest.approx(trained["loss"], rel=1e-4)
    status, output, error = ended(start("evaluate.py", "--run", folder))
    assert status == 0, error
    assert f"test accuracy: {trained['accuracy']:.6g}" in output


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"KERAS_BACKEND": "numpy"}, "`KERAS_BACKEND` must be tensorflow or jax to train. Received: numpy"),
        ({"KERAS_GN_KERNEL": "native"}, "the native kernel, which is TensorFlow's, and Keras runs on jax"),
    ],
)
def test_what_is_asked_for_elsewhere_and_cannot_be_had_is_told(start, tmp_path, environment, message):
    status, _, error = ended(start("train.py", *SMALL, "--output", tmp_path / "run", **environment))
    assert status == 2
    assert message in error
    assert not (tmp_path / "run").exists()
