"""The benchmark of what conversion keeps: a quick run end to end, its checks on made-up figures, and its data."""

import doctest
import importlib
import json

import keras
import numpy as np
import pytest
from checks import report_checks
from convert_accuracy_cells import GROUPINGS, MODES, Cell
from convert_accuracy_report import BOUNDS, accuracy_checks, model_table
from convert_models import ALL_RECIPES, HARDER_RECIPES, RECIPES, train_missing
from convert_models_data import Augmented, load_split


def made_up_cells(**shares: float) -> list[Cell]:
    """A model with 80 % under batch normalization; of that, each promise is just kept, or what `shares` say."""
    bounds = dict(zip(("fixed", "fixed_calibrated", "auto", "auto_calibrated", "auto_distilled"), BOUNDS, strict=True))
    kept = dict(BOUNDS) | {bounds[name]: share for name, share in shares.items()}
    cells = [Cell("net", *cell, "f", 0.8 * share / 100) for cell, share in kept.items()]
    return [Cell("net", None, None, "f", 0.8), *cells]


@pytest.mark.parametrize(
    ("shares", "short"),
    [
        ({}, []),
        ({"fixed": 94.9}, [0]),
        ({"fixed_calibrated": 96.9}, [1]),
        ({"auto": 97.9}, [2]),
        ({"auto_calibrated": 98.9}, [3]),
        ({"auto_distilled": 99.4}, [4]),
        ({"fixed": 101, "auto": 12.5}, [2]),
    ],
)
def test_checks(shares, short, capsys):
    checks = accuracy_checks(made_up_cells(**shares), ["net"])
    assert [number for number, check in enumerate(checks) if not check.holds] == short
    assert report_checks(checks) == int(bool(short))
    assert capsys.readouterr().out.count("FALLS SHORT  net, ") == len(short)


def test_what_was_not_measured_falls_short():
    cells = made_up_cells()
    assert not any(check.holds for check in accuracy_checks(cells[1:], ["net"]))
    assert [check.holds for check in accuracy_checks(cells[:-1], ["net"])] == [True] * 4 + [False]
    assert not any(check.holds for check in accuracy_checks(cells, ["another"]))


def test_table():
    lines = model_table(made_up_cells(), "net").splitlines()
    assert lines[0] == "net: 80.00 with batch normalization"
    assert [cell.strip() for cell in lines[1].split("  ") if cell] == ["gamma and beta", *GROUPINGS]
    statistics = next(line for line in lines if "statistics" in line)
    assert statistics.replace("(", "").split() == ["statistics", "78.40", "98.0)", "76.00", "95.0)", "-", "-", "-"]


def test_a_quick_run_goes_on_from_its_json(command, tmp_path, capsys):
    figures = tmp_path / "figures.json"
    arguments = ("--quick", "--json", str(figures), "--models-dir", str(tmp_path))
    status = command("convert_accuracy.py", *arguments)
    content = json.loads(figures.read_text(encoding="utf-8"))
    cells = [(cell["grouping"], cell["mode"]) for cell in content["cells"]]
    assert cells == [(None, None)] + [(grouping, mode) for grouping in GROUPINGS for mode in MODES]
    assert all(0 <= cell["accuracy"] <= 1 for cell in content["cells"])
    assert status == int(not all(check["ok"] for check in content["checks"]))
    assert "tiny_resnet" in capsys.readouterr().out
    del content["cells"][3]
    content["cells"][4]["accuracy"] = 0.0123
    figures.write_text(json.dumps(content), encoding="utf-8")
    command("convert_accuracy.py", *arguments)
    again = json.loads(figures.read_text(encoding="utf-8"))["cells"]
    assert len(again) == len(cells)
    assert again[4]["accuracy"] == 0.0123
    assert "1.23" in capsys.readouterr().out


