"""SimpleNet: sizes, and the image sizes it can't take."""

import math

import pytest

import zoo
from zoo.errors import UserError


def expected_count(convs_per_block: int) -> int:
    """By hand, for 32x32x3 images and 10 classes: convolutions with gamma and beta, then two dense layers."""
    total, channels = 0, 3
    for width in (32, 64, 128):
        for _ in range(convs_per_block):
            total += 9 * channels * width + 2 * width
            channels = width
    return total + (4 * 4 * 128 + 1) * 1024 + (1024 + 1) * 10


@pytest.mark.parametrize(("name", "convs_per_block"), [("simplenet", 1), ("simplenet_v2", 2)])
@pytest.mark.parametrize("norm", ["gn", "bn"])
def test_parameter_counts(name: str, convs_per_block: int, norm: str) -> None:
    model = zoo.build(name, norm, num_classes=10, input_shape=(32, 32, 3))
    count = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert count == expected_count(convs_per_block)


def test_features() -> None:
    model = zoo.build("simplenet_v2", num_classes=None, input_shape=(28, 28, 1))
    assert {name: c.shape for name, c in model.output.items()} == {
        "c1": (None, 14, 14, 32),
        "c2": (None, 7, 7, 64),
        "c3": (None, 3, 3, 128),
    }


@pytest.mark.parametrize("input_shape", [(None, None, 3), (32, None, 3), (7, 32, 3)])
def test_the_size_must_be_known_and_large_enough(input_shape: tuple) -> None:
    with pytest.raises(UserError, match=r"`input_shape` must have a known height and width of at least 8"):
        zoo.build("simplenet", input_shape=input_shape)
    assert zoo.build("simplenet", num_classes=10, input_shape=(8, 8, 1)).output_shape == (None, 10)
