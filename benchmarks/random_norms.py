"""Random weights for the norms of a torch model that is a reference, in whatever environment has it.

Statistics are fitted to what the network sees and then disturbed, so that activations stay sane in deep networks.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Draw:
    """Random numbers of one seed."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, shape: Sequence[int], low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(tuple(shape), generator=self.generator)


def randomize_norm(module: nn.Module, draw: Draw, *, last: bool) -> list[Any]:
    """Draws weight and bias, and lets the next forward pass set moving statistics near those of its input.

    Args:
        module: A norm.
        draw: The random numbers.
        last: Whether it is a residual branch's last norm, whose weights are smaller, as in trained networks, lest
            rounding grow from block to block.

    Returns:
        The hooks, to be removed after that pass.
    """

    def fit_statistics(module: nn.Module, inputs: tuple[Tensor]) -> None:
        deviation, mean = torch.std_mean(inputs[0], [axis for axis in range(inputs[0].dim()) if axis != 1])
        module.running_mean.copy_(mean + deviation * draw.uniform(mean.shape, -0.2, 0.2))
        module.running_var.copy_((deviation + 1e-3) ** 2 * draw.uniform(mean.shape, 0.6, 1.6))

    low, high = (0.1, 0.5) if last else (0.5, 1.5)
    module.weight.copy_(draw.uniform(module.weight.shape, low, high))
    module.bias.copy_(draw.uniform(module.bias.shape, -0.3, 0.3))
    return [module.register_forward_pre_hook(fit_statistics)] if hasattr(module, "running_mean") else []
