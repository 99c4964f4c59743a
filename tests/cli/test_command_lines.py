"""train.py and evaluate.py as a user runs them: in this process where it is enough, else in one of their own."""

import dataclasses
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from zoo.cli import evaluate, train
from zoo.recipes import RECIPES
from zoo.training.checkpoint import newest_first

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--model", "simplenet", "--norm", "gn:groups=4", "--image-size", "8", "--batch-size", "64"]
COMMAND = [sys.executable, str(ROOT / "train.py"), *SMALL]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert train.main([*SMALL, "--epochs", "2", "--learning-rate", "0.02", "--output", str(folder)]) == 0
    return folder


def test_a_run_holds_what_the_readme_says(run_folder):
    names = {path.name for path in run_folder.iterdir()}
    files = {"config.json", "task.json", "history.csv", "curves.png", "best.keras", "metrics.json"}
    assert names == files | {"checkpoints", "logs", "export", "evaluation"}
    metrics = json.loads((run_folder / "metrics.json").read_text())
    assert set(metrics) == {"validation", "test"}
    assert 0.3 < metrics["test"]["accuracy"] <= 1
    exported = json.loads((run_folder / "export" / "assets.extra" / "metadata.json").read_text())
    assert not {"data_dir", "initial_weights"} & set(exported["training"])


