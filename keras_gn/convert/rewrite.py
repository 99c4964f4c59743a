"""Applies a plan to a model, in place, and takes it back if anything fails."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np

from keras_gn.convert.errors import ConversionError
from keras_gn.convert.plan import Kept, LayerPlan, Plan
from keras_gn.convert.swap import Swap
from keras_gn.convert.targets import Target, replacement
from keras_gn.convert.traced import refuse_traced
from keras_gn.convert.transfer import Affine, BatchNormValues, affine_of, values_of
from keras_gn.convert.tree import find_layers


@dataclass(frozen=True)
class Rewritten:
    """A layer that has become another one, its gamma and beta, and the values that it had."""

    plan: LayerPlan
    swap: Swap
    affine: Affine
    values: BatchNormValues


@contextmanager
def rewritten(model: keras.Model, plans: Plan, target: Target, *, weights: str) -> Iterator[list[Rewritten]]:
    """The planned layers of `model` as what `target` says, with weights as `weights` says.

    If the block raises, all layers are again what they were. If not, it is proven that nothing is left to convert.
    """
    done = [_prepare(plan, target, weights=weights) for plan in plans if isinstance(plan, LayerPlan)]
    paths = [entry.plan.path for entry in done]
    refuse_traced(model, paths)  # before the work
    try:
        for entry in done:
            entry.swap.to_replacement()
            set_affine(entry.plan.layer, entry.affine)
        yield done
        refuse_traced(model, paths)
        _verify(model, kept=[plan for plan in plans if isinstance(plan, Kept)])
    except BaseException:  # an interruption by the user, too
        for entry in done:
            entry.swap.to_original()
        raise


def _prepare(plan: LayerPlan, target: Target, *, weights: str) -> Rewritten:
    made = replacement(plan, target)
    values = values_of(plan.layer)
    if weights == "statistics":
        affine = target.affine(values, plan.groups)
    elif weights == "copy":
        affine = Affine(gamma=values.gamma, beta=values.beta)
    else:
        affine = affine_of(made)
    return Rewritten(plan=plan, swap=Swap(plan.layer, made), affine=affine, values=values)


def set_affine(layer: keras.layers.Layer, affine: Affine) -> None:
    """Gives a layer its gamma and beta."""
    for name, values in (("gamma", affine.gamma), ("beta", affine.beta)):
        if not np.isfinite(values).all():
            raise ConversionError(
                f"Layer '{layer.name}' would get a {name} that isn't finite: its statistics or weights hold NaN or "
                "infinity, or a negative variance. Restore a checkpoint from before the training diverged."
            )
        getattr(layer, name).assign(values)


def _verify(model: keras.Model, *, kept: Sequence[Kept]) -> None:
    expected = {id(plan.layer) for plan in kept}
    left = [
        path for path, layer in find_layers(model, keras.layers.BatchNormalization).items() if id(layer) not in expected
    ]
    if left:
        raise ConversionError(
            f"Batch normalization is left at {', '.join(left)}, which the model got or hid during the conversion. "
            "Convert before the model is in use elsewhere, or leave these out by `layer_filter`."
        )
