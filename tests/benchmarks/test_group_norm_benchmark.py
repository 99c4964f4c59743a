"""The benchmark of the layer: a quick run end to end, and its checks on made-up figures."""

import importlib.util
from dataclasses import replace

import pytest
from checks import report_checks
from group_norm_cases import CONTENDERS, DTYPES, QUICK, SHAPES, Case, Contender, cases, core_cases
from group_norm_checks import core_checks, memory_checks, statistics_bytes, time_checks
from group_norm_measurements import Growth, Time
from timing import Spread

# By the time of a copy; forward and backward take twice that. Every check holds, but none by far.
FACTORS = {"copy": 1.0, "keras_gn": 8.0, "keras_bn": 4.0, "portable": 5.0, "native": 1.5, "jax": 3.0, "torch": 1.0}


def made_up_times(**changed: float) -> list[Time]:
    factors = FACTORS | changed
    return [
        Time(contender, case, Spread.of([factors[contender.name] * (1 + case.backward) * 1e-3]))
        for case in cases(SHAPES)
        for contender in CONTENDERS
    ]


def failing(checks):
    return [check.name for check in checks if not check.holds]


def test_all_checks_hold_on_good_figures(capsys):
    checks = time_checks(made_up_times())
    assert len(checks) == 17
    assert report_checks(checks) == 0
    assert "FALLS SHORT" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "short"),
    [
        ({"keras_gn": 7.4}, ["native, forward + backward, float32: times as fast as Keras' GN"]),
        ({"keras_bn": 3.7}, ["native, forward + backward, float32: times as fast as Keras' BN in training"]),
        ({"copy": 0.93}, ["native, forward, float32, 3 MB and more: time by that of a copy"]),
    ],
)
def test_a_figure_beyond_its_bound_falls_short(changed, short, capsys):
    checks = time_checks(made_up_times(**changed))
    assert failing(checks) == short
    assert report_checks(checks) == 1
    assert f"FALLS SHORT  {short[0]}" in capsys.readouterr().out


def test_portable_is_held_to_its_bound_in_each_mode_and_type():
    assert len(failing(time_checks(made_up_times(portable=6.0)))) == 8


def test_one_slow_shape_is_found_among_many():
    slow = Case((8, 7, 7, 2048), "bfloat16", backward=True)
    times = [
        replace(time, seconds=Spread.of([1.0])) if (time.case, time.contender) == (slow, portable) else time
        for portable in [Contender("portable", "xla")]
        for time in made_up_times()
    ]
    (check,) = (check for check in time_checks(times) if "never slower" in check.name and not check.holds)
    assert check.name.startswith("portable, bfloat16, xla")
    assert check.note == "worst 0.02 at 8x7x7x2048"


def test_bfloat16_must_not_be_slower():
    times = [
        replace(time, seconds=Spread.of([1.01 * time.seconds.median])) if time.case.dtype == "bfloat16" else time
        for time in made_up_times()
    ]
    assert failing(time_checks(times)) == [
        "native, forward: time in bfloat16 by that in float32",
        "native, forward + backward: time in bfloat16 by that in float32",
    ]


def test_a_missing_contender_falls_short_and_small_maps_are_not_held_to_the_copy():
    without = [time for time in made_up_times() if time.contender.name != "native"]
    assert len(failing(time_checks(without))) == 5
    small = [time for time in made_up_times(copy=0.1) if time.case.shape == (1, 7, 7, 2048)]
    assert failing(time_checks(small)) == []


@pytest.mark.parametrize(("seconds_on_two", "holds"), [(0.6, True), (0.65, False)])
def test_cores(seconds_on_two, holds):
    times = [
        Time(Contender("native", "plain"), case, Spread.of([seconds]), cores=cores)
        for case in core_cases(SHAPES)
        for cores, seconds in ((1, 1.0), (2, seconds_on_two))
    ]
    assert [check.holds for check in core_checks(times)] == [holds] * 2
    assert failing(core_checks([])) == [check.name for check in core_checks(times)]


@pytest.mark.parametrize(("extra", "holds"), [(0, True), (1.1, False)])
def test_memory(extra, holds):
    growths = []
    for dtype in DTYPES:
        case = Case((32, 56, 56, 256), dtype, backward=True)
        copies = 10**8
        growths += [
            Growth(Contender("copies", "plain"), case, copies),
            Growth(Contender("native", "plain"), case, int(copies * (1 + extra)) + statistics_bytes(case)),
        ]
    assert [check.holds for check in memory_checks(growths)] == [holds] * 2
    assert [check.holds for check in memory_checks(growths[:1])] == [False] * 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--shapes", "8x7x7x33"),
        ("--shapes", "nonsense"),
        ("--shapes", "8x1x1x32"),
        ("--repeats", "0"),
        ("--plot", "x.png", "--only", "cores"),
        ("--contenders", "nobody"),
    ],
)
def test_bad_arguments_end_with_2(command, arguments):
    assert command("group_norm.py", *arguments) == 2


@pytest.mark.usefixtures("native_kernel_is_built")
def test_a_quick_run_measures_all(quick_run, capsys):
    status, figures, picture = quick_run("group_norm.py")
    printed = capsys.readouterr().out
    assert picture.startswith(b"\x89PNG")
    assert "Plain, bfloat16, forward + backward" in printed
    missing = set(figures["missing"])
    assert missing == {name for name in ("jax", "torch") if importlib.util.find_spec(name) is None}
    measured = [contender for contender in CONTENDERS if contender.name not in missing]
    assert len(figures["times"]) == len(cases(QUICK.shapes)) * len(measured)
    assert {row["contender"]["name"] for row in figures["times"]} == set(FACTORS) - missing
    assert all(0 < row["seconds"]["low"] <= row["seconds"]["high"] < 10 for row in figures["times"])
    assert [row["cores"] for row in figures["cores"]] == [1, 2, 1, 2]
    assert {row["contender"]["name"] for row in figures["memory"]} == {"copies", "native"}
    assert None not in [check["figure"] for check in figures["checks"]]
    assert status == int(not all(check["ok"] for check in figures["checks"]))
    assert {"cpu", "cpus", "versions"} <= set(figures["machine"])


def test_without_the_native_kernel_the_command_says_so_and_fails(command, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert command("group_norm.py", "--quick", "--only", "cores") == 1
    printed = capsys.readouterr().out
    assert "native can't be measured: The native kernel is not built" in printed
    assert "batch 1: times as fast on two cores as on one: not measured" in printed
