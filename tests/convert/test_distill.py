"""Distillation: what it brings back, what it leaves alone, its losses by NumPy, and what it refuses."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_gn.convert import conversion_report, convert_bn_to_gn, distill
from keras_gn.convert.distill import _held_out
from keras_gn.layers import GroupNormalization
from zoo import data

GENERATOR = np.random.default_rng(0)
VECTORS = GENERATOR.normal(size=(24, 6)).astype("float32")


def small_network():
    """With everything that behaves differently in training."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            GroupNormalization(4),
            layers.ReLU(),
            layers.Conv2D(16, 3, padding="same", strides=2, use_bias=False),
            GroupNormalization(4),
            layers.ReLU(),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def perturbed(teacher):
    """A copy whose normalizations have other gammas and betas."""
    student = keras.models.clone_model(teacher)
    student.set_weights(teacher.get_weights())
    generator = np.random.default_rng(1)
    for layer in student.layers:
        if isinstance(layer, GroupNormalization):
            layer.set_weights([w + generator.normal(0, 1.0, w.shape) for w in layer.get_weights()])
    return student


@pytest.mark.parametrize("samples", [64, 320])
def test_a_student_that_goes_astray_is_taken_back(samples):
    original = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(16, 3), keras.layers.BatchNormalization()])
    converted = convert_bn_to_gn(original)
    before, images = converted.get_weights(), GENERATOR.random((samples, 8, 8, 1))
    with pytest.warns(UserWarning, match=r"Distillation was taken back: .*smaller `learning_rate`.*Received: 30"):
        losses = distill(original, converted, images, steps=10, learning_rate=30.0)
    assert len(losses) == 10
    assert_same_numbers(converted.get_weights(), before)
    assert conversion_report(converted).notes[-1].startswith("Distillation was taken back")


def test_every_eighth_batch_is_not_learned():
    assert _held_out(list(range(7))) == (list(range(7)), list(range(7)))
    assert _held_out(list(range(17))) == ([n for n in range(17) if n % 8], [0, 8, 16])


def test_the_original_is_not_taken_for_the_student():
    original = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(16, 3), keras.layers.BatchNormalization()])
    converted = convert_bn_to_gn(original)
    before, images = original.get_weights(), GENERATOR.random((4, 8, 8, 1))
    with pytest.raises(
        ValueError, match=r"`teacher` must be the original model.*a student with 1 Batch.* teacher with 0"
    ):
        distill(converted, original, images, steps=1)
    for old, new in zip(before, original.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    distill(original, converted, images, steps=2)
    assert conversion_report(converted).notes[-1].startswith("Distilled for 2 steps")


@pytest.fixture(scope="module")
def digits():
    """Images in [0, 1] and labels, in a part for training and one for tests."""
    train = data.load("digits").splits["train"]
    images, labels = train.images.reshape(-1, 8, 8, 1).astype("float32"), train.labels
    images /= images.max()
    return images[:1000], labels[:1000], images[1000:], labels[1000:]


@pytest.fixture(scope="module")
def teacher(digits):
    keras.utils.set_random_seed(0)
    model = small_network()
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*digits[:2], batch_size=50, epochs=8, verbose=0)
    return model


def accuracy(model, images, labels):
    return float(np.mean(np.argmax(model(images, training=False), axis=-1) == labels))


def test_a_perturbed_student_comes_back(teacher, digits):
    unlabelled, _, *test = digits
    student = perturbed(teacher)
    good, bad = accuracy(teacher, *test), accuracy(student, *test)
    assert bad < good - 0.2
    losses = distill(teacher, student, unlabelled[:300], steps=100, learning_rate=5e-3, mixup=False)
    assert losses.shape == (100,)
    assert losses.dtype == "float64"
    assert losses[-5:].mean() < losses[:5].mean() / 10
    assert accuracy(student, *test) > good - 0.05


def test_a_perfect_student_has_nothing_to_learn(teacher, digits):
    """Were dropout or the statistics of the batch at work, the outputs would differ."""
    student = perturbed(teacher)
    student.set_weights(teacher.get_weights())
    losses = distill(teacher, student, digits[0][:64], steps=4, learning_rate=1e-4)
    assert np.abs(losses).max() < 1e-4


def state(model):
    """Every number of the model and its optimizer, and everything that compile() sets."""
    numbers = [np.array(variable) for variable in [*model.variables, *model.optimizer.variables]]
    flags = [layer.trainable for layer in model.layers]
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    compiled = (model.optimizer, model.loss, model.get_compile_config(), model.train_function, model.jit_compile)
    return numbers, flags, nodes, compiled


def assert_same_numbers(numbers, expected):
    for number, same in zip(numbers, expected, strict=True):
        np.testing.assert_array_equal(number, same)


