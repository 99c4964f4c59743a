"""The portable kernel on torch: values, gradients of both orders, and what is kept for them."""

IMPORTS = """
import numpy as np, torch
from conformance import reference
from keras_gn.ops import portable, torch_kernel
from keras_gn.ops.layout import Layout
normal = np.random.default_rng(0).normal

def tensor(array, dtype=torch.float32):
    return torch.tensor(array).to(dtype).requires_grad_()
"""


def test_values_and_gradients_equal_the_reference(run_on):
    run_on(
        "torch",
        IMPORTS
        + """
four = [((3, 9, 5, 6), 3), ((2, 6, 5, 4), 1), ((2, 5, 6, 4), 2)]
for shape, axis in [*four, ((4, 6), 1), ((2, 3, 4, 5, 6), 4), ((0, 4, 6), 2)]:
    for dtype, tolerance in [("float32", 2e-5), ("bfloat16", 3e-2), ("float16", 4e-3)]:
        x, dy = (tensor(normal(2.0, 1.0, shape), getattr(torch, dtype)) for _ in range(2))
        gamma, beta = tensor(np.linspace(-1, 2, 6)), tensor(np.linspace(1, 2, 6))
        settings = {"groups": 2, "axis": axis, "epsilon": 1e-3}
        y = torch_kernel.normalize(x, gamma, beta, **settings)
        results = [y, *torch.autograd.grad(y, (x, gamma, beta), dy)]
        assert results[0].dtype == results[1].dtype == x.dtype
        exact_x, exact_dy = (a.detach().double().numpy() for a in (x, dy))
        gamma, beta = gamma.detach().numpy(), beta.detach().numpy()
        y = reference.group_normalize(exact_x, gamma, beta, **settings)
        gradients = reference.group_normalize_gradients(exact_dy, exact_x, gamma, **settings)
        for result, expected in zip(results, [y, *gradients]):
            scale = max(1.0, np.abs(expected).max(initial=0.0))
            np.testing.assert_allclose(result.detach().double() / scale, expected / scale, atol=tolerance)
y = torch_kernel.normalize(tensor(exact_x), None, None, **settings)
np.testing.assert_allclose(y.detach(), reference.group_normalize(exact_x, **settings), atol=1e-5)
""",
    )


def test_large_maps_are_exact(run_on):
    run_on(
        "torch",
        IMPORTS
        + """
for mean in (0.0, 100.0, 1e4):
    x = normal(mean, 1.0, (1, 600, 400, 24)).astype("float32")
    expected = reference.group_normalize(x, groups=3, epsilon=1e-5)
    y = torch_kernel.normalize(torch.tensor(x), None, None, groups=3, axis=3, epsilon=1e-5)
    assert np.abs(y.numpy() - expected).max() <= 2e-6, mean
""",
    )


def test_second_order_gradients(run_on):
    run_on(
        "torch",
        IMPORTS
        + """
layout = Layout(4, 3, 6, 2)
sources = [tensor(a) for a in (normal(2, 1, (2, 9, 5, 6)), np.linspace(-1, 2, 6), np.linspace(1, 2, 6))]
w = tensor(normal(size=(2, 9, 5, 6)))

def penalty_gradients(y):
    gradients = torch.autograd.grad((w * y**2).sum(), sources, create_graph=True)
    return torch.autograd.grad(sum((g**2).sum() for g in gradients), [*sources, w])

results = penalty_gradients(torch_kernel.normalize(*sources, groups=2, axis=3, epsilon=1e-3))
automatic = penalty_gradients(portable.forward(*sources, layout=layout, epsilon=1e-3)[0])
for result, expected in zip(results, automatic):
    scale = expected.abs().max()
    np.testing.assert_allclose(result / scale, expected / scale, atol=1e-5)
""",
    )


def test_only_x_is_kept_for_the_gradient(run_on):
    run_on(
        "torch",
        IMPORTS
        + """
kept = []
with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
    x = tensor(normal(size=(3, 9, 5, 6)), torch.bfloat16)
    torch_kernel.normalize(x, tensor(np.ones(6)), None, groups=2, axis=3, epsilon=1e-3)
assert [t.dtype for t in kept if t.numel() >= x.numel()] == [torch.bfloat16], kept
""",
    )


def test_gradients_of_single_samples_by_function_transforms(run_on):
    run_on(
        "torch",
        IMPORTS
        + """
x, gamma, beta = (tensor(a).detach() for a in (normal(2, 1, (3, 9, 5, 6)), np.linspace(-1, 2, 6), np.linspace(1, 2, 6)))

def loss(gamma, sample):
    return (torch_kernel.normalize(sample[None], gamma, beta, groups=2, axis=3, epsilon=1e-3) ** 3).sum()

each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(gamma, x)
for sample, gradient in zip(x, each):
    expected = torch.func.grad(loss)(gamma, sample)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)
    leaf = gamma.clone().requires_grad_()
    (by_autograd,) = torch.autograd.grad(loss(leaf, sample), leaf)
    np.testing.assert_allclose(expected, by_autograd, rtol=1e-5, atol=1e-5)
""",
    )
