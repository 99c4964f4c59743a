"""Runs code on another backend of Keras."""

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


@pytest.fixture
def run_on():
    """`run_on(backend, code)` runs code in a process of its own, since a backend is for life; skips without it."""

    def run(backend, code):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        tests = Path(__file__).resolve().parents[1]
        paths = os.pathsep.join([str(tests), str(tests.parent)])
        environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths}
        command = [sys.executable, "-W", "error::RuntimeWarning", "-c", textwrap.dedent(code)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr

    return run