def test_the_teacher_and_all_but_the_students_trainable_weights_stay(teacher, digits):
    student = perturbed(teacher)
    student.layers[0].trainable = False
    student.compile("sgd", "mse", jit_compile=False)
    before_teacher, before = state(teacher), state(student)
    kept = [variable.path for variable in student.non_trainable_variables]
    distill(teacher, student, digits[0][:64], steps=3, learning_rate=1e-2)
    after_teacher, after = state(teacher), state(student)
    assert_same_numbers(after_teacher[0], before_teacher[0])
    assert after_teacher[1:] == before_teacher[1:]
    assert after[1:] == before[1:]
    assert student.layers[0].kernel.path in kept
    assert any("moving_mean" in path for path in kept)
    for variable, old in zip(student.variables, before[0], strict=False):
        assert np.array_equal(variable, old) == (variable.path in kept), variable.path


def test_the_same_call_gives_the_same_losses(teacher, digits):
    first, second = (distill(teacher, perturbed(teacher), digits[0][:100], steps=8) for _ in range(2))
    np.testing.assert_allclose(first, second, rtol=1e-4)


class Pair(keras.Model):
    """A subclassed model whose `call` knows no `training`."""

    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(5, activation="tanh")
        self.head = keras.layers.Dense(3)

    def call(self, inputs):
        return self.head(self.hidden(inputs))


def dense(activation, units=3):
    layer = keras.layers.Dense(units, activation=activation, kernel_regularizer="l2")
    return keras.Sequential([keras.Input((6,)), layer])


def several_outputs():
    """Named inputs; outputs that are distributions, a regression, and yes or no."""
    inputs = {"a": keras.Input((6,), name="a"), "b": keras.Input((6,), name="b")}
    a, b = keras.layers.Dense(4)(inputs["a"]), keras.layers.Dense(4)(inputs["b"])
    mixed = keras.layers.Dense(4, activation="relu")(a + b)
    outputs = {
        "class": keras.layers.Dense(3, activation="softmax")(mixed),
        "box": [keras.layers.Dense(2)(mixed), keras.layers.Dense(1, activation="sigmoid")(mixed)],
    }
    return keras.Model(inputs, outputs)


def divergence(t, s):
    return np.mean(np.sum(t * np.log(t / s), axis=-1))


def scaled_squares(t, s):
    return np.mean((s - t) ** 2) / np.mean((t - t.mean()) ** 2)


def float64(output):
    return np.asarray(output).astype("float64")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: dense("softmax"), divergence),
        (lambda: dense("sigmoid", 1), scaled_squares),
        (lambda: dense(None), scaled_squares),
        (Pair, scaled_squares),
    ],
    ids=["softmax", "sigmoid", "linear", "subclassed"],
)
def test_first_loss_and_descent(make, expected):
    teacher, student = make(), make()
    loss = expected(float64(teacher(VECTORS)), float64(student(VECTORS)))
    losses = distill(teacher, student, VECTORS, steps=60, learning_rate=3e-2, mixup=False)
    np.testing.assert_allclose(losses[0], loss, rtol=1e-4)
    assert losses[-1] < losses[0] / 5


def test_several_inputs_and_outputs_in_dicts_and_lists():
    teacher, student = several_outputs(), several_outputs()
    inputs = {"a": VECTORS, "b": VECTORS[::-1] + 1}
    t, s = teacher(inputs), student(inputs)
    parts = [
        (divergence, t["class"], s["class"]),
        *((scaled_squares, *p) for p in zip(t["box"], s["box"], strict=True)),
    ]
    expected = sum(loss(float64(a), float64(b)) for loss, a, b in parts)
    losses = distill(teacher, student, inputs, steps=60, learning_rate=3e-2, mixup=False)
    np.testing.assert_allclose(losses[0], expected, rtol=1e-4)
    assert losses[-1] < losses[0] / 3


@pytest.mark.parametrize("loss", ["mean_absolute_error", keras.losses.MeanAbsoluteError()])
def test_a_loss_of_keras(loss):
    teacher, student = dense("softmax"), dense("softmax")
    expected = np.mean(np.abs(float64(teacher(VECTORS)) - float64(student(VECTORS))))
    losses = distill(teacher, student, VECTORS, steps=2, loss=loss, mixup=False)
    np.testing.assert_allclose(losses[0], expected, rtol=1e-4)


def test_outputs_that_never_vary():
    teacher, student = dense(None), dense(None)
    for weight in teacher.weights:
        weight.assign(keras.ops.zeros_like(weight))
    expected = np.mean(float64(student(VECTORS)) ** 2)
    np.testing.assert_allclose(distill(teacher, student, VECTORS, steps=1, mixup=False), [expected], rtol=1e-4)


def test_every_sample_is_used():
    """A student of one weight a sample learns them all, whatever part of the batches a step takes."""
    teacher, student = (keras.Sequential([keras.Input((7,)), keras.layers.Dense(1)]) for _ in range(2))
    distill(teacher, student, np.eye(7, dtype="float32"), steps=400, batch_size=2, learning_rate=5e-2)
    np.testing.assert_allclose(student(np.eye(7)), teacher(np.eye(7)), atol=1e-2)


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
def test_other_precisions(policy):
    def make():
        head = keras.layers.Dense(3, activation="softmax", dtype=policy)
        return keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, dtype=policy), head])

    losses = distill(make(), make(), VECTORS.astype("float64"), steps=60, learning_rate=3e-2)
    assert losses[-1] < losses[0] / 5