def test_run_and_saved_model_score_the_same(run_folder, tmp_path, capsys):
    results = {}
    for name, source in (("run", ["--run", run_folder]), ("export", ["--saved-model", run_folder / "export"])):
        assert evaluate.main([*map(str, source), "--output", str(tmp_path / name)]) == 0
        results[name] = json.loads((tmp_path / name / "metrics.json").read_text())
        assert {path.name for path in (tmp_path / name).iterdir()} == {
            "metrics.json",
            "per_class.csv",
            "confusion_matrix.png",
        }
    trained = json.loads((run_folder / "metrics.json").read_text())["test"]
    assert results["run"] == trained
    assert results["export"]["accuracy"] == trained["accuracy"]
    assert results["export"]["loss"] == pytest.approx(trained["loss"], rel=1e-4)
    assert len(pd.read_csv(tmp_path / "run" / "per_class.csv")) == 10
    assert f"test accuracy: {trained['accuracy']:.6g}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "resnet5"], "`model` must be one of"),
        (["--model", "resnet3d18"], "`model` must be one for image classification with the data set digits"),
        (["--norm", "gm"], "Did you mean"),
        (["--norm", "gn:groups=7"], "groups"),
        (["--norm", "gn:group=8"], "groups"),
        (["--dataset", "digit"], "Did you mean digits"),
        (["--dataset", "folder", "--data-dir", "/nowhere"], "/nowhere"),
        (["--optimizer", "adam"], "Did you mean adamw"),
        (["--checkpoint-every", "often"], "`checkpoint_every` must be a number of epochs or steps"),
        (["--batch-size", "5000"], "`batch_size` times `accumulate` must be at most"),
        (["--warmup", "5 days"], "`warmup` must be a number of epochs or steps"),
        (["--recipe", "digit"], "Did you mean digits"),
        (["--initial-weights", "none.weights.h5"], "none.weights.h5"),
        (["--resume"], "`resume` needs the folder of a run"),
        (["--checkpoint-every", "0"], "`checkpoint_every` must be longer than 0"),
        (["--checkpoint-every", "0.0steps"], "`checkpoint_every` must be longer than 0"),
        (["--checkpoint-every", "0.2steps"], "`checkpoint_every` in steps must be a whole number"),
        (["--resume", "--recipe", "digits"], "`recipe` can't be changed by a resume"),
        (["--seed", "-1"], "`seed` must be between 0"),
        (["--milestones", "3,soon"], "`milestones` must be a number of epochs or steps"),
    ],
)
def test_bad_input_ends_in_one_message_and_leaves_nothing(arguments, message, tmp_path, capsys):
    assert train.main([*SMALL, *arguments, "--output", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "error: " in error
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_an_existing_run_is_refused(run_folder, capsys):
    before = (run_folder / "config.json").read_text()
    assert train.main([*SMALL, "--output", str(run_folder)]) == 2
    assert "--resume" in capsys.readouterr().err
    assert (run_folder / "config.json").read_text() == before


def test_runs_without_an_output_are_numbered_and_the_newest_resumes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # The recipe of the data set, not the command line, names the model.
    monkeypatch.setitem(RECIPES, "digits", dataclasses.replace(RECIPES["digits"], model="simplenet", steps=2))
    for arguments, name in (([], "simplenet-gn-digits"), ([], "simplenet-gn-digits-2"), (["--resume"], None)):
        assert train.main(arguments) == 0
        assert f"run folder: runs/{name or 'simplenet-gn-digits-2'}\n" in capsys.readouterr().out
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_evaluating_what_is_no_run_is_refused(tmp_path, capsys):
    assert evaluate.main(["--run", str(tmp_path)]) == 2
    assert evaluate.main(["--saved-model", str(tmp_path)]) == 2
    assert evaluate.main(["--run", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("error: ") == 3


def test_a_split_or_data_set_that_does_not_fit_is_refused(run_folder, shared_data, capsys):
    assert evaluate.main(["--run", str(run_folder), "--views", "10x3"]) == 2
    assert "`views` says nothing to image classification" in capsys.readouterr().err
    assert evaluate.main(["--run", str(run_folder), "--split", "tset"]) == 2
    assert "`split` must be one that the data has" in capsys.readouterr().err
    other = ["--dataset", "fashion_mnist", "--data-dir", str(shared_data / "fashion_mnist")]
    for source in (["--run", str(run_folder)], ["--saved-model", str(run_folder / "export")]):
        assert evaluate.main([*source, *other]) == 2
        assert "`dataset` must have the classes of the model: 0, 1, 2, 3, 4" in capsys.readouterr().err


def test_a_fresh_process_evaluates_a_run_by_a_relative_path(run_folder):
    command = [sys.executable, str(ROOT / "evaluate.py"), "--run", run_folder.name]
    done = subprocess.run(command, cwd=run_folder.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    trained = json.loads((run_folder / "metrics.json").read_text())["test"]
    assert f"test accuracy: {trained['accuracy']:.6g}" in done.stdout
    assert f"results: {run_folder.name}/evaluation/test" in done.stdout


def test_other_data_do_not_overwrite_the_result_of_the_run(run_folder):
    before = (run_folder / "evaluation" / "test" / "metrics.json").read_bytes()
    assert evaluate.main(["--run", str(run_folder), "--dataset", "digits"]) == 0
    assert (run_folder / "evaluation" / "test" / "metrics.json").read_bytes() == before
    assert (run_folder / "evaluation" / "test-digits" / "metrics.json").exists()


def test_damaged_models_are_named(run_folder, tmp_path, capsys):
    for part in ("config.json", "task.json"):
        (tmp_path / part).write_bytes((run_folder / part).read_bytes())
    (tmp_path / "best.keras").write_bytes((run_folder / "best.keras").read_bytes()[:1000])
    assert evaluate.main(["--run", str(tmp_path)]) == 2
    assert "best.keras can't be read" in capsys.readouterr().err
    shutil.copytree(run_folder / "export", tmp_path / "export")
    (tmp_path / "export" / "saved_model.pb").write_bytes(b"half")
    assert evaluate.main(["--saved-model", str(tmp_path / "export")]) == 2
    assert "`saved_model` can't be read" in capsys.readouterr().err


def test_ctrl_c_leaves_a_run_that_resumes(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [*COMMAND, "--epochs", "2000", "--output", str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline = time.monotonic() + 240
    while not list(folder.glob("checkpoints/step_*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Ctrl-C again ends at once" in error
    assert f"with a checkpoint; continue with: python train.py --output {folder} --resume" in error
    assert "Traceback" not in error
    done = json.loads((newest_first(folder / "checkpoints")[0] / "state.json").read_text())["epoch"]
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "epochs": done + 1}))
    assert train.main(["--resume", "--output", str(folder)]) == 0
    assert list(pd.read_csv(folder / "history.csv")["epoch"]) == list(range(1, done + 2))


def test_a_full_disk_ends_in_a_message_and_keeps_what_is_whole(tmp_path):
    # Files beyond this limit can't be written, as on a full disk; a checkpoint is larger.
    limit = 300_000

    def limit_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [*COMMAND, "--epochs", "1", "--output", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit_files, check=False)
    assert done.returncode == 2, done.stderr
    assert "error: Could not write" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [path for path in (tmp_path / "run").rglob("*") if path.name.startswith(".")]


DETECTOR = [
    *("--model", "mask_rcnn_resnet18_fpn", "--norm", "gn", "--dataset", "coco", "--image-size", "64"),
    *("--batch-size", "2", "--steps", "2", "--warmup", "0", "--learning-rate", "0.1"),
    *("--model-options", "channels=32", "units=16", "score_threshold=0.0", "detections=8"),
]


def test_detection_from_training_to_the_scores_of_a_saved_model(shared_data, tmp_path, capsys):
    data, run = ["--data-dir", str(shared_data / "fruits_nuts")], tmp_path / "run"
    assert train.main([*DETECTOR, *data, "--output", str(run)]) == 0
    assert "mask_AP" in capsys.readouterr().out
    trained = json.loads((run / "metrics.json").read_text())["validation"]
    history = pd.read_csv(run / "history.csv")
    assert {"objectness_loss", "anchor_box_loss", "class_loss", "box_loss", "mask_loss"} < set(history.columns)
    assert history["val_mask_AP"].iloc[-1] == pytest.approx(trained["mask_AP"], abs=1e-6)
    export, output = ["--saved-model", str(run / "export"), *data], tmp_path / "scores"
    assert evaluate.main([*export, "--split", "validation", "--output", str(output)]) == 0
    for folder in (output, run / "evaluation" / "validation"):
        files = {"metrics.json", "per_class.csv", "gallery.png", "coco_results.json"}
        assert {path.name for path in folder.iterdir()} == files
        assert len(json.loads((folder / "coco_results.json").read_text())) == 3 * 8
    assert json.loads((output / "metrics.json").read_text()) == pytest.approx(trained, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "resnet50", "--dataset", "coco"], "`model` must be one for detection with the data set coco"),
        (["--model", "mask_rcnn_resnet18_fpn"], "`model` must be one for image classification with the data set"),
        (["--model", "mask_rcnn_resnet18", "--dataset", "coco"], "Did you mean mask_rcnn_resnet18_c4"),
        (["--dataset", "coco"], "needs `data_dir`"),
        (["--freeze", "6"], "`freeze` must be from 0"),
        (["--model-options", "stm=small"], "Did you mean stem"),
        (["--model-options", "weights=x.keras"], "`option of resnet50` must be one of stem"),
        (["--augmentation", "flop"], "`augmentation` must be one of"),
        (["--dataset", "coco", "--label-smoothing", "0.1"], "`label_smoothing` says nothing to detection"),
        (["--max-objects", "8"], "`max_objects` says nothing to image classification. Received: max_objects=8"),
        (["--dataset", "coco", "--max-objects", "0"], "`max_objects` must be a positive number"),
        (["--clip", "8x8"], "`clip` says nothing to image classification. Received: clip='8x8'"),
        (["--model", "resnet3d18"], "`model` must be one for image classification with the data set digits"),
        (["--model", "resnet50", "--dataset", "kinetics"], "`model` must be one for video classification"),
        (["--dataset", "kinetics", "--clip", "8"], "Received: clip='8'"),
        (["--dataset", "kinetics", "--views", "10"], "`views` must be clips x crops, such as 10x1 or 10x3"),
        (["--dataset", "kinetics", "--augmentation", "flip"], "`augmentation` must be one of"),
    ],
)
def test_what_does_not_fit_a_task_is_refused(arguments, message, tmp_path, capsys):
    assert train.main([*arguments, "--output", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
