"""The whole model: published sizes, batches of unlike images, training, edge cases, saving, names, errors."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.errors import UserError
from zoo.models.mask_rcnn.model import MaskRCNN
from zoo.models.mask_rcnn.settings import TORCHVISION

TINY = {
    "num_classes": 3,
    "channels": 16,
    "units": 8,
    "detections": 6,
    "proposals_of_level": (40, 30),
    "proposals_of_image": (30, 25),
    "region_sample": 16,
    "seed": 1,
}


def build_tiny(norm: str = "gn:groups=8", **options: object) -> MaskRCNN:
    return zoo.build("mask_rcnn_resnet18_fpn", norm, **{**TINY, **options})


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(*shape, 3)).astype("float32")


def batch(**changes: np.ndarray) -> dict[str, np.ndarray]:
    boxes = [[[5, 8, 40, 50], [20, 30, 60, 90], [0, 0, 0, 0]], [[10, 10, 10, 30], [0, 0, 30, 30], [30, 20, 50, 60]]]
    return {
        "image": images(2, 64, 96),
        "image_size": np.array([[64, 96], [60, 80]], "float32"),
        "boxes": np.array(boxes, "float32"),
        "classes": np.array([[0, 2, -1], [1, 1, 2]]),
        "crowd": np.array([[False, False, False], [False, True, False]]),
        "masks": np.ones((2, 3, 28, 28), "uint8"),
        **changes,
    }


def spread_scores(model: MaskRCNN) -> MaskRCNN:
    """Makes the untrained model sure of something, so that detections differ and can be compared."""
    rng = np.random.default_rng(0)
    for head, name in ((model.box_head, "class_logits"), (model.rpn, "rpn_objectness"), (model.rpn, "rpn_deltas")):
        layer = head.get_layer(name)
        layer.kernel.assign(rng.normal(scale=0.3, size=layer.kernel.shape))
    return model


@pytest.fixture(scope="module")
def tiny() -> MaskRCNN:
    keras.utils.set_random_seed(0)
    return spread_scores(build_tiny())


def test_published_parameter_counts() -> None:
    """torchvision's Mask R-CNN and Faster R-CNN, whose heads also predict a mask and a box of the background."""
    model = zoo.build("mask_rcnn_resnet50_fpn", "frozen_bn", num_classes=90, head="2fc")
    count = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    box_of_background, mask_of_background = 4 * (1024 + 1), 256 + 1
    assert count == 44_401_393 - box_of_background - mask_of_background
    assert count - model.mask_head.count_params() == 41_755_286 - box_of_background


def test_detections(tiny: MaskRCNN) -> None:
    found = {name: np.array(x) for name, x in tiny({"image": images(2, 64, 96)}).items()}
    assert found["boxes"].shape == (2, 6, 4)
    assert found["masks"].shape == (2, 6, 28, 28)
    assert (found["num_detections"] > 0).all()
    assert (np.diff(found["scores"]) <= 0).all()
    assert (found["boxes"][..., 2] <= 64).all()
    assert (found["boxes"][..., 3] <= 96).all()
    assert ((found["masks"] >= 0) & (found["masks"] <= 1)).all()
    filled = np.arange(6) < found["num_detections"][:, None]
    np.testing.assert_array_equal(found["classes"] >= 0, filled)


def test_an_image_is_detected_in_a_batch_as_alone(tiny: MaskRCNN) -> None:
    inputs = {"image": images(2, 64, 96), "image_size": np.array([[64, 96], [40, 70]], "float32")}
    together = tiny(inputs)
    for n in range(2):
        alone = tiny({name: x[n : n + 1] for name, x in inputs.items()})
        for name, x in alone.items():
            np.testing.assert_allclose(x[0], together[name][n], atol=1e-3, err_msg=name)
    assert np.array(together["boxes"])[1].max(axis=0)[2] <= 40


def test_a_graph_of_unknown_sizes_detects_the_same(tiny: MaskRCNN) -> None:
    signature = [tf.TensorSpec([None, None, None, 3])]
    graph = tf.function(lambda image: tiny({"image": image}), input_signature=signature)
    for size in [(64, 96), (50, 71)]:
        eager, traced = tiny({"image": images(1, *size)}), graph(images(1, *size))
        for name in eager:
            np.testing.assert_allclose(traced[name], eager[name], atol=1e-3, err_msg=name)


