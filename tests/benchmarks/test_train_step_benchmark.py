"""The benchmark of a training step: a quick run end to end, and its checks on made-up figures."""

import pytest
from checks import report_checks
from timing import Spread
from train_step_cases import GROUPS, QUICK, Contender
from train_step_measurements import Step
from train_step_report import step_checks, step_table


def made_up_steps(*, train: float = 0.89, predict: float = 1.09) -> list[Step]:
    """Every contender takes 1 s for a step and 1 s for inference, but our GN as compiled by default."""
    return [
        Step(
            contender,
            group=number,
            train=Spread.of([train if contender == Contender("gn", "default") else 1.0]),
            predict=Spread.of([predict if contender == Contender("gn", "default") else 1.0]),
            peak_bytes=2_000_000_000,
            xla=contender.compile == "xla",
            kernel="native" if contender.norm == "gn" else None,
        )
        for number, group in enumerate(GROUPS)
        for contender in group
    ]


@pytest.mark.parametrize(
    ("figures", "holds"),
    [({}, [True, True]), ({"train": 0.91}, [False, True]), ({"predict": 1.11}, [True, False])],
)
def test_checks(figures, holds, capsys):
    checks = step_checks(made_up_steps(**figures))
    assert [check.holds for check in checks] == holds
    assert report_checks(checks) == int(not all(holds))
    assert ("FALLS SHORT" in capsys.readouterr().out) == (not all(holds))


def test_the_figures_are_those_measured_beside_batch_norm():
    steps = made_up_steps()
    drifted = [step for step in made_up_steps(train=0.1) if step.group == 1]
    assert step_checks([step for step in steps if step.group == 0] + drifted)[0].figure == pytest.approx(0.89)


def test_without_batch_norm_nothing_is_known():
    checks = step_checks([step for step in made_up_steps() if step.contender.norm != "bn"])
    assert [check.figure for check in checks] == [None, None]
    assert "not measured" in checks[0].line()


def test_table_has_images_per_second():
    row = step_table(made_up_steps(), batch_size=8).splitlines()[3]
    assert row.split()[:6] == ["GN,", "default", "compile", "TensorFlow", "native", "890.00"]
    assert "9.0  0.89" in row


@pytest.mark.parametrize("arguments", [("--steps", "0"), ("--batch-size", "-1"), ("--image-size", "x")])
def test_bad_arguments_end_with_2(command, arguments):
    assert command("train_step.py", *arguments) == 2


def test_a_quick_run_measures_all(quick_run, capsys):
    status, figures, picture = quick_run("train_step.py")
    assert picture.startswith(b"\x89PNG")
    contenders = [contender for group in QUICK.groups for contender in group]
    assert [row["contender"]["norm"] for row in figures["steps"]] == [contender.norm for contender in contenders]
    assert all(row["train"]["median"] > 0 < row["predict"]["median"] for row in figures["steps"])
    assert all(1e8 < row["peak_bytes"] < 1e10 for row in figures["steps"])
    assert figures["missing"] == {}
    assert status == int(not all(check["ok"] for check in figures["checks"]))
    assert "images/s" in capsys.readouterr().out
