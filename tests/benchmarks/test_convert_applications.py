"""The benchmark of the applications: a quick run end to end, its builders, and its checks on made-up figures."""

import doctest
import json
from dataclasses import replace

import convert_applications_builders
import convert_applications_report
import keras
import numpy as np
import pytest
from checks import report_checks
from convert_applications_builders import batch_norms, build, find_builders, randomize_batch_norms
from convert_applications_report import conversion_checks, conversion_table
from convert_applications_steps import STEPS, Conversion, convert_application
from tqdm import tqdm

GOOD = Conversion("ResNet50", (64, 64, 3), 53, 0, 25_636_712, 2.0, 3.9, ())


def test_a_quick_run_converts_its_models(command, tmp_path, capsys):
    path = tmp_path / "figures.json"
    status = command("convert_applications.py", "--quick", "--json", str(path))
    figures = json.loads(path.read_text(encoding="utf-8"))
    assert [(row["name"], row["batch_norms"]) for row in figures["conversions"]] == [
        ("MobileNetV3Small", 34),
        ("MobileNet", 27),
    ]
    assert all(row["problems"] == [] and row["kept"] == 0 for row in figures["conversions"])
    assert figures["checks"][0]["ok"]
    assert status == int(not all(check["ok"] for check in figures["checks"]))
    printed = capsys.readouterr().out
    assert "MobileNetV3Small" in printed
    assert "Without BatchNormalization: none" in printed


def test_a_model_without_batch_norm_is_passed_over(capsys):
    with tqdm(total=len(STEPS)) as progress:
        assert convert_application("ConvNeXtTiny", progress) is None
        assert progress.n == len(STEPS)


def test_an_unknown_model_ends_with_2(command, capsys):
    assert command("convert_applications.py", "--models", "ResNet51") == 2
    assert "ResNet51" in capsys.readouterr().err


def test_builders_are_those_of_keras_each_once():
    builders = find_builders()
    families = ("ResNet", "DenseNet", "MobileNet", "EfficientNet", "Inception", "Xception", "NASNet", "VGG", "ConvNeXt")
    assert all(any(name.startswith(family) for name in builders) for family in families)
    assert len(set(builders.values())) == len(builders)
    assert {"preprocess_input", "decode_predictions"}.isdisjoint(builders)
    public = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(builders) == public


@pytest.mark.parametrize("module", [convert_applications_builders, convert_applications_report])
def test_doctests(module):
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed


def test_batch_norms_are_made_random_everywhere():
    model = build("MobileNetV3Small")
    randomize_batch_norms(model)
    for layer in batch_norms(model):
        assert all(np.std(weight) > 0.1 for weight in layer.get_weights())
        assert np.min(layer.moving_variance) > 0.4


@pytest.mark.parametrize(
    ("changed", "holds"),
    [
        ({}, [True, True]),
        ({"convert_seconds": 4.1}, [True, False]),
        ({"problems": ("export: outputs differ by 1.0e-01",)}, [False, True]),
        ({"problems": ("convert: ValueError: no",), "convert_seconds": None}, [False, True]),
    ],
)
def test_checks(changed, holds, capsys):
    conversions = [GOOD, replace(GOOD, name="Xception", **changed)]
    checks = conversion_checks(conversions)
    assert [check.holds for check in checks] == holds
    assert report_checks(checks) == int(not all(holds))
    assert ("FALLS SHORT" in capsys.readouterr().out) == (not all(holds))


def test_nothing_converted_is_not_good_enough():
    assert not any(check.holds for check in conversion_checks([]))
    assert not conversion_checks([replace(GOOD, convert_seconds=None)])[1].holds


def test_the_table_says_what_is_wrong():
    bad = replace(GOOD, name="Xception", problems=("train: the loss is nan",))
    header, good, row, problem = conversion_table([GOOD, bad]).splitlines()
    assert header.split()[0] == "model"
    assert good.split() == ["ResNet50", "64", "53", "0", "25,636,712", "2.00", "3.90", "1.95", "ok"]
    assert row.split()[-1] == "wrong"
    assert problem.strip() == "Xception: train: the loss is nan"
