"""The published numbers of COCO's own check are reproduced, and a wrong one is seen."""

import shutil


def test_the_published_numbers_are_reproduced(command, shared_data, capsys):
    assert command("coco_eval_check.py", str(shared_data / "coco_eval_check")) == 0
    printed = capsys.readouterr().out
    assert printed.count("ok ") == 2
    assert "0.505      0.505" in printed


def test_a_number_that_differs_fails(command, shared_data, tmp_path, capsys):
    folder = shutil.copytree(shared_data / "coco_eval_check", tmp_path / "check", copy_function=shutil.copyfile)
    folder.chmod(0o755)
    published = folder / "val2014_fake_eval_res.txt"
    published.write_text(published.read_text().replace("= 0.573", "= 0.574"))
    assert command("coco_eval_check.py", str(folder)) == 1
    assert "FALLS SHORT  box: numbers that agree to three decimals: 11.00" in capsys.readouterr().out


def test_a_folder_without_the_files(command, tmp_path, capsys):
    assert command("coco_eval_check.py", str(tmp_path)) == 2
    assert "`DIR` must hold instances_val2014_100.json. Received: DIR=" in capsys.readouterr().err