def test_another_json_is_refused(command, tmp_path, capsys):
    other = tmp_path / "other.json"
    other.write_text("[1]", encoding="utf-8")
    # A stand-in for a trained model, which is found and so not trained.
    (tmp_path / "tiny_resnet.keras").write_bytes(b"")
    assert command("convert_accuracy.py", "--quick", "--json", str(other), "--models-dir", str(tmp_path)) == 2
    assert "`--json` must be a file of this command" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["convert_accuracy.py", "convert_models.py"])
@pytest.mark.parametrize("arguments", [("--models", "nonesuch"), ("--unknown",)])
def test_bad_arguments_end_with_2(command, script, arguments):
    assert command(script, *arguments) == 2


def test_missing_data_ends_in_a_message(command, tmp_path, capsys):
    arguments = ("--data-dir", str(tmp_path), "--output", str(tmp_path / "models"), "--models", "cifar_resnet")
    assert command("convert_models.py", *arguments) == 2
    assert "cifar10" in capsys.readouterr().err


def test_a_model_that_is_there_is_kept(tmp_path):
    path = tmp_path / "small_resnet.keras"
    path.write_bytes(b"kept")
    train_missing(["small_resnet"], tmp_path, data_dir=None)
    assert path.read_bytes() == b"kept"


@pytest.mark.parametrize("name", [name for name in ALL_RECIPES if "net1" not in name and "50" not in name])
def test_the_networks_fit_their_data(name):
    sides = {"cifar10": (32, 32, 3), "fashion_mnist": (28, 28, 1), "digits": (64, 64, 3)}
    model = ALL_RECIPES[name].build()
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert model.input_shape == (None, *sides[ALL_RECIPES[name].dataset])
    assert model.output_shape == (None, 10)
    assert {norm.momentum for norm in norms} == {0.95}


def test_every_promised_kind_of_model_has_a_recipe():
    assert [recipe.dataset for recipe in RECIPES.values()].count("digits") == 3
    assert {recipe.dataset for recipe in ALL_RECIPES.values()} == {"cifar10", "fashion_mnist", "digits"}


def test_digits_are_split_by_class_without_overlap():
    x_train, y_train, x_test, y_test = load_split("digits", None)
    assert x_train.dtype == np.float32
    assert (x_train.min(), x_train.max()) == (0.0, 1.0)
    np.testing.assert_allclose(np.bincount(y_test) / np.bincount(np.concatenate([y_train, y_test])), 0.3, atol=0.003)
    train, test = ({image.tobytes() for image in images} for images in (x_train, x_test))
    assert not train & test


def test_images_are_standardized_but_for_the_raw_models():
    images = np.random.default_rng(0).uniform(0, 1, [3, 8, 8, 3]).astype("float32")
    images[2] = 0.5  # no deviation at all
    prepared = RECIPES["small_resnet"].prepared(images)
    np.testing.assert_allclose(prepared[:2].std(axis=(1, 2, 3)), 1, rtol=1e-5)
    np.testing.assert_allclose(prepared.mean(axis=(1, 2, 3)), 0, atol=1e-6)
    assert HARDER_RECIPES["raw_cifar_resnet"].prepared(images) is images


def test_augmentation_shifts_mirrors_and_prepares():
    images = np.arange(1, 7 * 5 * 4 * 3 + 1, dtype="float32").reshape(7, 5, 4, 3)
    batches = Augmented(images, np.arange(7), batch_size=3, shift=1, flip=True, prepare=np.negative, seed=0)
    assert len(batches) == 2
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    seen = set()
    for index in list(range(2)) * 60:
        batch, one_hot = batches[index]
        for image, label in zip(batch, one_hot.argmax(-1), strict=True):
            seen |= {
                (top, left, step)
                for top in range(3)
                for left in range(3)
                for step in (1, -1)
                if np.array_equal(-padded[label, top : top + 5, left : left + 4][:, ::step], image)
            }
        if index:
            batches.on_epoch_end()
    assert len(seen) == 18


@pytest.mark.parametrize("name", ["convert_accuracy_report", "convert_models_data"])
def test_doctests(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed
