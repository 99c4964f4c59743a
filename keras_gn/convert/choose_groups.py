"""Chooses each layer's groups by what they cost on data."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import ops

from keras_gn.convert.calibrate import ChannelSums, has_values
from keras_gn.convert.groups import sizes_that_train_well
from keras_gn.convert.plan import Kept, LayerPlan, Plan
from keras_gn.convert.transfer import Affine, values_of
from keras_gn.ops import group_normalize
from keras_gn.typing import Tensor


def choose_groups(model: keras.Model, plans: Plan, batches: Sequence[Any]) -> Plan:
    """The plans with, for each layer, the groups among those that train well whose least-squares fit errs least.

    One pass of the model with its batch normalization over the data; each layer is judged by its own inputs.
    """
    judges = {plan.path: _Judge(plan) for plan in plans if isinstance(plan, LayerPlan)}
    try:
        for judge in judges.values():
            judge.watch()
        for batch in batches:
            model(batch, training=False)
    finally:
        for judge in judges.values():
            vars(judge.plan.layer).pop("call", None)
    return tuple(plan if isinstance(plan, Kept) else judges[plan.path].verdict() for plan in plans)


class _Judge:
    """Compares numbers of groups for one layer, on what it takes in and puts out."""

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        sizes = sizes_that_train_well(plan.channels)
        self._sums = {plan.channels // size: ChannelSums(plan.path) for size in sizes}

    def watch(self) -> None:
        layer = self.plan.layer
        call: Callable[..., Tensor] = layer.call

        def call_and_compare(inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            outputs = call(inputs, *args, **kwargs)
            if len(self._sums) > 1 and has_values(outputs):
                self._compare(ops.stop_gradient(inputs), ops.stop_gradient(outputs))
            return outputs

        vars(layer)["call"] = call_and_compare

    def _compare(self, inputs: Tensor, outputs: Tensor) -> None:
        axis, y = self.plan.layer.axis, ops.cast(outputs, "float32")
        for groups, sums in self._sums.items():
            z = group_normalize(ops.cast(inputs, "float32"), groups=groups, axis=axis, epsilon=self.plan.epsilon)
            sums.add(z, y, axis=axis)

    def verdict(self) -> LayerPlan:
        """The plan with the best number of groups; as it was, if there is no choice or no data came by."""
        seen = {groups: sums for groups, sums in self._sums.items() if sums.count}
        if not seen:
            return self.plan
        values = values_of(self.plan.layer)
        start = Affine(gamma=values.gamma, beta=values.beta)
        errors = {groups: sums.relative_error(sums.fit(start)) for groups, sums in seen.items()}
        best = min(errors, key=lambda groups: errors[groups])
        size = self.plan.channels // best
        return replace(
            self.plan, groups=best, reason=f"the least error on the data of {len(errors)} choices: {size} channels"
        )
