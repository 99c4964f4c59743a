"""What a BatchNormalization can become, and the gamma and beta that keep its function."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import keras

from keras_gn.convert.plan import LayerPlan
from keras_gn.convert.transfer import Affine, BatchNormValues, folded, from_statistics
from keras_gn.layers import ChannelAffine, GroupNormalization

# Everything that a user may have set on the parameters.
_OF_PARAMETERS = tuple(
    f"{parameter}_{kind}" for parameter in ("beta", "gamma") for kind in ("initializer", "regularizer", "constraint")
)


@dataclass(frozen=True)
class Target:
    """A kind of layer: how to make it from a plan, and the weights that keep the function.

    `exact` says that these weights keep it exactly, and any others don't.
    """

    make: Callable[[LayerPlan, Mapping[str, Any]], keras.layers.Layer]
    affine: Callable[[BatchNormValues, int], Affine]
    exact: bool


def replacement(plan: LayerPlan, target: Target) -> keras.layers.Layer:
    """A built layer of the kind, with the name, settings and trainable flag of the planned one."""
    layer = plan.layer
    settings = {name: getattr(layer, name) for name in _OF_PARAMETERS}
    settings |= {"name": layer.name, "dtype": layer.dtype_policy, "trainable": layer.trainable}
    settings |= {"axis": layer.axis, "activity_regularizer": layer.activity_regularizer}
    made = target.make(plan, settings)
    with ExitStack() as scopes:  # weights keep their paths
        for scope in layer.path.split("/")[:-1]:
            scopes.enter_context(keras.name_scope(scope))
        made.build(tuple(layer.get_build_config()["input_shape"]))
    return made


def _group_normalization(plan: LayerPlan, settings: Mapping[str, Any]) -> keras.layers.Layer:
    return GroupNormalization(groups=plan.groups, epsilon=plan.layer.epsilon, **settings)


def _channel_affine(plan: LayerPlan, settings: Mapping[str, Any]) -> keras.layers.Layer:
    return ChannelAffine(**{**settings, "trainable": False})


GROUP_NORM = Target(
    _group_normalization, affine=lambda values, groups: from_statistics(values, groups=groups), exact=False
)
FROZEN_AFFINE = Target(_channel_affine, affine=lambda values, groups: folded(values), exact=True)
