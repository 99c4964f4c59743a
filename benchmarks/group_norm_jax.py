"""The contender of benchmarks/group_norm.py that computes with JAX: keras_gn's mathematics, compiled by jax.jit."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from group_norm_cases import EPSILON, GROUPS, Case, Mode

from keras_gn.ops import group_normalize


def repeated(name: str, mode: Mode, case: Case) -> Callable[[int], None]:
    """A function that does the work of `case` so many times over, and returns when it is done."""
    del name, mode  # There is one, and JAX always compiles.
    x, dy = (jax.random.normal(jax.random.key(seed), case.shape, dtype=case.dtype) for seed in (1, 2))
    gamma, beta = jnp.ones(case.shape[-1:]), jnp.zeros(case.shape[-1:])

    def forward(x: jax.Array, gamma: jax.Array, beta: jax.Array) -> jax.Array:
        y: jax.Array = group_normalize(x, gamma, beta, groups=GROUPS, epsilon=EPSILON)
        return y

    @jax.jit
    def once(x: jax.Array, gamma: jax.Array, beta: jax.Array, dy: jax.Array) -> tuple[jax.Array, ...]:
        if not case.backward:
            return (forward(x, gamma, beta),)
        y, gradient = jax.vjp(forward, x, gamma, beta)
        return y, *gradient(dy)

    def run(calls: int) -> None:
        for _ in range(calls):
            results = once(x, gamma, beta, dy)
        jax.block_until_ready(results)

    return run
