"""The benchmarks are commands, not a package: their folder is where they look for each other."""

import json
import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(FOLDER))


@pytest.fixture
def command(monkeypatch):
    """`command("group_norm.py", "--quick")` is the exit status of the command."""

    def run(script: str, *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(FOLDER / script), run_name="__main__")
        return ended.value.code

    return run


@pytest.fixture
def quick_run(command, tmp_path):
    """`quick_run("group_norm.py")` is the exit status, the JSON and the picture of a quick run."""

    def run(script: str, *arguments: str) -> tuple[int, dict, bytes]:
        figures, picture = tmp_path / "figures.json", tmp_path / "figures.png"
        status = command(script, "--quick", "--json", str(figures), "--plot", str(picture), *arguments)
        return status, json.loads(figures.read_text(encoding="utf-8")), picture.read_bytes()

    return run
