"""torchvision's weights: every name, every layout by what the layers compute, and refusal before anything changes."""

import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file
from torchvision_names import shapes

import zoo
from zoo.errors import UserError
from zoo.models.mask_rcnn.model import MaskRCNN
from zoo.weights.torchvision import load_torchvision

Loaded = tuple[MaskRCNN, dict[str, np.ndarray]]
SMALL = {"num_classes": 2, "channels": 16, "units": 8}
SMALL_SHAPES = {"classes": 3, "channels": 16, "units": 8}


def build(norm: str = "frozen_bn", **options: object) -> MaskRCNN:
    return zoo.build("mask_rcnn_resnet18_fpn", norm, **{**SMALL, "head": "2fc", **options})


def random_state(**options: object) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    named = shapes("resnet18", **{**SMALL_SHAPES, **options})
    return {name: random.normal(size=shape).astype("float32") for name, shape in named.items()}


def parameters(model: MaskRCNN) -> dict[str, keras.Variable]:
    parts = [part for part in (model.features, model.rpn, model.box_head, model.mask_head) if part]
    return {variable.path: variable for part in parts for variable in part.variables}


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    model, state = build(), random_state()
    load_torchvision(model, state)
    return model, state


def test_published_names_are_all_used_and_all_there_is() -> None:
    """Each tensor is filled with a number of its own: each arrives somewhere, and together they fill the model."""
    names = list(shapes("resnet50", classes=91))
    state = {
        name: np.broadcast_to(np.float32(number), shape)
        for number, (name, shape) in enumerate(shapes("resnet50", classes=91).items())
    }
    model = zoo.build("mask_rcnn_resnet50_fpn", "frozen_bn:epsilon=0", num_classes=90, head="2fc")
    load_torchvision(model, state)
    values = {path: np.unique(variable) for path, variable in parameters(model).items()}
    assert all(len(value) == 1 for value in values.values())
    origins = {path: names[int(value[0])] for path, value in values.items()}
    assert len(names) == 53 * 5 + 42
    assert sorted(origins.values()) == sorted(names)
    assert origins["stem_norm/moving_variance"] == "backbone.body.bn1.running_var"
    assert origins["stage4_block6_norm2/gamma"] == "backbone.body.layer3.5.bn2.weight"
    assert origins["stage2_block1_shortcut_norm/beta"] == "backbone.body.layer1.0.downsample.1.bias"
    assert origins["fpn_lateral2_conv/bias"] == "backbone.fpn.inner_blocks.0.0.bias"
    assert origins["fpn_output5_conv/kernel"] == "backbone.fpn.layer_blocks.3.0.weight"
    assert origins["rpn_objectness/kernel"] == "rpn.head.cls_logits.weight"
    assert origins["box_fc2/kernel"] == "roi_heads.box_head.fc7.weight"
    assert origins["mask_conv4/bias"] == "roi_heads.mask_head.3.0.bias"


