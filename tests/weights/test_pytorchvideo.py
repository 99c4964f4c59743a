"""PyTorchVideo's weights: every name, the layout of a kernel, and refusal before anything changes."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from pytorchvideo_names import shapes

import zoo
from zoo.errors import UserError
from zoo.weights.pytorchvideo import load_pytorchvideo

OURS = {"slow_r50": "slow_resnet50", "i3d_r50": "i3d_resnet50"}
COUNTER = "num_batches_tracked"


def numbered(name: str, **options: int) -> dict[str, np.ndarray]:
    """Each tensor is filled with a number of its own, its place."""
    return {
        tensor: np.broadcast_to(np.float32(number), shape)
        for number, (tensor, shape) in enumerate(shapes(name, **options).items())
    }


@pytest.mark.parametrize(
    ("name", "origins"),
    [
        (
            "slow_r50",
            {
                "stem_norm/moving_variance": "blocks.0.norm.running_var",
                "stage3_block1_shortcut_conv/kernel": "blocks.2.res_blocks.0.branch1_conv.weight",
                "stage4_block6_norm2/gamma": "blocks.3.res_blocks.5.branch2.norm_b.weight",
                "logits/bias": "blocks.5.proj.bias",
            },
        ),
        (
            "i3d_r50",
            {
                "stem_conv/kernel": "blocks.0.conv.weight",
                "stage2_block3_conv1/kernel": "blocks.1.res_blocks.2.branch2.conv_a.weight",
                "stage3_block1_shortcut_norm/beta": "blocks.3.res_blocks.0.branch1_norm.bias",
                "stage5_block2_conv3/kernel": "blocks.5.res_blocks.1.branch2.conv_c.weight",
                "logits/kernel": "blocks.6.proj.weight",
            },
        ),
    ],
)
def test_names_are_all_used_and_all_there_is(name: str, origins: dict[str, str]) -> None:
    """Each tensor arrives somewhere, and together they fill the model."""
    model, names = zoo.build(OURS[name], "frozen_bn", num_classes=400), list(shapes(name))
    load_pytorchvideo(model, numbered(name))
    values = {variable.path: np.unique(variable) for variable in model.weights}
    assert all(len(value) == 1 for value in values.values())
    found = {path: names[int(value[0])] for path, value in values.items()}
    assert sorted(found.values()) == sorted(tensor for tensor in names if not tensor.endswith(COUNTER))
    assert {path: found[path] for path in origins} == origins


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return zoo.build("i3d_resnet50", "frozen_bn", num_classes=3)


def test_a_kernel_sees_the_same_frames_and_pixels(model: keras.Model) -> None:
    state = numbered("i3d_r50", classes=3)
    weight = np.random.default_rng(0).normal(size=(64, 3, 5, 7, 7)).astype("float32")
    load_pytorchvideo(model, {**state, "blocks.0.conv.weight": weight})
    kernel = np.array(model.get_layer("stem_conv").kernel)
    assert kernel[4, 2, 5, 1, 40] == weight[40, 1, 4, 2, 5]
    assert kernel[0, 6, 0, 2, 63] == weight[63, 2, 0, 6, 0]


def without(name: str) -> Callable[[dict], dict]:
    return lambda state: {other: array for other, array in state.items() if other != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            without("blocks.0.norm.bias"),
            r"differs in 1 tensors: 'blocks\.0\.norm\.bias' is missing\. Build the model with",
        ),
        (lambda state: {**state, "blocks.2.extra": np.zeros(3)}, r"1 tensors: 'blocks\.2\.extra' is left over"),
        (lambda state: numbered("i3d_r50", classes=5), r"2 tensors: .*proj\.weight' \(5, 2048\) float32 doesn't fit"),
        (
            lambda state: numbered("slow_r50", classes=3),
            r"'blocks\.4\.res_blocks\.3\.branch2\.conv_a\.weight' is missing",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_loaded(
    model: keras.Model, change: Callable[[dict], dict], message: str
) -> None:
    before = [np.array(variable) for variable in model.weights]
    with pytest.raises(UserError, match=r"`weights` must be PyTorchVideo's state dict.*a mapping.*" + message):
        load_pytorchvideo(model, change(numbered("i3d_r50", classes=3)))
    for old, variable in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(variable, old, err_msg=variable.path)


def test_models_that_pytorchvideo_has_not() -> None:
    with pytest.raises(UserError, match=r"`model` must be one of i3d_resnet50, slow_resnet50.*model='resnet3d18'"):
        load_pytorchvideo(zoo.build("resnet3d18", num_classes=3), {})
    with pytest.raises(UserError, match=r"`model` must have classes\. Received: 'slow_resnet50' without"):
        load_pytorchvideo(zoo.build("slow_resnet50", num_classes=None), {})
    with pytest.raises(UserError, match=r"layers like PyTorchVideo's.*StandardizedConv3D 'stem_conv'.*'frozen_bn' and"):
        load_pytorchvideo(zoo.build("slow_resnet50", "gn+ws", num_classes=3), {})
