"""The portable kernel on JAX: values, gradients of both orders under JAX's transformations, and what is kept."""

IMPORTS = """
import jax, jax.numpy as jnp, numpy as np
from conformance import reference
from keras_gn.ops import jax_kernel, portable
from keras_gn.ops.layout import Layout
normal = np.random.default_rng(0).normal
settings = {"groups": 2, "axis": 3, "epsilon": 1e-3}
x, dy = (jnp.asarray(normal(2.0, 1.0, (3, 9, 5, 6)), "float32") for _ in range(2))
gamma, beta = jnp.linspace(-1.0, 2.0, 6), jnp.linspace(1.0, 2.0, 6)
"""


def test_values_and_gradients_equal_the_reference(run_on):
    run_on(
        "jax",
        IMPORTS
        + """
four = [((3, 9, 5, 6), 3), ((2, 6, 5, 4), 1), ((2, 5, 6, 4), 2)]
for shape, axis in [*four, ((4, 6), 1), ((2, 3, 4, 5, 6), 4), ((0, 4, 6), 2)]:
    for dtype, tolerance in [("float32", 2e-5), ("bfloat16", 3e-2), ("float16", 4e-3)]:
        x, dy = (jnp.asarray(normal(2.0, 1.0, shape), dtype) for _ in range(2))
        settings = {"groups": 2, "axis": axis, "epsilon": 1e-3}
        @jax.jit
        def value_and_gradients(x, gamma, beta, dy):
            y, gradient = jax.vjp(lambda *sources: jax_kernel.normalize(*sources, **settings), x, gamma, beta)
            return y, *gradient(dy)
        results = value_and_gradients(x, gamma, beta, dy)
        assert [r.dtype for r in results] == [dtype, dtype, "float32", "float32"]
        exact_x, exact_dy = np.asarray(x, "float64"), np.asarray(dy, "float64")
        y = reference.group_normalize(exact_x, gamma, beta, **settings)
        gradients = reference.group_normalize_gradients(exact_dy, exact_x, gamma, **settings)
        for result, expected in zip(results, [y, *gradients]):
            scale = max(1.0, np.abs(expected).max(initial=0.0))
            np.testing.assert_allclose(np.asarray(result, "float64") / scale, expected / scale, atol=tolerance)
np.testing.assert_allclose(
    jax_kernel.normalize(x, None, None, **settings), reference.group_normalize(x, **settings), atol=1e-5
)
""",
    )


def test_large_maps_are_exact(run_on):
    run_on(
        "jax",
        IMPORTS
        + """
for mean in (0.0, 100.0, 1e4):
    x = normal(mean, 1.0, (1, 600, 400, 24)).astype("float32")
    expected = reference.group_normalize(x, groups=3, epsilon=1e-5)
    y = jax.jit(lambda x: jax_kernel.normalize(x, None, None, groups=3, axis=3, epsilon=1e-5))(x)
    assert np.abs(np.asarray(y) - expected).max() <= 2e-6, mean
""",
    )


def test_second_order_gradients_and_batching(run_on):
    run_on(
        "jax",
        IMPORTS
        + """
layout = Layout(4, 3, 6, 2)

def automatic(x, gamma, beta, **_):
    return portable.forward(x, gamma, beta, layout=layout, epsilon=1e-3)[0]

def assert_close(result, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result / scale, expected / scale, atol=1e-5)

def penalty(kernel):
    def loss(x, gamma, beta, w):
        return (w * kernel(x, gamma, beta, **settings) ** 2).sum()
    def function(x, gamma, beta, w):
        return sum((g**2).sum() for g in jax.grad(loss, argnums=(0, 1, 2))(x, gamma, beta, w))
    return jax.grad(function, argnums=(0, 1, 2, 3))

sources = (x, gamma, beta, dy)
for function in (penalty(jax_kernel.normalize), jax.jit(penalty(jax_kernel.normalize))):
    for result, expected in zip(function(*sources), penalty(automatic)(*sources)):
        assert_close(result, expected)

many = jnp.stack([x, 2 * x + 1])
batched = jax.vmap(penalty(jax_kernel.normalize), in_axes=(0, None, None, None))(many, gamma, beta, dy)
alone = penalty(jax_kernel.normalize)(many[1], gamma, beta, dy)
for result, expected in zip(batched, alone):
    assert_close(result[1], expected)
""",
    )


def test_only_x_is_kept_for_the_gradient(run_on):
    run_on(
        "jax",
        IMPORTS
        + """
_, gradient = jax.vjp(lambda x: jax_kernel.normalize(x, gamma, beta, **settings), x.astype("bfloat16"))
large = [leaf for leaf in jax.tree_util.tree_leaves(gradient) if leaf.size >= x.size]
assert [leaf.dtype for leaf in large] == ["bfloat16"], large
""",
    )
