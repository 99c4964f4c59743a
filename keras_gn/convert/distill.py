"""A few steps of training in which a converted model learns to say what the original one says."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import tree

from keras_gn.convert.calibration_data import read_calibration_data
from keras_gn.convert.lesson import Lesson, converted_pairs, outputs_for, runner
from keras_gn.convert.output_losses import output_losses
from keras_gn.convert.report import add_note
from keras_gn.convert.tree import find_layers

# Of so many batches one isn't learned, and tells whether the student has come nearer.
_HELD_OUT = 8
# How many times its former loss a student may have on them, which are few; and a loss that says nothing.
_ASTRAY, _NEGLIGIBLE = 2.0, 1e-4


def distill(
    teacher: keras.Model,
    student: keras.Model,
    data: Any,
    steps: int = 200,
    *,
    batch_size: int = 32,
    learning_rate: float = 1e-4,
    loss: Any = "auto",
    match_layers: bool = True,
    mixup: bool = True,
    verbose: bool = False,
) -> np.ndarray:
    """Trains `student` in place to give the outputs of `teacher`; no labels are needed.

    By Adam with a learning rate that falls to zero along a cosine. Both models run as at inference, so that dropout
    is off and moving statistics stay; only trainable weights of the student change. The models' own optimizers,
    losses and metrics are neither used nor touched. The loss is the sum over the outputs of, with loss="auto",

        mean over rows of sum_c t_c log(t_c / s_c)      where all rows t of the teacher's output are distributions
        mean((s - t)^2) / variance(t)                   otherwise

    and, with `match_layers`, the mean of mean((s - t)^2) / variance(t) over the outputs of the converted layers: a
    sample says much more in all of them than in the last ones, which is why a few hundred are enough.

    Of eight batches or more, every eighth is not learned. If the loss of the outputs on these ends more than twice as
    large as it was, the student gets its former weights back, with a warning: all weights of a large model may be
    moved too far, or learn a few samples by heart.

    Data, up to steps * batch_size samples, are kept in memory.

    Args:
        teacher: The original model.
        student: The converted one, with the same outputs.
        data: Inputs of both models, as the calibration data of `keras_gn.convert_bn_to_gn`; a few hundred will do.
            Each pass over them takes the batches in another order, the same one in every call.
        steps: Number of training steps.
        batch_size: Samples a step.
        learning_rate: Of the first step.
        loss: "auto", or a Keras loss (name, object or function) of each teacher's and student's output.
        match_layers: Whether each converted layer is to put out what the teacher's BatchNormalization does. Those
            inside recurrent layers and TimeDistributed are left alone.
        mixup: Whether every other sample of a step is a mixture, u x_i + (1 - u) x_j, of two samples of its batch,
            with u uniform from 0 to 1. Only if all inputs are of floating point.
        verbose: Whether to show a progress bar.

    Warns:
        UserWarning: The student has its former weights again, for it went away from its teacher.

    Returns:
        The loss of each step, `[steps]`, float64.

    Raises:
        TypeError: If `teacher` or `student` isn't a Keras model.
        ValueError: For another bad argument, if the models' outputs don't match, or if the training diverges; then
            the student has its former weights.

    Sources: Hinton et al., Distilling the Knowledge in a Neural Network (arXiv 1503.02531), at temperature 1; Romero
    et al., FitNets (arXiv 1412.6550), for the layers; Beyer et al., Knowledge distillation: A good teacher is patient
    and consistent (arXiv 2106.05237), for mixtures that the teacher sees too.

    >>> teacher, student = (keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]) for _ in range(2))
    >>> data = np.random.default_rng(0).normal(size=(64, 3))
    >>> losses = distill(teacher, student, data, steps=50, learning_rate=0.1)
    >>> len(losses), bool(losses[-1] < 0.1 * losses[0])
    (50, True)
    """
    _check_arguments(teacher, student, steps=steps, batch_size=batch_size, learning_rate=learning_rate)
    _check_roles(teacher, student)
    batches = read_calibration_data(data, teacher, batch_size=batch_size, limit=steps * batch_size)
    pairs = converted_pairs(teacher, student) if match_layers else []
    teach, learn = runner(teacher, [layer for layer, _ in pairs]), runner(student, [layer for _, layer in pairs])
    targets = outputs_for(teach, batches)
    _check_outputs(targets[0], outputs_for(learn, batches[:1])[0])
    _check_weights(teacher, student)
    of_outputs = output_losses(targets, loss)
    lesson = Lesson(student, teach, learn, of_outputs)
    judge = Lesson(student, runner(teacher, []), runner(student, []), of_outputs)
    lessons, exams = _held_out(batches)
    before = student.get_weights()
    try:
        far = judge.loss_on(exams)
        losses = lesson.give(lessons, steps=steps, learning_rate=learning_rate, mixup=mixup, verbose=verbose)
        near = judge.loss_on(exams)
    except FloatingPointError as error:
        student.set_weights(before)
        raise ValueError(
            f"The training diverged: {error}. `student` has its former weights again. Use a smaller `learning_rate`. "
            f"Received: learning_rate={learning_rate}"
        ) from error
    except Exception as error:
        student.set_weights(before)
        if pairs:
            error.add_note("`student` has its former weights again. match_layers=False may help.")
        raise
    if near < _ASTRAY * far + _NEGLIGIBLE:
        add_note(student, f"Distilled for {steps} steps after that: all of its trainable weights may have changed.")
    else:
        student.set_weights(before)
        note = f"Distillation was taken back: the outputs' loss went from {far:.3g} to {near:.3g} on data not learned."
        add_note(student, note)
        warnings.warn(f"{note} Try a smaller `learning_rate`, or more data. Received: {learning_rate}", stacklevel=2)
    return losses


def _held_out(batches: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """The batches to learn and those to judge by: the same ones where there are few."""
    if len(batches) < _HELD_OUT:
        return batches, batches
    return [batch for index, batch in enumerate(batches) if index % _HELD_OUT], batches[::_HELD_OUT]


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


def _check_roles(teacher: keras.Model, student: keras.Model) -> None:
    """Raises ValueError if the student has more batch normalization than the teacher: it is the original model."""
    of_teacher, of_student = (len(find_layers(model, keras.layers.BatchNormalization)) for model in (teacher, student))
    if of_student > of_teacher:
        raise ValueError(
            "`teacher` must be the original model and `student` the converted one, which is trained. Received: a "
            f"student with {of_student} BatchNormalization layers and a teacher with {of_teacher}. Exchange them"
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
