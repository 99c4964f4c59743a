"""What the benchmarks share: worker processes, samples, and the doctests of their modules."""

import doctest
import importlib
import os
import re
import time
from pathlib import Path

import pytest
import worker as worker_module
from inflation_borders import changes, table
from timing import Sampler, alternate
from worker import WorkerError, start_worker

SCRIPT = """
import os, sys
sys.path.insert(0, {folder!r})
from worker import serve

def chatter():
    print("no answer")
    return "answer"

serve({{"add": lambda a, b: a + b, "chatter": chatter, "fail": lambda: 1 / 0, "pid": os.getpid}})
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(folder=str(Path(worker_module.__file__).parent)), encoding="utf-8")
    return path


def test_a_worker_answers_and_ends_with_the_block(script):
    with start_worker(script) as worker:
        assert worker.ask("add", a=1, b=2) == 3
        assert worker.ask("chatter") == "answer"
        assert worker.ask("add", a=[1], b=["x"]) == [1, "x"]
        pid = worker.ask("pid")
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_that_fails_says_why(script):
    with start_worker(script) as worker:
        with pytest.raises(WorkerError, match="ZeroDivisionError"):
            worker.ask("fail")
        with pytest.raises(WorkerError, match="ended with status 1"):
            worker.ask("add", a=1, b=2)


def test_an_error_in_the_block_ends_the_worker(script):
    found = []

    def interrupted() -> None:
        with start_worker(script) as worker:
            found.append(worker.ask("pid"))
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    with pytest.raises(ProcessLookupError):
        os.kill(found[0], 0)


def test_a_sample_lasts_long_enough_and_is_divided_by_its_calls():
    asked = []

    def run(calls):
        asked.append(calls)
        time.sleep(calls * 0.001)

    sample = Sampler(run, seconds=0.01)()
    assert 0.001 <= sample < 0.1
    assert asked[0] == 1
    assert asked[-1] > 1


def test_contenders_take_turns():
    order = []
    samplers = {name: lambda name=name: order.append(name) or 1.0 for name in "abc"}
    assert alternate(samplers, rounds=2) == {"a": [1.0, 1.0], "b": [1.0, 1.0], "c": [1.0, 1.0]}
    assert order == ["a", "b", "c"] * 2


@pytest.mark.parametrize("name", ["checks", "group_norm", "group_norm_cases", "group_norm_checks", "tables", "timing"])
def test_doctests(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed


def test_inflation_borders():
    """Of four frames, the stem sees three or four; two would be equal, and norms take out how loud they are."""
    found = changes("gn", frames=4, size=32)
    assert all(0.01 < change < 3 for pair in found.values() for change in pair), found
    assert re.fullmatch(
        r".* c2 +c3 +c4 +c5\n  gn, 4 frames( +\d\.\de-0\d / \d\.\de-0\d){4}\n", table({("gn", 4): found})
    )


def test_the_gradient_of_a_strided_3d_convolution_is_fast(command, capsys):
    assert command("conv3d.py", "--frames", "4", "--image-size", "24", "--rounds", "1") == 0
    assert re.search(r"keras +\d.* ms\nkeras_gn +\d.* ms\n", capsys.readouterr().out)
