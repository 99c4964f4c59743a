"""The portable kernel on torch: the hand-derived gradient.

Not torch's own group normalization: for channels-last tensors it takes the variance as a difference of large
numbers (seen in 2.13), which is wrong by more than the deviation at |mean| / deviation of 1000.
"""

from typing import Any

import torch

from keras_gn.ops import portable
from keras_gn.ops.layout import Layout
from keras_gn.typing import Tensor


def normalize(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, groups: int, axis: int, epsilon: float
) -> Tensor:
    """`keras_gn.ops.group_normalize`, keeping x as it is and two numbers a group for the gradient."""
    layout = Layout(len(x.shape), axis, x.shape[axis], groups)
    return _Normalize.apply(x, *portable.parameters(x, gamma, beta, layout=layout), layout, epsilon)


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, layout: Layout, epsilon: float) -> Tensor:
        y, mean, rstd = portable.forward(x, gamma, beta, layout=layout, epsilon=epsilon)
        ctx.save_for_backward(x, gamma, mean, rstd)
        ctx.layout, ctx.epsilon = layout, epsilon
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, mean, rstd = ctx.saved_tensors
        if torch.is_grad_enabled():  # for a second derivative, mean and rstd are functions of x
            mean, rstd = portable.statistics(x, layout=ctx.layout, epsilon=ctx.epsilon)
        return *portable.gradient(dy, x, gamma, mean, rstd, layout=ctx.layout), None, None
