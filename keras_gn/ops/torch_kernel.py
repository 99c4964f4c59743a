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
    return _Normalize.apply(x, *portable.parameters(x, gamma, beta, layout=layout), layout, epsilon)[0]


class _Normalize(torch.autograd.Function):
    """The output, and the statistics that the gradient needs. In the form that torch.func's transforms need, too."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, gamma: Tensor, beta: Tensor, layout: Layout, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        return portable.forward(x, gamma, beta, layout=layout, epsilon=epsilon)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, gamma, _, ctx.layout, ctx.epsilon = inputs
        _, mean, rstd = output
        ctx.mark_non_differentiable(mean, rstd)
        ctx.save_for_backward(x, gamma, mean, rstd)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, gamma, mean, rstd = ctx.saved_tensors
        if torch.is_grad_enabled():  # for a second derivative, mean and rstd are functions of x
            mean, rstd = portable.statistics(x, layout=ctx.layout, epsilon=ctx.epsilon)
        return *portable.gradient(dy, x, gamma, mean, rstd, layout=ctx.layout), None, None
