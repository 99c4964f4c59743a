"""The proof that a detector learns by heart, in its short form; slow: the whole proof."""

import json

import pytest


def test_the_command_trains_and_tells_all_parts(command, shared_data, tmp_path, capsys):
    output = tmp_path / "run"
    folder = str(shared_data / "fruits_nuts")
    assert command("overfit_coco.py", folder, "--quick", "--output", str(output)) == 0
    printed = capsys.readouterr().out
    assert "ok           loss, last epoch over highest" in printed
    assert {"box_AP50", "mask_AP50"} <= json.loads((output / "evaluation/train/metrics.json").read_text()).keys()
    assert (output / "evaluation/train/gallery.png").exists()
    assert command("overfit_coco.py", folder, "--quick", "--output", str(output)) == 2  # nothing is trained over


def test_too_few_images(command, shared_data, tmp_path, capsys):
    assert command("overfit_coco.py", str(shared_data / "fruits_nuts"), "--images", "99") == 2
    printed = capsys.readouterr().err
    assert "`DIR` must hold 99 images that show objects, no crowds and no small ones. Received: " in printed


@pytest.mark.slow
def test_sixteen_images_of_coco_are_learned_by_heart(command, shared_data, tmp_path):
    assert command("overfit_coco.py", str(shared_data / "coco2017_mini"), "--output", str(tmp_path / "run")) == 0
