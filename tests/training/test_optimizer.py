import keras
import numpy as np
import pytest

from zoo.training.config import TrainConfig
from zoo.training.optimizer import make_optimizer


def model_with_norm():
    return keras.Sequential([keras.Input([3]), keras.layers.Dense(4, name="fc"), keras.layers.BatchNormalization()])


def apply(config, model, gradients):
    """The variables' values after a step for each list of gradients."""
    optimizer = make_optimizer(config, config.learning_rate, model)
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in step], model.trainable_variables)
    return [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]


def random_gradients(model, steps):
    rng = np.random.default_rng(0)
    return [[rng.normal(size=v.shape).astype("float32") for v in model.trainable_variables] for _ in range(steps)]


def reference_sgd(values, gradients, *, rate, momentum, l2):
    """SGD as Caffe2 and torch define it, one weight at a time."""
    values = [np.array(v, "float64") for v in values]
    velocity = [np.zeros_like(v) for v in values]
    for step in gradients:
        for index, gradient in enumerate(step):
            decayed = gradient + l2[index] * values[index]
            velocity[index] = momentum * velocity[index] + decayed
            values[index] = values[index] - rate * velocity[index]
    return values


@pytest.mark.parametrize("decay_norm", [True, False])
def test_sgd_decays_through_the_momentum(decay_norm):
    config = TrainConfig(learning_rate=0.1, weight_decay=0.05, decay_norm=decay_norm)
    model = model_with_norm()
    start = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    gradients = random_gradients(model, 4)
    norm = [variable.name in ("gamma", "beta") for variable in model.trainable_variables]
    assert sum(norm) == 2
    l2 = [0.05 if decay_norm or not is_norm else 0.0 for is_norm in norm]
    expected = reference_sgd(start, gradients, rate=0.1, momentum=0.9, l2=l2)
    for value, reference in zip(apply(config, model, gradients), expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-6)


def test_adamw_leaves_the_norm_undecayed_when_told_to():
    config = TrainConfig(optimizer="adamw", learning_rate=0.1, weight_decay=0.5, decay_norm=False)
    model = model_with_norm()
    nothing = [[np.zeros(v.shape, "float32") for v in model.trainable_variables]]
    kernel, _, gamma, _ = (keras.ops.convert_to_numpy(v) for v in model.trainable_variables)
    after = apply(config, model, nothing)
    np.testing.assert_allclose(after[0], kernel * (1 - 0.1 * 0.5), rtol=1e-5)
    np.testing.assert_array_equal(after[2], gamma)


def test_the_clip_bounds_the_norm_of_the_whole_gradient():
    config = TrainConfig(learning_rate=1.0, momentum=0.0, weight_decay=0.0, clip_norm=0.5)
    model = model_with_norm()
    before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    after = apply(config, model, random_gradients(model, 1))
    change = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(after, before, strict=True)))
    assert change == pytest.approx(0.5, rel=1e-4)
