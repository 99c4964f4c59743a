from pathlib import Path

import keras
import pytest

from zoo.training.continuation import resume_command

TWO = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'


@pytest.mark.parametrize(
    ("backend", "environment", "command"),
    [
        ("tensorflow", {}, "python train.py --output 'runs/a b' --resume"),
        ("jax", {}, "KERAS_BACKEND=jax python train.py --output 'runs/a b' --resume"),
        ("tensorflow", {"TF_CONFIG": TWO}, "python train.py --output 'runs/a b' --resume (on every worker)"),
        (
            "tensorflow",
            {"TF_CONFIG": TWO, "KERAS_GN_LAUNCHER": "python -m zoo.training.launch --workers 2"},
            "python -m zoo.training.launch --workers 2 train.py --output 'runs/a b' --resume",
        ),
    ],
)
def test_a_run_is_continued_as_it_was_begun(monkeypatch, backend, environment, command):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert resume_command(Path("runs/a b")) == command


def test_checkpoints_come_as_often_as_before():
    expected = "python train.py --output run --resume --checkpoint-every 500steps"
    assert resume_command(Path("run"), checkpoint_every="500steps") == expected
