"""The parity with PyTorchVideo, run by the system's Python where it has torch; and that differences are seen."""

import subprocess

import numpy as np
import pytest
from pytorchvideo_parity import BOUNDS, compare, differences, fetch_packages, judge, torch_is_missing

SAME = dict.fromkeys(BOUNDS, 0.0)
COUNTS = {"ours": 5, "theirs": 5}


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """PyTorchVideo and what it imports."""
    if reason := torch_is_missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("packages")
    try:
        fetch_packages(folder)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"PyTorchVideo can't be fetched: {error}")
    return folder


@pytest.mark.timeout(900)
def test_a_model_computes_what_pytorchvideo_does(packages, capsys):
    """The one with kernels over time in all stages; the command compares both, on two clips."""
    found = compare(["i3d_r50"], packages, sizes=["8x224x224"])
    assert len(found) == len(BOUNDS) + 1
    assert all(check.holds for check in found), capsys.readouterr().out


def test_differences_are_seen():
    expected = {"c2": np.array([2.0, -4.0]), "logits": np.array([2.0, 4.0])}
    found = differences({"c2": np.array([2.0, -3.0]), "logits": np.array([2.5, 4.0])}, expected)
    assert found == {"c2": 0.25, "logits": 0.5}
    assert differences({"c2": np.zeros(3), "logits": expected["logits"]}, expected)["c2"] == np.inf
    assert all(check.holds for check in judge("slow_r50", {"8x224x224": SAME}, COUNTS))
    for by_size, counts, name in (
        ({"8x224x224": {**SAME, "logits": 2e-3}, "6x97x130": SAME}, COUNTS, "slow_r50: logits, of the 0.001 allowed"),
        ({"8x224x224": SAME, "6x97x130": {**SAME, "c4": 2e-4}}, COUNTS, "slow_r50: c4, of the 0.0001 allowed"),
        ({"8x224x224": SAME}, {"ours": 5, "theirs": 6}, "slow_r50: parameters, ours and theirs"),
    ):
        short = [check.name for check in judge("slow_r50", by_size, counts) if not check.holds]
        assert short == [name]


def test_without_torch_the_command_says_so(command, monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError))
    assert command("pytorchvideo_parity.py") == 2
    assert "there is no /usr/bin/python3" in capsys.readouterr().err