def test_some_of_the_classes_keep_their_order() -> None:
    """Each row holds its class: the model with classes 5 and 3 of 6 has theirs, and the background's."""
    state = random_state(classes=7)
    for name, rows in (
        ("box_predictor.cls_score", 1),
        ("box_predictor.bbox_pred", 4),
        ("mask_predictor.mask_fcn_logits", 1),
    ):
        for kind in ("weight", "bias"):
            tensor = state[f"roi_heads.{name}.{kind}"]
            tensor[...] = (np.arange(len(tensor)) // rows).reshape(-1, *(1,) * (tensor.ndim - 1))
    model = build()
    load_torchvision(model, state, classes=[5, 3])
    head = model.box_head
    assert np.array(head.get_layer("class_logits").bias).tolist() == [0, 5, 3]
    assert np.array(head.get_layer("box_deltas").kernel)[0].tolist() == [5] * 4 + [3] * 4
    assert np.array(model.mask_head.get_layer("mask_logits").kernel)[0, 0, 0].tolist() == [5, 3]


def test_classes_that_the_weights_have_not() -> None:
    with pytest.raises(UserError, match=r"`classes` must be numbers of classes that.* have, 1 to 2.*\[1, 3\]"):
        load_torchvision(build(), random_state(), classes=[1, 3])


@pytest.mark.parametrize("classes", [[1], [1, 1], [0, 2]])
def test_classes_are_checked(classes: list[int]) -> None:
    with pytest.raises(UserError, match=r"`classes` must be 2 different numbers above 0.*Received: classes=\["):
        load_torchvision(build(), random_state(), classes=classes)


def test_a_convolution_sees_the_same_pixels(loaded: Loaded) -> None:
    model, state = loaded
    kernel, weight = np.array(model.features.get_layer("stem_conv").kernel), state["backbone.body.conv1.weight"]
    assert kernel[2, 5, 1, 40] == weight[40, 1, 2, 5]
    assert kernel[6, 0, 2, 63] == weight[63, 2, 6, 0]


def test_a_transposed_convolution_paints_the_same_cells(loaded: Loaded) -> None:
    model, state = loaded
    pixel = np.random.default_rng(1).normal(size=16).astype("float32")
    painted = np.array(model.mask_head.get_layer("mask_deconv")(pixel[None, None, None]))[0]
    weight, bias = (state[f"roi_heads.mask_predictor.conv5_mask.{kind}"] for kind in ("weight", "bias"))
    np.testing.assert_allclose(painted, np.einsum("i,ioyx->yxo", pixel, weight) + bias, atol=1e-4)


def test_the_first_dense_layer_sees_the_same_cells(loaded: Loaded) -> None:
    model, state = loaded
    region = np.random.default_rng(1).normal(size=(7, 7, 16)).astype("float32")
    ours = np.array(model.box_head.get_layer("box_fc1")(region.reshape(1, -1)))[0]
    weight, bias = (state[f"roi_heads.box_head.fc6.{kind}"] for kind in ("weight", "bias"))
    np.testing.assert_allclose(ours, weight @ region.transpose(2, 0, 1).ravel() + bias, atol=1e-3)


@pytest.mark.parametrize(
    ("part", "layer", "name", "background"),
    [
        ("rpn", "rpn_deltas", "rpn.head.bbox_pred", 0),
        ("box_head", "box_deltas", "roi_heads.box_predictor.bbox_pred", 1),
    ],
)
def test_y_comes_before_x(loaded: Loaded, part: str, layer: str, name: str, background: int) -> None:
    model, state = loaded
    found = getattr(model, part).get_layer(layer)
    x = np.random.default_rng(1).normal(size=found.kernel.shape[-2]).astype("float32")
    ours = np.array(x @ np.array(found.kernel) + np.array(found.bias)).reshape(-1, 4)
    weight = state[f"{name}.weight"].reshape(-1, len(x))
    theirs = (weight @ x + state[f"{name}.bias"]).reshape(-1, 4)[background:]
    assert len(ours) == len(theirs)
    for (dy, dx, dh, dw), expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose([dx, dy, dw, dh], expected, atol=1e-4)


def test_classes_and_masks(loaded: Loaded) -> None:
    model, state = loaded
    logits = model.box_head.get_layer("class_logits")
    np.testing.assert_array_equal(logits.bias, state["roi_heads.box_predictor.cls_score.bias"])
    masks = model.mask_head.get_layer("mask_logits")
    np.testing.assert_array_equal(masks.bias, state["roi_heads.mask_predictor.mask_fcn_logits.bias"][1:])
    weight = state["roi_heads.mask_predictor.mask_fcn_logits.weight"]
    np.testing.assert_array_equal(np.array(masks.kernel)[0, 0], weight[1:, :, 0, 0].T)


@pytest.mark.parametrize(
    ("options", "torchvisions"),
    [
        ({"norm": "gn", "fpn_norm": "none", "mask_norm": "none"}, {"batch_norm": False}),
        ({"norm": "gn:groups=8", "head": "4conv1fc"}, {"batch_norm": False, "norms_everywhere": True}),
        ({"norm": "bn", "fpn_norm": "none", "mask_norm": "none", "masks": False}, {"masks": False}),
    ],
)
def test_other_norms_and_heads(options: dict, torchvisions: dict) -> None:
    model, state = build(**options), random_state(**torchvisions)
    load_torchvision(model, state)
    np.testing.assert_array_equal(
        model.features.get_layer("stage5_block1_shortcut_norm").gamma,
        state["backbone.body.layer4.0.downsample.1.weight"],
    )
    if options.get("head") == "4conv1fc":
        np.testing.assert_array_equal(model.box_head.get_layer("box_fc1").bias, state["roi_heads.box_head.5.bias"])
        norm = model.features.get_layer("fpn_output3_norm")
        np.testing.assert_array_equal(norm.gamma, state["backbone.fpn.layer_blocks.1.1.weight"])


def test_names_of_the_published_files(loaded: Loaded) -> None:
    """Those of torchvision before 0.13, with counters of steps, which are ignored."""
    old_names = {}
    for name in loaded[1]:
        old = re.sub(r"_blocks\.(\d)\.0\.", r"_blocks.\1.", name)
        old = re.sub(r"rpn\.head\.conv\.0\.0\.", "rpn.head.conv.", old)
        old_names[name] = re.sub(r"mask_head\.(\d)\.0", lambda match: f"mask_head.mask_fcn{int(match[1]) + 1}", old)
    assert old_names["roi_heads.mask_head.3.0.bias"] == "roi_heads.mask_head.mask_fcn4.bias"
    assert sum(old != name for name, old in old_names.items()) == 16 + 2 + 8
    state = {old_names[name]: array for name, array in loaded[1].items()}
    state["backbone.body.bn1.num_batches_tracked"] = np.array(7)
    model = build()
    load_torchvision(model, state)
    for path, variable in parameters(model).items():
        np.testing.assert_array_equal(variable, parameters(loaded[0])[path], err_msg=path)


def test_a_safetensors_file(loaded: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(loaded[1], path)
    model = build()
    load_torchvision(model, path)
    for name, variable in parameters(model).items():
        np.testing.assert_array_equal(variable, parameters(loaded[0])[name], err_msg=name)


def without(name: str) -> Callable[[dict], dict]:
    return lambda state: {other: array for other, array in state.items() if other != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("backbone.body.bn1.bias"), r"differs in 1 tensors: 'backbone\.body\.bn1\.bias' is missing\."),
        (lambda state: {**state, "fc.bias": np.zeros(3)}, r"1 tensors: 'fc\.bias' is left over\. Build the model with"),
        (
            lambda state: {**state, "rpn.head.conv.bias": np.zeros(16)},
            r"1 tensors: 'rpn\.head\.conv\.bias' is left over",
        ),
        (
            lambda state: {**state, "backbone.body.conv1.weight": np.zeros((64, 3, 7, 1), "float32")},
            r"'backbone\.body\.conv1\.weight' \(64, 3, 7, 1\) float32 doesn't fit 'stem_conv/kernel' \(7, 7, 3, 64\)",
        ),
        (
            lambda state: {**state, "roi_heads.box_predictor.bbox_pred.bias": np.array(1.0)},
            r"'roi_heads\.box_predictor\.bbox_pred\.bias' \(\) float64 doesn't fit 'box_deltas/bias' \(8,\)",
        ),
        (
            lambda state: {**state, "roi_heads.box_head.fc6.weight": np.zeros((8, 783))},
            r"fc6\.weight' \(8, 783\) float64 doesn't fit 'box_fc1/kernel' \(784, 8\)",
        ),
        (
            lambda state: {**state, "backbone.body.bn1.bias": np.full(64, "a")},
            r"bn1\.bias' \(64,\) <U1 doesn't fit",
        ),
        (lambda state: random_state(classes=4), r"differs in 6 tensors: .*cls_score\.weight' \(4, 8\)"),
        (lambda state: random_state(batch_norm=False), r"40 tensors: .*running_mean' is missing.*; and 30 more\. "),
        (lambda state: random_state(masks=False), r"mask_head\.0\.0\.weight' is missing"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_loaded(change: Callable[[dict], dict], message: str) -> None:
    model = build()
    before = [np.array(variable) for variable in model.variables]
    with pytest.raises(UserError, match=r"`weights` must be torchvision's.*Received: weights=a mapping.*" + message):
        load_torchvision(model, change(random_state()))
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(variable, old, err_msg=variable.path)


def test_the_error_names_the_file(tmp_path: Path) -> None:
    save_file({"fc.bias": np.zeros(3)}, tmp_path / "classifier.safetensors")
    with pytest.raises(UserError, match=r"Received: weights='.*classifier\.safetensors', which differs in"):
        load_torchvision(build(), tmp_path / "classifier.safetensors")


@pytest.mark.parametrize(
    ("norm", "message"),
    [
        ("gn+ws", r"with the StandardizedConv2D 'stem_conv'. Build it with norms such as 'frozen_bn' and 'gn'"),
        ("brn", r"with the BatchNormalization 'stem_norm'"),
    ],
)
def test_layers_that_torchvision_has_not(norm: str, message: str) -> None:
    model = build(norm, fpn_norm="none", mask_norm="none")
    with pytest.raises(UserError, match=r"`model` must have layers like torchvision's.*" + message):
        load_torchvision(model, random_state())


def test_a_classifier_is_refused() -> None:
    with pytest.raises(UserError, match=r"`model` must be a Mask R-CNN of zoo\.build\. Received: model=<Functional"):
        load_torchvision(zoo.build("simplenet", num_classes=3, input_shape=(16, 16, 3)), {})