def test_progress_bar(capsys):
    distill(dense(None), dense(None), VECTORS, steps=3, verbose=True)
    assert "3/3" in capsys.readouterr().out
    distill(dense(None), dense(None), VECTORS, steps=3)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("scale", "steps", "learning_rate", "message"),
    [
        (1.0, 50, 3e38, r"the loss is (inf|nan) in step \d+ of 50"),
        # Residuals of 1e10 and inputs of 1e30: the loss can be computed, and its gradient can't.
        (1e30, 1, 1e-3, "a weight isn't finite after the last step"),
    ],
)
def test_a_student_that_diverges_gets_its_weights_back(scale, steps, learning_rate, message):
    teacher, student = dense(None), dense(None)
    for model, factor in ((teacher, 0.0), (student, 1e-20 if scale > 1 else 1.0)):
        model.set_weights([weight * factor for weight in model.get_weights()])
    before = student.get_weights()
    with pytest.raises(ValueError, match=rf"training diverged: {message}.*former weights.*smaller `learning_rate`"):
        distill(teacher, student, VECTORS * scale, steps=steps, learning_rate=learning_rate)
    assert_same_numbers(student.get_weights(), before)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"teacher": keras.layers.Dense(2)}, TypeError, "`teacher` must be a keras.Model"),
        ({"student": "model.keras"}, TypeError, "`student` must be a keras.Model. Received: student='model.keras'"),
        ({"steps": 0}, ValueError, "`steps` must be an integer of at least 1. Received: steps=0"),
        ({"steps": 1.5}, ValueError, "Received: steps=1.5"),
        ({"steps": True}, ValueError, "Received: steps=True"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be an integer.*Received: batch_size=0"),
        ({"learning_rate": 0}, ValueError, "`learning_rate` must be a positive number. Received: learning_rate=0"),
        ({"learning_rate": float("nan")}, ValueError, "Received: learning_rate=nan"),
        ({"student": dense(None, 4)}, ValueError, r"same outputs.*\(24, 3\) of the teacher and \(24, 4\)"),
    ],
)
def test_bad_arguments(arguments, error, message):
    arguments = {"teacher": dense(None), "student": dense(None), "data": VECTORS, **arguments}
    with pytest.raises(error, match=message):
        distill(**arguments)


def test_other_structure():
    image = keras.Input((6,))
    student = keras.Model(image, {"y": keras.layers.Dense(3)(image)})
    with pytest.raises(ValueError, match=r"same outputs.*\(24, 3\) of the teacher and {'y': '\(24, 3\)'}"):
        distill(dense(None), student, VECTORS)


def test_nothing_to_train():
    student = dense(None)
    student.trainable = False
    with pytest.raises(ValueError, match=r"no trainable weights.*student.trainable = True"):
        distill(dense(None), student, VECTORS)


def test_student_with_weights_of_the_teacher():
    teacher = dense(None)
    before = teacher.get_weights()
    for student in (teacher, keras.Sequential([keras.Input((6,)), *teacher.layers])):
        with pytest.raises(ValueError, match="would change the teacher"):
            distill(teacher, student, VECTORS)
    assert_same_numbers(teacher.get_weights(), before)


ON_ANOTHER_BACKEND = """
import keras, numpy as np
from keras_gn.convert import distill
from keras_gn.layers import GroupNormalization
def network():
    layers = keras.layers
    head = [layers.Dropout(0.5), layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(4, 3), GroupNormalization(2), *head])
keras.utils.set_random_seed(0)
teacher, student = network(), network()
before = teacher.get_weights()
x = np.random.default_rng(0).normal(size=(40, 6, 6, 2)).astype("float32")
t, s = (keras.ops.convert_to_numpy(model(x[:32])).astype("float64") for model in (teacher, student))
losses = distill(teacher, student, x, steps=40, learning_rate=3e-2)
assert losses[-4:].mean() < losses[:4].mean() / 5, losses
again = keras.ops.convert_to_numpy(student(x))
np.testing.assert_allclose(again, keras.ops.convert_to_numpy(teacher(x)), atol=0.1)
for old, new in zip(before, teacher.get_weights()):
    np.testing.assert_array_equal(old, new)
weights = student.get_weights()
try:
    distill(teacher, student, x * 1e15, steps=9, learning_rate=1e38)
except ValueError as error:
    assert "diverged" in str(error)
else:
    raise AssertionError("nothing raised")
for old, new in zip(weights, student.get_weights()):
    np.testing.assert_array_equal(old, new)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    result = subprocess.run(
        [sys.executable, "-c", ON_ANOTHER_BACKEND],
        env=environment,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
