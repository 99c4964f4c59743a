import math

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.recipes import get_recipe
from zoo.training.config import TrainConfig
from zoo.training.duration import in_steps
from zoo.training.schedule import learning_rate_schedule, peak_learning_rate


def rates(config, *, steps_per_epoch=10, total_steps=100):
    schedule = learning_rate_schedule(config, steps_per_epoch=steps_per_epoch, total_steps=total_steps)
    return np.array([float(schedule(step)) for step in range(total_steps)])


def config(**fields):
    return TrainConfig(**{"learning_rate": 1.0, "learning_rate_batch": None, **fields})


@pytest.mark.parametrize("text", ["", "-1", "5 days", "epochs", "1e3", "5,5"])
def test_a_bad_duration_is_refused(text):
    with pytest.raises(UserError, match="`warmup` must be a number of epochs or steps"):
        in_steps(text, 10, argument="warmup")


def test_learning_rate_scales_with_the_effective_batch():
    fields = {"learning_rate": 0.1, "learning_rate_batch": 256, "batch_size": 64}
    assert peak_learning_rate(TrainConfig(**fields)) == pytest.approx(0.025)
    assert peak_learning_rate(TrainConfig(**fields, accumulate=4)) == pytest.approx(0.1)
    assert peak_learning_rate(TrainConfig(**{**fields, "learning_rate_batch": None})) == 0.1


def test_cosine_falls_from_the_peak_to_zero():
    expected = [(1 + math.cos(math.pi * step / 100)) / 2 for step in range(100)]
    np.testing.assert_allclose(rates(config(schedule="cosine")), expected, atol=1e-6)


def test_step_divides_by_ten_at_every_milestone():
    by_epoch = rates(config(schedule="step", milestones=("3", "60steps", "9epochs")))
    np.testing.assert_allclose(by_epoch[[0, 30, 31, 60, 61, 90, 91]], [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001], rtol=1e-5)


def test_step_without_milestones_takes_the_papers():
    default = rates(config(schedule="step"))
    np.testing.assert_allclose(default, rates(config(schedule="step", milestones=("3", "6", "9"))))


def test_shares_are_of_the_whole_run():
    by_share = rates(config(schedule="step", warmup="10%", milestones=("30%", "60%")))
    np.testing.assert_allclose(by_share, rates(config(schedule="step", warmup="10steps", milestones=("3", "6"))))
    assert in_steps("12.5 %", 10, total_steps=80) == 10


@pytest.mark.parametrize(
    ("name", "steps", "milestones"),
    [
        ("coco", 90_000, (60_000, 80_000)),
        ("coco_2x", 180_000, (120_000, 160_000)),
        ("coco_3x", 270_000, (210_000, 250_000)),
        ("coco_6x", 540_000, (480_000, 520_000)),
    ],
)
def test_coco_has_the_published_schedules_in_whole_epochs(name, steps, milestones):
    recipe, epoch = get_recipe(name), 118_287 // 16
    total = recipe.epochs * epoch
    assert abs(total - steps) <= epoch / 2
    schedule = learning_rate_schedule(recipe, steps_per_epoch=epoch, total_steps=total)
    for drops, milestone in enumerate(milestones):
        at = milestone / steps * total
        assert float(schedule(round(at * 0.999))) == pytest.approx(0.02 * 0.1**drops)
        assert float(schedule(round(at * 1.001))) == pytest.approx(0.02 * 0.1 ** (drops + 1))


def test_a_milestone_that_never_comes_is_told(caplog):
    rates(config(schedule="step", milestones=("3", "9")))
    assert not caplog.text
    rates(config(schedule="step", milestones=("3", "20")))
    assert "never divided by its last milestone, 20: the run ends after 100 steps" in caplog.text


def test_milestones_must_rise():
    with pytest.raises(UserError, match="`milestones` must rise"):
        rates(config(schedule="step", milestones=("6", "3")))


def test_warmup_is_linear_and_ends_at_the_peak():
    warm = rates(config(schedule="constant", warmup="2"))
    np.testing.assert_allclose(warm[:20], np.arange(1, 21) / 20, rtol=1e-6)
    np.testing.assert_allclose(warm[20:], 1)
