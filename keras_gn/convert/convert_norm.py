"""The conversion of a model, whole: plan, copy, rewrite, calibrate, report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from keras_gn.convert.calibrate import LayerFit, calibrate, doubt_data, measure, same_state
from keras_gn.convert.calibration_data import read_calibration_data
from keras_gn.convert.choose_groups import choose_groups
from keras_gn.convert.compilation import carry_compilation, renew_compilation
from keras_gn.convert.copying import copy_model
from keras_gn.convert.errors import ConversionError
from keras_gn.convert.groups import EachChannel, GroupsArgument, GroupsPolicy, Policy
from keras_gn.convert.loadable import make_loadable
from keras_gn.convert.plan import Kept, LayerFilter, LayerPlan, make_plan
from keras_gn.convert.refine import refine
from keras_gn.convert.report import ConversionReport, ReportRow, remember, remember_first
from keras_gn.convert.rewrite import Rewritten, rewritten, set_affine
from keras_gn.convert.targets import FROZEN_AFFINE, GROUP_NORM, Target
from keras_gn.convert.tree import find_layers
from keras_gn.layers import ChannelAffine, GroupNormalization

_TARGETS = ("group_norm", "instance_norm", "layer_norm", "frozen_affine")
_WEIGHTS = ("statistics", "copy", "reset")


def convert_norm(
    model: keras.Model,
    to: str = "group_norm",
    *,
    groups: GroupsArgument = "auto",
    channels_per_group: int | None = None,
    weights: str = "statistics",
    calibration_data: Any = None,
    calibration_steps: int = 200,
    layer_filter: LayerFilter | None = None,
    inplace: bool = False,
    verbose: bool = False,
) -> keras.Model:
    """A copy of a trained model in which another layer takes the place of each BatchNormalization.

    | `to` | layer | function at inference |
    |---|---|---|
    | group_norm | GroupNormalization, as `keras_gn.convert_bn_to_gn` | kept nearly |
    | layer_norm | GroupNormalization of one group | kept nearly |
    | instance_norm | GroupNormalization of one group a channel | kept on large maps at best |
    | frozen_affine | ChannelAffine, not trainable, with the statistics folded in | kept exactly |

    Args:
        model: A built Keras model.
        to: The kind of layer, as above.
        groups, channels_per_group: As of `convert_bn_to_gn`; for "group_norm" alone.
        weights, calibration_data, calibration_steps, layer_filter, inplace, verbose: As of `convert_bn_to_gn`.
            "frozen_affine" is exact: it takes neither other weights nor data.

    Returns:
        The converted model: a new one, or `model` itself with `inplace=True`.

    Raises:
        TypeError, ValueError: As `convert_bn_to_gn`; and if `to` is unknown, or doesn't go with other arguments.

    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()])
    >>> x = np.ones((1, 8, 8, 3), "float32")
    >>> frozen = convert_norm(model, "frozen_affine")
    >>> bool(np.allclose(frozen(x), model(x), atol=1e-6))
    True
    """
    policy, target = _policy_and_target(to, groups, channels_per_group)
    _check_arguments(model, weights=weights, calibration_data=calibration_data, target=target)
    if isinstance(calibration_steps, bool) or not isinstance(calibration_steps, int) or calibration_steps < 0:
        raise ValueError(
            "`calibration_steps` must be a number of steps, 0 for least squares alone. "
            f"Received: calibration_steps={calibration_steps!r}"
        )
    if layer_filter is not None and not callable(layer_filter):
        raise TypeError(f"`layer_filter` must be a function of a layer. Received: layer_filter={layer_filter!r}")
    layers = find_layers(model, keras.layers.Layer)
    plans = make_plan(model, layers, policy, layer_filter=layer_filter)
    if not plans:
        return _already_converted(model, layers)
    batches = [] if calibration_data is None else read_calibration_data(calibration_data, model)
    converted, targets = (model, list(layers.values())) if inplace else copy_model(model, layers)
    target_of = dict(zip(layers, targets, strict=True))
    plans = tuple(replace(plan, layer=target_of[plan.path]) for plan in plans)
    with same_state(converted, targets):
        if batches and policy == GroupsPolicy():
            plans = choose_groups(converted, plans, batches)
        with rewritten(converted, plans, target, weights=weights) as entries:
            errors, notes = _calibrate(converted, entries, batches, steps=calibration_steps, verbose=verbose)
    if not inplace or entries:  # otherwise nothing has changed
        notes += renew_compilation(model, targets) if inplace else carry_compilation(model, converted)
    notes += make_loadable(converted, [plan.path for plan in plans if isinstance(plan, LayerPlan)])
    rows = tuple(_row(plan, errors.get(plan.path), weights=weights) for plan in plans)
    remember(converted, ConversionReport(rows=rows, notes=notes))
    return converted


def _policy_and_target(to: str, groups: GroupsArgument, channels_per_group: int | None) -> tuple[Policy, Target]:
    if to not in _TARGETS:
        raise ValueError(f"`to` must be one of {', '.join(map(repr, _TARGETS))}. Received: to={to!r}")
    policy = GroupsPolicy(groups=groups, channels_per_group=channels_per_group)
    if to == "group_norm":
        return policy, GROUP_NORM
    if policy != GroupsPolicy():
        raise ValueError(
            f"`groups` and `channels_per_group` go with to='group_norm' only. Received: to={to!r}, groups={groups!r}, "
            f"channels_per_group={channels_per_group!r}"
        )
    if to == "frozen_affine":
        return EachChannel(), FROZEN_AFFINE
    return GroupsPolicy(groups=1 if to == "layer_norm" else -1), GROUP_NORM


def _check_arguments(model: Any, *, weights: str, calibration_data: Any, target: Target) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a keras.Model (of Keras 3). "
            f"Received: model={model!r} of type {type(model).__module__}.{type(model).__name__}. Load a saved one by "
            "keras.models.load_model first; models of other libraries and of tf_keras can't be converted."
        )
    if weights not in _WEIGHTS:
        raise ValueError(f"`weights` must be one of {', '.join(map(repr, _WEIGHTS))}. Received: weights={weights!r}")
    if target.exact and (weights != "statistics" or calibration_data is not None):
        raise ValueError(
            "A frozen affine map keeps the function exactly by weights='statistics', and no data can better it. "
            f"Received: weights={weights!r} and calibration_data {'not ' * (calibration_data is not None)}None"
        )


def _already_converted(model: keras.Model, layers: Mapping[str, keras.Layer]) -> keras.Model:
    """The model, with a report if it has none.

    Raises:
        ConversionError: If it has no normalization of ours either.
    """
    norms = [layer for layer in layers.values() if isinstance(layer, GroupNormalization | ChannelAffine)]
    if not norms:
        raise ConversionError(
            "There is nothing to convert: no keras.layers.BatchNormalization was found in the model. "
            f"Received: '{model.name}' with {len(layers) - 1} layers. Was it converted or folded before it was saved?"
        )
    note = f"There was nothing to convert: the model has {len(norms)} layers of this package already."
    remember_first(model, ConversionReport(rows=(), notes=(note,)))
    return model


def _calibrate(
    model: keras.Model, entries: Sequence[Rewritten], batches: Sequence[Any], *, steps: int, verbose: bool
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Fits the layers to the data, if there is any; the relative error of each layer that data reached, and notes."""
    if not batches or not entries:
        return {}, ()
    fits = {entry.plan.path: LayerFit(entry.swap, entry.affine, entry.values) for entry in entries}
    calibrate(model, list(fits.values()), batches, verbose=verbose)
    for fit in fits.values():
        set_affine(fit.swap.layer, fit.affine)
    notes = doubt_data(fits.values())
    if steps:
        reached = {id(fit.swap.layer) for fit in fits.values() if fit.error is not None}
        swaps = [entry.swap for entry in entries]
        note = refine(model, swaps, batches, reached=reached, steps=steps, verbose=verbose)
        notes += () if note is None else (note,)
        measure(model, list(fits.values()), batches)
    return {path: fit.error for path, fit in fits.items() if fit.error is not None}, notes


def _row(plan: LayerPlan | Kept, error: float | None, *, weights: str) -> ReportRow:
    if isinstance(plan, Kept):
        return ReportRow(path=plan.path, channels=None, groups=None, epsilon=None, weights="kept", reason=plan.reason)
    return ReportRow(
        path=plan.path,
        channels=plan.channels,
        groups=plan.groups,
        epsilon=plan.epsilon,
        weights=weights if error is None else "calibrated",
        reason=plan.reason,
        error=error,
    )
