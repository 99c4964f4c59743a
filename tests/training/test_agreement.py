"""When workers ask each other whether to end; tests/training/test_two_workers.py has real ones."""

import pytest

from zoo.training import agreement
from zoo.training.agreement import Agreement
from zoo.training.preemption import Preemption


@pytest.fixture
def clock(monkeypatch):
    """Seconds, moved by the test."""
    now = [100.0]
    monkeypatch.setattr(agreement.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def asked(monkeypatch):
    """What a chief of several workers is asked for, without the others."""
    values = []

    def total(strategy, value):
        values.append(value)
        return value

    monkeypatch.setattr(agreement, "has_several_workers", lambda strategy: True)
    monkeypatch.setattr(agreement, "sum_over_workers", total)
    monkeypatch.setattr(agreement, "from_chief", lambda strategy, value: value)
    return values


def steps_with_a_question(agrees, clock, asked, *, steps, seconds):
    found = []
    for step in range(1, steps + 1):
        clock[0] += seconds
        before = len(asked)
        agrees.ends_after_step()
        if len(asked) > before:
            found.append(step)
    return found


def test_several_workers_ask_once_in_a_second(clock, asked):
    agrees = Agreement(None, Preemption(), seconds=1.0)
    assert steps_with_a_question(agrees, clock, asked, steps=40, seconds=0.125) == [1, 9, 17, 25, 33]


def test_they_ask_after_every_step_that_takes_longer(clock, asked):
    agrees = Agreement(None, Preemption(), seconds=1.0)
    assert steps_with_a_question(agrees, clock, asked, steps=4, seconds=3.0) == [1, 2, 3, 4]


def test_after_a_question_out_of_turn_they_count_anew(clock, asked):
    agrees = Agreement(None, Preemption(), seconds=1.0)
    steps_with_a_question(agrees, clock, asked, steps=3, seconds=0.125)
    clock[0] += 0.75
    assert not agrees.ends_now()  # two steps in a second
    assert steps_with_a_question(agrees, clock, asked, steps=4, seconds=0.5) == [2, 4]


def test_a_request_is_heard_at_the_next_question(clock, asked):
    preemption = Preemption()
    agrees = Agreement(None, preemption, seconds=1.0)
    clock[0] += 0.25
    assert not agrees.ends_after_step()
    preemption.requested = True
    assert [agrees.ends_after_step() for _ in range(4)] == [False, False, False, True]


def test_a_single_worker_ends_after_its_step():
    import tensorflow as tf

    preemption = Preemption()
    agrees = Agreement(tf.distribute.get_strategy(), preemption)
    assert [agrees.ends_after_step() for _ in range(3)] == [False] * 3
    preemption.requested = True
    assert agrees.ends_after_step()
    assert agrees.ends_now()
