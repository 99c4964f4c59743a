"""The benchmark of the input pipeline: one command gives the pipeline's rate and the wait of a training run."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from zoo.recipes import get_recipe

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "input_pipeline.py"


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    """`benchmark("--dataset", "digits")` is the exit code and the figures of a short run."""

    def run(*arguments: str) -> tuple[int, dict]:
        figures = tmp_path / "figures.json"
        few = ["--steps", "2", "--passes", "1", "--json", str(figures), "--max-wait-share", "1"]
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments, *few])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return ended.value.code, json.loads(figures.read_text()) if figures.exists() else {}

    return run


def test_model_norm_and_batch_size_are_the_recipes(benchmark, shared_data, capsys):
    code, figures = benchmark("--dataset", "cifar10", "--data-dir", str(shared_data / "cifar10"))
    assert code == 0
    recipe = get_recipe("cifar10")
    assert (figures["model"], figures["norm"], figures["batch_size"]) == (recipe.model, recipe.norm, recipe.batch_size)
    assert 0 < figures["wait_share"] < 1
    printed = capsys.readouterr().out
    assert "pipeline alone:" in printed
    assert "% of the time waiting for data" in printed


def test_without_a_model_only_the_pipeline_is_measured(benchmark, capsys):
    code, figures = benchmark("--model", "none", "--batch-size", "8")
    assert code == 0
    assert figures["batch_size"] == 8
    assert not {"model", "wait_share"} & set(figures)
    assert "waiting" not in capsys.readouterr().out


def test_corrupt_images_are_refused_or_skipped(benchmark, tree, capsys):
    root = tree([f"{split}/{name}" for split in ("train", "val") for name in "ab"], images=4)
    (root / "train" / "a" / "000.jpg").write_bytes(b"no image")
    arguments = ["--dataset", "folder", "--data-dir", str(root), "--model", "none", "--batch-size", "4"]
    assert benchmark(*arguments)[0] == 2
    assert "Can't read the image" in capsys.readouterr().err
    assert benchmark(*arguments, "--on-corrupt", "skip")[0] == 0
