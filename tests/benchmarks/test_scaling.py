"""The benchmark of several workers: a quick run end to end, its formulas, and its checks on made-up figures."""

import json
import re

import pytest
from checks import report_checks
from scaling_cases import Case
from scaling_measurements import Measured
from scaling_plan import Assumptions, ModelCount, bandwidth, count_model, plan_table, ring_bytes, sync_bn_seconds
from scaling_report import all_reduce_part, extras_table, step_checks, step_table, traced_checks
from timing import Spread

GOOD = {
    "one": 1.0,
    "one_with_all": 2.0,
    "two": 1.2,
    "without": 1.0,
    "all_reduce": 0.1,
    "question": 0.001,
    "agreement": 0.01,
    "save": 0.1,
    "write": 0.2,
}


def made_up(**figures: float) -> Measured:
    spreads = {name: Spread.of([value]) for name, value in {**GOOD, **figures}.items()}
    return Measured(Case("resnet18", "gn", image_size=16, batch=32), **spreads)


@pytest.mark.parametrize(
    ("figures", "failing"),
    [
        ({}, []),
        ({"one": 0.7}, ["same batch a worker"]),
        ({"one_with_all": 1.4}, ["same batch in all"]),
        ({"without": 0.6}, ["sum of the gradients"]),
        ({"save": 0.6}, ["a checkpoint"]),
        ({"agreement": 0.03}, ["SIGTERM"]),
    ],
)
def test_checks(figures, failing, capsys):
    checks = step_checks(made_up(**figures))
    fell_short = [check.name for check in checks if not check.holds]
    assert len(fell_short) == len(failing)
    assert all(word in name for word, name in zip(failing, fell_short, strict=True))
    assert report_checks(checks) == int(bool(failing))
    capsys.readouterr()


def test_tables_have_the_part_of_the_sum():
    assert all_reduce_part(made_up()) == pytest.approx(1 / 6)
    row = step_table([made_up()]).splitlines()[3]
    assert row.split()[:5] == ["resnet18,", "gn,", "16", "px", "32"]
    assert "17%" in row
    assert "1.0%" in extras_table([made_up()])


def test_formulas():
    model = ModelCount("resnet50", parameters=25_000_000, layers=53, channels=26_560)
    assumed = Assumptions(step_seconds=0.1, share=0.1, latency_seconds=1e-5)
    assert ring_bytes(model.parameters, 8) == 175e6
    assert bandwidth(model, 8, assumed) == pytest.approx(17.5e9)
    assert model.sync_bn_collectives == 265
    assert model.sync_bn_values == 132_800
    assert sync_bn_seconds(model, 512, assumed) == pytest.approx(265 * 9 * 1e-5)


def test_models_are_counted():
    found = count_model("resnet18")
    assert (found.parameters, found.layers, found.channels) == (11_689_512, 20, 4800)


def test_a_graph_that_holds_more_than_the_formula_is_seen():
    counts = {"resnet18": ModelCount("resnet18", parameters=100, layers=2, channels=6)}
    steps = {
        "gn": {"parameters": 90, "collectives": 1, "values": 90},
        "gn, clipped": {"parameters": 90, "collectives": 1, "values": 90},
        "sync_bn": {"parameters": 90, "collectives": 11, "values": 120},
    }
    assert all(check.holds for check in traced_checks({"resnet18": steps}, counts))
    for label, name in (("gn", "collectives"), ("gn, clipped", "values"), ("sync_bn", "collectives")):
        more = {**steps, label: {**steps[label], name: steps[label][name] + 1}}
        checks = traced_checks({"resnet18": more}, counts)
        assert [check.name.split(":")[0] for check in checks if not check.holds] == [f"resnet18, {label}"]


def test_the_plan_has_a_column_for_each_number_of_gpus(capsys):
    model = ModelCount("resnet50", parameters=25_000_000, layers=53, channels=26_560)
    table = plan_table([model], Assumptions(0.1, share=0.1, latency_seconds=1e-5, gpus=(8, 16), images=64))
    row = next(line for line in table.splitlines() if line.split()[:1] == ["resnet50"])
    assert row.split() == ["resnet50", "25,000,000", "175.0", "187.5", "17.50", "18.75", "200"]
    assert "5,120 images/s on 8 GPUs, 10,240 images/s on 16 GPUs" in table


def test_the_plan_counts_all_models_and_traces_none(command, capsys, monkeypatch):
    monkeypatch.setattr("worker.start_worker", lambda *arguments: pytest.fail("traced"))
    assert command("scaling.py", "--plan", "--gpus", "2") == 0
    printed = capsys.readouterr().out
    for name, parameters in (("resnet18", "11,689,512"), ("resnet152", "60,192,808")):
        assert re.search(rf"{name} +{parameters} ", printed)


@pytest.mark.parametrize(
    "arguments", [("--share", "0"), ("--step-milliseconds", "nan"), ("--latency-microseconds", "x"), ("--gpus", "1")]
)
def test_bad_arguments_end_with_2(command, arguments):
    assert command("scaling.py", "--plan", *arguments) == 2


def test_a_quick_run_measures_all(command, tmp_path, capsys):
    file = tmp_path / "figures.json"
    status = command("scaling.py", "--quick", "--json", str(file))
    figures = json.loads(file.read_text(encoding="utf-8"))
    measured = figures["measured"][0]
    assert all(measured[name]["median"] > 0 for name in GOOD)
    assert figures["traced"]["simplenet"]["sync_bn"]["collectives"] == 16
    counted = [check for check in figures["checks"] if "off the formula" in check["name"]]
    assert len(counted) == 4
    assert all(check["ok"] for check in counted)
    assert status == int(not all(check["ok"] for check in figures["checks"]))
    assert re.search(r"resnet18 +11,689,512 ", capsys.readouterr().out)
