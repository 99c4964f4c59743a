"""A few steps of training in which a converted model learns to say what the original one says."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from keras_gn.convert.calibration_data import read_calibration_data
from keras_gn.typing import Tensor

# (teacher's output, student's output) -> one loss, or one for each row
OutputLoss = Callable[[Tensor, Tensor], Tensor]

_DIVERGENCE: OutputLoss = keras.losses.kl_divergence


def distill(
    teacher: keras.Model,
    student: keras.Model,
    data: Any,
    steps: int = 200,
    *,
    batch_size: int = 32,
    learning_rate: float = 1e-4,
    loss: Any = "auto",
    verbose: bool = False,
) -> np.ndarray:
    """Trains `student` in place to give the outputs of `teacher`; no labels are needed.

    By Adam with a learning rate that falls to zero along a cosine. Both models run as at inference, so that dropout
    is off and moving statistics stay; only trainable weights of the student change. The models' own optimizers,
    losses and metrics are neither used nor touched. The loss is the sum over the outputs of, with loss="auto",

        mean over rows of sum_c t_c log(t_c / s_c)      where all rows t of the teacher's output are distributions
        mean((s - t)^2) / variance(t)                   otherwise

    Features can be taught, too: given models with more outputs that share the layers of the teacher and the student,
    as `keras.Model(model.inputs, [model.get_layer("block1").output, model.output])`, this trains the student's layers.

    The teacher's outputs are computed once, before the first step. They and the data, up to steps * batch_size
    samples, are kept in memory.

    Args:
        teacher: The original model.
        student: The converted one, with the same outputs.
        data: Inputs of both models, as the calibration data of `keras_gn.convert_bn_to_gn`; a few hundred will do.
            Each pass over them takes the batches in another order, the same one in every call.
        steps: Number of training steps.
        batch_size: Samples a step.
        learning_rate: Of the first step.
        loss: "auto", or a Keras loss (name, object or function) of each teacher's and student's output.
        verbose: Whether to show a progress bar.

    Returns:
        The loss of each step, `[steps]`, float64.

    Raises:
        TypeError: If `teacher` or `student` isn't a Keras model.
        ValueError: For another bad argument, if the models' outputs don't match, or if the training diverges; then
            the student has its former weights.

    Source: Hinton et al., Distilling the Knowledge in a Neural Network (arXiv 1503.02531), at temperature 1.

    >>> teacher, student = (keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]) for _ in range(2))
    >>> data = np.random.default_rng(0).normal(size=(64, 3))
    >>> losses = distill(teacher, student, data, steps=50, learning_rate=0.1)
    >>> len(losses), bool(losses[-1] < 0.1 * losses[0])
    (50, True)
    """
    _check_arguments(teacher, student, steps=steps, batch_size=batch_size, learning_rate=learning_rate)
    batches = read_calibration_data(data, teacher, batch_size=batch_size, limit=steps * batch_size)
    frozen = AtInference(teacher)
    targets = [frozen.predict_on_batch(batch) for batch in batches]
    _check_outputs(targets[0], AtInference(student).predict_on_batch(batches[0]))
    _check_weights(teacher, student)
    pupil = AtInference(student, _output_losses(targets, loss))
    pupil.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps)))
    before = student.get_weights()
    try:
        return _train(pupil, batches, targets, steps=steps, verbose=verbose)
    except FloatingPointError as error:
        student.set_weights(before)
        raise ValueError(
            f"The training diverged: {error}. `student` has its former weights again. Use a smaller `learning_rate`. "
            f"Received: learning_rate={learning_rate}"
        ) from error


class AtInference(keras.Model):
    """Runs a model as at inference, also while its weights are trained on targets, with a compile state of its own."""

    def __init__(self, model: keras.Model, output_losses: Sequence[OutputLoss] = ()) -> None:
        # Inputs reach the model as they are; its policy is for the scaling of a float16 loss.
        super().__init__(dtype=model.dtype_policy, autocast=False)
        self.model = model
        self.output_losses = tuple(output_losses)

    def call(self, inputs: Any) -> Any:
        return self.model(inputs, training=False)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *args: Any, **kwargs: Any) -> Tensor:
        """The sum over the outputs. Without the model's regularizers, which would pull it away from its teacher."""
        outputs = zip(self.output_losses, tree.flatten(y), tree.flatten(y_pred), strict=True)
        return sum(ops.mean(loss(_wide(target), _wide(output))) for loss, target, output in outputs)


