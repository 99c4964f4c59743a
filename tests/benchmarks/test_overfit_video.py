"""The proof that the path of videos works, in its short form; slow: the whole proof."""

import json

import pytest


def test_the_command_trains_scores_and_exports(command, shared_data, tmp_path, capsys):
    output = tmp_path / "run"
    folder = str(shared_data / "kinetics_like")
    assert command("overfit_video.py", folder, "--quick", "--output", str(output)) == 0
    assert "ok           SavedModel: difference of the loss" in capsys.readouterr().out
    scores = json.loads((output / "scores-run-validation/metrics.json").read_text())
    assert {"accuracy", "top5_accuracy", "loss"} < scores.keys()
    assert scores["examples"] == 9
    assert (output / "scores-run-validation/clips.png").exists()
    assert command("overfit_video.py", folder, "--quick", "--output", str(output)) == 2  # nothing is trained over


@pytest.mark.slow
def test_the_clips_are_learned(command, shared_data, tmp_path):
    assert command("overfit_video.py", str(shared_data / "kinetics_like"), "--output", str(tmp_path / "run")) == 0
