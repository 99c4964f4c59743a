"""The contender of benchmarks/group_norm.py that computes with torch: its own group_norm, channels last in memory."""

from collections.abc import Callable

import torch
from group_norm_cases import EPSILON, GROUPS, Case, Mode

_MEMORY_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def repeated(name: str, mode: Mode, case: Case) -> Callable[[int], None]:
    """A function that does the work of `case` so many times over, and returns when it is done."""
    del name, mode  # There is one.
    x, dy = _normal(case), _normal(case)
    channels = case.shape[-1]
    gamma, beta = torch.ones(channels), torch.zeros(channels)
    inputs = [tensor.requires_grad_(case.backward) for tensor in (x, gamma, beta)]

    def run(calls: int) -> None:
        for _ in range(calls):
            y = torch.nn.functional.group_norm(x, GROUPS, gamma, beta, EPSILON)
            if case.backward:
                torch.autograd.grad(y, inputs, dy)

    return run


def _normal(case: Case) -> torch.Tensor:
    samples, *spatial, channels = case.shape
    x = torch.randn((samples, channels, *spatial), dtype=getattr(torch, case.dtype))
    return x.to(memory_format=_MEMORY_FORMATS.get(x.dim(), torch.contiguous_format))