def test_training() -> None:
    model = build_tiny()
    model.compile(keras.optimizers.SGD(0.05), jit_compile=False)
    first = model.train_on_batch(batch(), return_dict=True)
    assert set(first) == {"loss", "objectness_loss", "anchor_box_loss", "class_loss", "box_loss", "mask_loss"}
    parts = sum(value for name, value in first.items() if name != "loss")
    np.testing.assert_allclose(first["loss"], parts, rtol=1e-5)
    for _ in range(8):
        model.reset_metrics()
        last = model.train_on_batch(batch(), return_dict=True)
    # The box losses depend on which regions are positive, which changes at first.
    for name in ("loss", "objectness_loss", "class_loss", "mask_loss"):
        assert last[name] < first[name], name

    nothing = np.full((2, 3), -1)
    for changes in ({"classes": nothing}, {"boxes": np.zeros((2, 3, 4), "float32")}, {"crowd": np.ones((2, 3), bool)}):
        model.reset_metrics()
        losses = model.train_on_batch(batch(**changes), return_dict=True)
        assert np.isfinite(list(losses.values())).all()
        assert losses["anchor_box_loss"] == losses["box_loss"] == losses["mask_loss"] == 0
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_every_part_gets_a_gradient() -> None:
    model = spread_scores(build_tiny())
    with tf.GradientTape() as tape:
        loss = sum(model.loss_parts(model(batch(), training=True)).values())
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(tf.convert_to_tensor(gradient)).all(), variable.path
    heads = {variable.path.split("/")[0] for variable in variables}
    assert {"rpn_conv", "box_conv1", "class_logits", "mask_logits", "fpn_lateral5_conv", "stem_conv"} <= heads


def test_a_saved_model_detects_the_same(tiny: MaskRCNN, tmp_path: Path) -> None:
    tiny.save(tmp_path / "tiny.keras")
    loaded = keras.models.load_model(tmp_path / "tiny.keras")
    assert loaded.settings == tiny.settings
    before, after = (model({"image": images(1, 64, 64)}) for model in (tiny, loaded))
    for name in before:
        np.testing.assert_allclose(after[name], before[name], atol=1e-5)


def test_without_masks_it_is_faster_rcnn() -> None:
    model = build_tiny(masks=False, head="2fc", norm="frozen_bn", **TORCHVISION, proposals_of_level=(9, 9))
    assert set(model({"image": images(1, 64, 64)})) == {"boxes", "scores", "classes", "num_detections"}
    learnt = model.loss_parts(model({name: x for name, x in batch().items() if name != "masks"}))
    assert "mask_loss" not in learnt
    # Norms that are not trained stay in the backbone.
    assert type(model.features.get_layer("stem_norm")).__name__ == "BatchNormalization"
    assert type(model.features.get_layer("fpn_output2_norm")).__name__ == "Identity"


def test_each_part_has_its_norm() -> None:
    model = build_tiny("frozen_bn", fpn_norm="none", box_norm="gn:groups=4", mask_norm="gn:groups=2")
    assert type(model.features.get_layer("stem_norm")).__name__ == "BatchNormalization"
    assert type(model.features.get_layer("fpn_output2_norm")).__name__ == "Identity"
    assert model.box_head.get_layer("box_norm1").groups == 4
    assert model.mask_head.get_layer("mask_norm1").groups == 2


def test_backbone_layers_are_called_as_the_classifiers() -> None:
    classifier = zoo.build("resnet18", num_classes=None, input_shape=(64, 64, 3))
    names = [layer.name for layer in build_tiny().features.layers]
    assert names[: len(classifier.layers)] == [layer.name for layer in classifier.layers]


def test_boxes_stay_exact_under_mixed_precision() -> None:
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model = spread_scores(build_tiny())
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    found = model({"image": images(1, 64, 96), "image_size": np.array([[40.3, 60.7]], "float32")})
    # The border, which bfloat16 would round to 40.25 and 60.75.
    np.testing.assert_allclose(np.array(found["boxes"])[0, :, 2:].max(axis=0), [40.3, 60.7], rtol=1e-6)
    assert all(found[name].dtype == "float32" for name in ("boxes", "scores", "masks"))
    losses = model.loss_parts(model(batch(), training=True))
    assert all(np.isfinite(loss) and loss.dtype == "float32" for loss in losses.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head": "3fc"}, r"`box_head` must be one of 2fc, 4conv1fc"),
        ({"sampling_ratio": 0}, r"`sampling_ratio` must be an integer of 1 or more.*Received: sampling_ratio=0"),
        ({"anchor_sizes": (32, 64)}, r"`anchor_sizes` must have 5 sizes.*Received"),
        ({"detections": 0}, r"`detections` must be above 0. Received: detections=0"),
        ({"detection_iou": 1.5}, r"`detection_iou` must be from 0 to 1. Received: detection_iou=1.5"),
        ({"masks": "False"}, "`masks` must be true or false. Received: masks='False'"),
        ({"channels": "64"}, "`channels` must be such as 256. Received: channels='64'"),
        ({"proposals_of_level": [1000]}, "`proposals_of_level` must have two numbers"),
        ({"anchor_ratios": []}, "`anchor_ratios` must have one or more"),
        ({"aligend": True}, r"option of mask_rcnn_resnet18_fpn.*Did you mean aligned"),
        ({"num_classes": None}, r"`num_classes` must be an integer above 0.*Received: num_classes=None"),
        ({"weights": "a.keras"}, r"`weights` must be a file that exists. Received: weights='a.keras'"),
        ({"norm": "gn:groups=7"}, r"`norm` does not fit layer 'stem_norm'"),
    ],
)
def test_errors_name_the_argument(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_tiny(**arguments)


def test_channels_first_is_refused() -> None:
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(UserError, match="channels_last only"):
            build_tiny(input_shape=(3, 64, 64))
    finally:
        keras.config.set_image_data_format("channels_last")
