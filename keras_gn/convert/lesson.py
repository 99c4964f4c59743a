"""A teacher and a student on the same inputs, as one Keras model that is trained until they say the same."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from keras_gn.convert.output_losses import OutputLoss, leaves
from keras_gn.convert.tree import find_layers, is_inside
from keras_gn.layers import ChannelAffine, GroupNormalization
from keras_gn.typing import Tensor

# inputs -> (a model's outputs, the outputs of some of its layers)
Run = Callable[[Any], tuple[Any, list[Tensor]]]
Pairs = Sequence[tuple[keras.layers.Layer, keras.layers.Layer]]

# What these hold is computed in a graph of its own, of which no value comes out.
_LOOPS = (keras.layers.RNN, keras.layers.TimeDistributed)

_FIRST = 8


class Lesson(keras.Model):
    """Runs teacher and student on the same inputs, and has the learner's trainable weights for its own.

    Args:
        learner: What learns: the student, or some layers of it.
        teach, learn: Run the teacher and the student.
        output_losses: Of each output, in the order of `keras.tree.flatten`.
    """

    def __init__(
        self, learner: keras.Model | list[keras.Layer], teach: Run, learn: Run, output_losses: Sequence[OutputLoss]
    ) -> None:
        # Inputs reach the models as they are; the policy is for the scaling of a float16 loss.
        layers = learner if isinstance(learner, list) else [learner, *learner.layers]
        half = any(layer.compute_dtype == "float16" for layer in layers)
        super().__init__(dtype="mixed_float16" if half else layers[0].dtype_policy, autocast=False)
        self.learner = learner
        self.teach, self.learn = teach, learn
        self.output_losses = tuple(output_losses)
        self.compile()  # to run before it is given, too

    def call(self, inputs: Any) -> Any:
        (targets, taught), (outputs, given) = self.teach(inputs), self.learn(inputs)
        return [ops.stop_gradient(target) for target in (*leaves(targets), *taught)], [*leaves(outputs), *given]

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *args: Any, **kwargs: Any) -> Tensor:
        """The losses of the outputs, and the mean over the layers of mean((s - t)^2) / variance(t).

        Without the model's regularizers, which would pull it away from its teacher.
        """
        pairs = [(_wide(target), _wide(output)) for target, output in zip(*y_pred, strict=True)]
        of_outputs, of_layers = pairs[: len(self.output_losses)], pairs[len(self.output_losses) :]
        losses = zip(self.output_losses, of_outputs, strict=True)
        total = sum(ops.mean(loss(target, output)) for loss, (target, output) in losses)
        if of_layers:
            total = total + sum(_relative_error(*pair) for pair in of_layers) / len(of_layers)
        return total

    def give(
        self, batches: Sequence[Any], *, steps: int, learning_rate: float, mixup: bool, verbose: bool
    ) -> np.ndarray:
        """Trains by Adam, with a learning rate that falls to zero along a cosine; the losses of the steps.

        Raises:
            FloatingPointError: A loss, or in the end a weight, isn't finite.
        """
        self.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps)))
        losses = np.empty(steps)
        progress = keras.utils.Progbar(steps, verbose=int(verbose), stateful_metrics=["loss"])
        for step, batch in zip(range(steps), drawn(batches, mixup=mixup), strict=False):
            losses[step] = self.train_on_batch(batch, return_dict=True)["loss"]
            if not np.isfinite(losses[step]):
                raise FloatingPointError(f"the loss is {losses[step]} in step {step + 1} of {steps}")
            progress.update(step + 1, [("loss", losses[step])])
        if not all(np.isfinite(weight).all() for weight in self.get_weights()):
            raise FloatingPointError("a weight isn't finite after the last step")
        return losses

    def loss_on(self, batches: Sequence[Any]) -> float:
        """The mean loss over the batches as they are."""
        return float(np.mean([self.test_on_batch(batch, return_dict=True)["loss"] for batch in batches]))


def runner(model: keras.Model, layers: Sequence[keras.layers.Layer]) -> Run:
    """A function from a model's inputs to its outputs and those of some layers, as at inference."""

    def run(inputs: Any) -> tuple[Any, list[Tensor]]:
        with _outputs_of(layers) as kept:
            outputs = model(inputs, training=False)
        return outputs, kept

    return run


