"""What ends a program before its command line is parsed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
@pytest.mark.parametrize("module", ["torch = None", None])
def test_a_backend_that_cannot_start_is_told_in_one_line(script, module, tmp_path):
    if module:  # as where it isn't installed
        (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    environment = {**os.environ, "KERAS_BACKEND": "torch" if module else "pytorch", "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(ROOT / script), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2, done.stderr
    assert "error: Keras can't start on its backend" in done.stderr
    assert "torch" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_importing_is_no_traceback(tmp_path):
    (tmp_path / "keras.py").write_text(f"import os; os.kill(os.getpid(), {int(signal.SIGINT)})")
    command = [sys.executable, str(ROOT / "train.py")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 130
    assert not done.stderr
