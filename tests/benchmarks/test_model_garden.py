"""The benchmark beside Model Garden: its parts that need no Model Garden, with our worker as both sides."""

import subprocess
from dataclasses import replace

import pytest
from checks import report_checks
from model_garden_cases import CASES, CLASSES, FULL, MASK_SIDE, OBJECTS, SLOTS, Case, Scale, scene
from model_garden_environment import MODEL_GARDEN
from model_garden_measurements import OURS, Figures, Side, measure
from model_garden_report import garden_checks, garden_table
from peer_environment import interpreter
from timing import Spread

TINY = Scale(
    image_size=64,
    rounds=2,
    cases=(Case("inference", 1),),
    model="mask_rcnn_resnet18_fpn",
    options={"channels": 32, "units": 256, "detections": 5, "proposals_of_level": (20, 20), "region_sample": 8},
)


def made_up(*, seconds: float = 1.0, memory: int = 10**9) -> list[Figures]:
    """Theirs take 1.2 s and 1 GB for everything."""
    return [
        Figures(name, case, Spread.of([time]), most, {"parameters": 7, "detections": [100] * case.batch_size})
        for case in CASES
        for name, time, most in (("ours", seconds, memory), ("theirs", 1.2, 10**9))
    ]


@pytest.mark.parametrize(
    ("figures", "holds"),
    [({}, [True, True]), ({"seconds": 1.01}, [False, True]), ({"memory": 10**9 + 10**7}, [True, False])],
)
def test_checks(figures, holds, capsys):
    checks = garden_checks(made_up(**figures))
    assert [check.holds for check in checks] == holds * len(CASES)
    assert report_checks(checks) == int(not all(holds))
    assert "training, 2 images: our memory by theirs" in capsys.readouterr().out


def test_table():
    lines = garden_table(made_up(seconds=0.5)).splitlines()
    assert len(lines) == 2 + 3 * len(CASES)
    assert lines[6].split() == ["ours", "500.00", "±0%", "4.000", "2.40", "1.00", "1.00", "7", "100,", "100"]


def test_the_scene_is_the_same_for_both_sides():
    first, second = scene(batch_size=2, image_size=96), scene(batch_size=2, image_size=96)
    assert all((first[name] == second[name]).all() for name in first)
    is_object = first["classes"] >= 0
    assert (is_object.sum(axis=1) == OBJECTS).all()
    assert is_object.shape == (2, SLOTS)
    boxes = first["boxes"][is_object]
    assert ((boxes >= 0) & (boxes <= 96)).all()
    assert (boxes[:, 2:] - boxes[:, :2] > 1).all()
    assert first["classes"].max() < CLASSES
    assert first["masks"].shape == (2, SLOTS, MASK_SIDE, MASK_SIDE)


@pytest.mark.timeout(600)
def test_a_small_run_of_our_worker_against_itself():
    figures = measure(TINY, (OURS, Side("again", OURS.script)))
    assert [each.side for each in figures] == [OURS.name, "again"]
    assert all(each.seconds.median > 0 for each in figures)
    assert all(1e7 < each.memory < 5e9 for each in figures)
    assert [each.facts["detections"] for each in figures] == [[5], [5]]
    assert len(garden_checks(figures)) == 2


@pytest.mark.timeout(600)
def test_a_small_training_step():
    (figures,) = measure(replace(TINY, cases=(Case("training", 2),)), (OURS,))
    assert figures.seconds.median > 0
    assert 1 < figures.facts["loss"] < 100


def test_the_full_run_is_the_promised_one():
    assert (FULL.image_size, FULL.model, dict(FULL.options)) == (512, "mask_rcnn_resnet50_fpn", {})
    assert {(case.work, case.batch_size) for case in FULL.cases} == {
        (work, size) for work in ("inference", "training") for size in (1, 2)
    }


def test_the_environment_is_made_once_and_nowhere_else(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr("venv.create", lambda folder, **_: folder.mkdir())
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))
    folder = tmp_path / "new"
    assert not MODEL_GARDEN.is_complete(folder)
    MODEL_GARDEN.make(folder)
    assert MODEL_GARDEN.is_complete(folder)
    assert commands[0][0] == interpreter(folder)
    assert commands[0][-1].startswith("tf-models-official==")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("", encoding="utf-8")
    with pytest.raises(FileExistsError, match="something else"):
        MODEL_GARDEN.make(tmp_path / "other")


@pytest.mark.parametrize("arguments", [(), ("--rounds", "0"), ("--work", "sleep"), ("--batch-size", "3")])
def test_bad_arguments_end_with_2(command, arguments, tmp_path):
    environment = tmp_path / "environment"
    environment.mkdir()
    (environment / "model_garden_installed.txt").write_text("", encoding="utf-8")
    given = ("--environment", str(environment)) if arguments else ()
    assert command("model_garden.py", *given, *arguments) == 2


def test_a_folder_of_something_else_ends_with_2(command, tmp_path, capsys):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert command("model_garden.py", "--environment", str(tmp_path)) == 2
    assert "`--environment` must be a folder that is new" in capsys.readouterr().err