def _wide(tensor: Tensor) -> Tensor:
    return ops.cast(tensor, keras.backend.result_type(tensor.dtype, "float32"))


def _output_losses(targets: Sequence[Any], loss: Any) -> list[OutputLoss]:
    """The loss of each output, from the teacher's outputs for all batches."""
    by_output = list(zip(*(tree.flatten(target) for target in targets), strict=True))
    if loss != "auto":
        return [keras.losses.get(loss)] * len(by_output)
    return [_natural_loss(arrays) for arrays in by_output]


def _natural_loss(arrays: Sequence[np.ndarray]) -> OutputLoss:
    if all(map(_holds_distributions, arrays)):
        return _DIVERGENCE
    variance = np.var(np.concatenate([array.ravel() for array in arrays]).astype("float64"))
    return partial(_squared_error, scale=1 / variance if variance > 0 else 1.0)


def _holds_distributions(array: np.ndarray) -> bool:
    """Whether each row is non-negative with a sum of 1, up to the rounding of half precision."""
    rows = array.astype("float64")
    return rows.ndim > 1 and rows.shape[-1] > 1 and rows.min() >= 0 and bool(np.allclose(rows.sum(-1), 1, atol=1e-2))


def _squared_error(target: Tensor, output: Tensor, *, scale: float) -> Tensor:
    return ops.mean(ops.square(output - target)) * scale


def _train(
    pupil: AtInference, batches: Sequence[Any], targets: Sequence[Any], *, steps: int, verbose: bool
) -> np.ndarray:
    """The losses of the steps.

    Raises:
        FloatingPointError: A loss, or in the end a weight, isn't finite.
    """
    losses = np.empty(steps)
    progress = keras.utils.Progbar(steps, verbose=int(verbose), stateful_metrics=["loss"])
    for step, index in zip(range(steps), _shuffled_passes(len(batches)), strict=False):
        losses[step] = pupil.train_on_batch(batches[index], targets[index], return_dict=True)["loss"]
        if not np.isfinite(losses[step]):
            raise FloatingPointError(f"the loss is {losses[step]} in step {step + 1} of {steps}")
        progress.update(step + 1, [("loss", losses[step])])
    if not all(np.isfinite(weight).all() for weight in pupil.model.get_weights()):
        raise FloatingPointError("a weight isn't finite after the last step")
    return losses


def _shuffled_passes(count: int) -> Iterator[int]:
    """All numbers below `count`, again and again, in another order each time."""
    generator = np.random.default_rng(0)
    while True:
        yield from map(int, generator.permutation(count))


def _check_arguments(teacher: Any, student: Any, *, steps: Any, batch_size: Any, learning_rate: Any) -> None:
    for name, model in (("teacher", teacher), ("student", student)):
        if not isinstance(model, keras.Model):
            raise TypeError(f"`{name}` must be a keras.Model. Received: {name}={model!r} of type {type(model)}")
    for name, number in (("steps", steps), ("batch_size", batch_size)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
            raise ValueError(f"`{name}` must be an integer of at least 1. Received: {name}={number!r}")
    if not 0 < learning_rate < np.inf:
        raise ValueError(f"`learning_rate` must be a positive number. Received: learning_rate={learning_rate!r}")


def _check_outputs(taught: Any, given: Any) -> None:
    """Raises ValueError if the outputs of teacher and student for the same inputs have other structures or shapes."""
    taught, given = (tree.map_structure(lambda output: str(np.shape(output)), outputs) for outputs in (taught, given))
    if taught != given:
        raise ValueError(
            "`teacher` and `student` must have the same outputs: a student is the converted model of its teacher. "
            f"Received, for the same batch, outputs of shapes {taught} of the teacher and {given} of the student"
        )


def _check_weights(teacher: keras.Model, student: keras.Model) -> None:
    """Raises ValueError if nothing of the student can be trained, or if that would train the teacher."""
    if not student.trainable_variables:
        raise ValueError(
            "`student` has no trainable weights. Set `student.trainable = True`, or that of the layers to be trained. "
            f"Received: student={student!r}"
        )
    of_teacher = {id(variable) for variable in teacher.variables}
    shared = [variable.path for variable in student.trainable_variables if id(variable) in of_teacher]
    if shared:
        raise ValueError(
            "`student` must be a model of its own: training it would change the teacher, whose weights it shares. "
            f"Convert without inplace=True, or copy the model before. Received: shared weights {', '.join(shared[:3])}"
        )