def outputs_for(run: Run, batches: Sequence[Any]) -> list[Any]:
    """The model's outputs for the first batches, NumPy arrays: enough to see their kind, and how they vary."""
    first = [run(batch)[0] for batch in batches[:_FIRST]]
    return [tree.map_structure(lambda each: None if each is None else ops.convert_to_numpy(each), one) for one in first]


def converted_pairs(teacher: keras.Model, student: keras.Model) -> Pairs:
    """The teacher's BatchNormalization layers and the layers that are in their places in the student.

    Those in a loop over time are left out: no value comes out of it.
    """
    outside = without_loops(find_layers(teacher, keras.layers.Layer))
    places = find_layers(student, keras.layers.Layer)
    return [
        (layer, places[path])
        for path, layer in outside.items()
        if isinstance(layer, keras.layers.BatchNormalization)
        and isinstance(places.get(path), GroupNormalization | ChannelAffine)
    ]


def without_loops(layers: Mapping[str, keras.layers.Layer]) -> dict[str, keras.layers.Layer]:
    """All layers of a model by their paths, but for those inside of loops over time."""
    loops = [path for path, layer in layers.items() if isinstance(layer, _LOOPS)]
    return {path: layer for path, layer in layers.items() if not any(is_inside(path, loop) for loop in loops)}


@contextmanager
def _outputs_of(layers: Sequence[keras.layers.Layer]) -> Iterator[list[Tensor]]:
    """What the layers put out in the block, in the order of their calls."""
    outputs: list[Tensor] = []

    def watch(layer: keras.layers.Layer) -> None:
        call = layer.call

        def call_and_keep(*args: Any, **kwargs: Any) -> Tensor:
            outputs.append(call(*args, **kwargs))
            return outputs[-1]

        vars(layer)["call"] = call_and_keep

    try:
        for layer in layers:
            watch(layer)
        yield outputs
    finally:
        for layer in layers:
            vars(layer).pop("call", None)


def _relative_error(target: Tensor, output: Tensor) -> Tensor:
    return ops.mean(ops.square(output - target)) / (ops.var(target) + keras.config.epsilon())


def _wide(tensor: Tensor) -> Tensor:
    return ops.cast(tensor, keras.backend.result_type(tensor.dtype, "float32"))


def drawn(batches: Sequence[Any], *, mixup: bool) -> Iterator[Any]:
    """All batches, again and again, in another order each time."""
    generator = np.random.default_rng(0)
    mixup = mixup and all(map(_can_be_mixed, tree.flatten(batches[0])))
    while True:
        for index in generator.permutation(len(batches)):
            yield _mixed(batches[index], generator) if mixup else batches[index]


def _can_be_mixed(array: np.ndarray) -> bool:
    """Whether a mixture makes sense. Keras feeds the indices of an embedding as whole numbers of floating point."""
    indices = array.ndim < 4 and np.array_equal(array, np.floor(array))
    return np.issubdtype(array.dtype, np.floating) and not indices


def _mixed(batch: Any, generator: np.random.Generator) -> Any:
    """The batch with every other sample mixed with one of it."""
    size = len(tree.flatten(batch)[0])
    partner = generator.permutation(size)
    share = generator.uniform(size=size)
    share[::2] = 1

    def mix(samples: np.ndarray) -> np.ndarray:
        of_each = share.reshape(-1, *[1] * (samples.ndim - 1))
        mixed: np.ndarray = of_each * samples + (1 - of_each) * samples[partner]
        return mixed.astype(samples.dtype)

    return tree.map_structure(mix, batch)
