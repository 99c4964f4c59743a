"""Mask R-CNN on c4: sizes, anchors, what the heads share, detections, training, saving, weights of a classifier."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.errors import UserError
from zoo.models.mask_rcnn.anchors import cell_anchors
from zoo.models.mask_rcnn.model import MaskRCNN
from zoo.models.mask_rcnn.settings import C4

SMALL = {
    "num_classes": 3,
    "channels": 16,
    "detections": 4,
    "proposals_of_level": (40, 30),
    "proposals_of_image": (20, 15),
    "region_sample": 8,
    "seed": 1,
}
IMAGES = np.random.default_rng(0).normal(size=(2, 64, 96, 3)).astype("float32")
BATCH = {
    "image": IMAGES,
    "boxes": np.array([[[5, 8, 40, 50], [20, 30, 60, 90]], [[10, 10, 40, 60], [0, 0, 0, 0]]], "float32"),
    "classes": np.array([[0, 2], [1, -1]]),
    "masks": np.ones((2, 2, 28, 28), "uint8"),
}


def build_small(norm: str = "gn", **options: object) -> MaskRCNN:
    return zoo.build("mask_rcnn_resnet18_c4", norm, **{**SMALL, **options})


@pytest.fixture(scope="module")
def small() -> MaskRCNN:
    """Its weights are such that it finds something, and that the residual branches, zero at first, count."""
    keras.utils.set_random_seed(0)
    model = build_small()
    rng = np.random.default_rng(0)
    for head, name in ((model.box_head, "class_logits"), (model.rpn, "rpn_objectness"), (model.rpn, "rpn_deltas")):
        kernel = head.get_layer(name).kernel
        kernel.assign(rng.normal(scale=0.3, size=kernel.shape))
    for variable in model.trainable_variables:
        if variable.name == "gamma":
            variable.assign(np.full(variable.shape, 0.7))
    return model


def test_the_number_of_parameters() -> None:
    """ResNet-50 without its logits, and what figure 3 (left) of the paper adds."""
    model = zoo.build("mask_rcnn_resnet50_c4", "gn", num_classes=80)
    backbone = zoo.build("resnet50", "gn", num_classes=None).count_params()
    proposals = 1024 * (9 * 1024 + 1) + (1024 + 1) * 15 * (1 + 4)
    boxes = (2048 + 1) * (81 + 4 * 80)
    masks = 256 * (4 * 2048 + 1) + (256 + 1) * 80
    assert sum(math.prod(variable.shape) for variable in model.trainable_variables) == (
        backbone + proposals + boxes + masks
    )
    assert {name: getattr(model.settings, name) for name in C4} == C4


def test_every_place_of_c4_has_the_anchors_of_all_sizes(small: MaskRCNN) -> None:
    maps = small.features(IMAGES)
    assert {name: tuple(x.shape) for name, x in maps.items()} == {"c4": (2, 4, 6, 256)}
    objectness, deltas, anchors = small.score_anchors(maps, IMAGES)
    assert [len(part) for part in (objectness, deltas, anchors)] == [1, 1, 1]
    assert (objectness[0].shape, deltas[0].shape) == ((2, 4 * 6 * 15), (2, 4 * 6 * 15, 4))
    place = np.array(anchors[0]).reshape(4, 6, 15, 4)[2, 5]
    expected = np.concatenate([cell_anchors(size) for size in (32, 64, 128, 256, 512)])
    np.testing.assert_allclose(place, expected + np.array([32, 80, 32, 80]), rtol=1e-6)


def test_the_heads_see_what_the_last_stage_makes_of_a_region(small: MaskRCNN) -> None:
    maps, boxes = small.features(IMAGES), tf.constant(BATCH["boxes"][:, :1])
    pooled = small.pool(maps, boxes, bins=14)
    regions = small.region_features(maps, boxes, bins=7)
    assert (pooled.shape, regions.shape) == ((2, 1, 14, 14, 256), (2, 1, 7, 7, 512))
    np.testing.assert_allclose(regions[:, 0], small.trunk(pooled[:, 0]), atol=1e-5)
    logits, deltas = small.classify(maps, boxes)
    assert (logits.shape, deltas.shape) == ((2, 1, 4), (2, 1, 3, 4))
    dense = small.box_head.get_layer("class_logits")
    np.testing.assert_allclose(logits[:, 0], dense(tf.reduce_mean(regions[:, 0], axis=(1, 2))), atol=1e-3)
    assert small.mask_logits(regions, np.array([[0], [2]])).shape == (2, 1, 14, 14)


def test_a_region_is_taken_from_c4_whatever_its_size(small: MaskRCNN) -> None:
    columns = tf.tile((tf.range(6.0) * 16 + 8)[None, None, :, None], (1, 4, 1, 1))
    pooled = small.pool({"c4": columns}, tf.constant([[[8.0, 16, 56, 80], [20, 30, 30, 44]]]), bins=2)
    np.testing.assert_allclose(pooled[0, :, 0, :, 0], [[32, 64], [33.5, 40.5]], rtol=1e-5)


def test_detections(small: MaskRCNN) -> None:
    found = {name: np.array(x) for name, x in small({"image": IMAGES}).items()}
    assert (found["boxes"].shape, found["masks"].shape) == ((2, 4, 4), (2, 4, 14, 14))
    assert (found["num_detections"] > 0).all()
    assert (np.diff(found["scores"]) <= 0).all()
    assert ((found["boxes"] >= 0) & (found["boxes"] <= [64, 96, 64, 96])).all()
    regions = small.region_features(small.features(IMAGES), tf.constant(found["boxes"]), bins=7)
    expected = tf.sigmoid(small.mask_logits(regions, tf.constant(found["classes"])))
    np.testing.assert_allclose(found["masks"], expected, atol=1e-4)


def test_training() -> None:
    model = build_small()
    model.compile(keras.optimizers.SGD(0.02), jit_compile=False)
    first = model.train_on_batch(BATCH, return_dict=True)
    assert set(first) == {"loss", "objectness_loss", "anchor_box_loss", "class_loss", "box_loss", "mask_loss"}
    assert np.isfinite(list(first.values())).all()
    for _ in range(6):
        model.reset_metrics()
        last = model.train_on_batch(BATCH, return_dict=True)
    for name in ("loss", "objectness_loss", "class_loss", "mask_loss"):
        assert last[name] < first[name], name


def test_every_part_gets_a_gradient_and_the_masks_reach_what_is_shared(small: MaskRCNN) -> None:
    with tf.GradientTape(persistent=True) as tape:
        parts = small.loss_parts(small(BATCH, training=True))
        loss = sum(parts.values())
    variables = small.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(tf.convert_to_tensor(gradient)).all(), variable.path
    shared = small.trunk.get_layer("stage5_block1_conv1").kernel
    for name in ("class_loss", "mask_loss"):
        assert np.abs(tape.gradient(parts[name], shared)).max() > 0, name


def test_masks_are_learned_from_the_features_that_the_box_head_saw(small: MaskRCNN, monkeypatch) -> None:
    regions = []
    pool = MaskRCNN.pool
    monkeypatch.setattr(MaskRCNN, "pool", lambda *given, **kind: regions.append(kind) or pool(*given, **kind))
    small(BATCH, training=True)
    assert regions == [{"bins": 14}]


def test_a_saved_model_detects_the_same(small: MaskRCNN, tmp_path: Path) -> None:
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    assert loaded.settings == small.settings
    before, after = (model({"image": IMAGES}) for model in (small, loaded))
    for name in before:
        np.testing.assert_allclose(after[name], before[name], atol=1e-5)
    again = build_small(weights=tmp_path / "small.keras")
    np.testing.assert_array_equal(
        again.trunk.get_layer("stage5_block2_conv2").kernel, small.trunk.get_layer("stage5_block2_conv2").kernel
    )


def test_a_classifier_gives_all_five_stages(tmp_path: Path) -> None:
    classifier = zoo.build("resnet18", "gn", num_classes=2)
    classifier.save_weights(tmp_path / "classifier.weights.h5")
    model = build_small(weights=tmp_path / "classifier.weights.h5")
    for part, name in ((model.features, "stage4_block2_conv2"), (model.trunk, "stage5_block1_shortcut_conv")):
        np.testing.assert_array_equal(part.get_layer(name).kernel, classifier.get_layer(name).kernel)


def test_the_last_stage_has_the_norm_of_the_heads() -> None:
    model = build_small("frozen_bn", box_norm="gn:groups=16")
    assert type(model.features.get_layer("stage4_block1_norm1")).__name__ == "BatchNormalization"
    assert model.trunk.get_layer("stage5_block1_norm1").groups == 16
    alone = build_small("frozen_bn", masks=False)
    assert not alone.trunk.get_layer("stage5_block1_norm1").trainable
    assert "masks" not in alone({"image": IMAGES})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fpn_norm": "gn"}, "`option of mask_rcnn_resnet18_c4` must be one of"),
        ({"head": "2fc"}, "`option of mask_rcnn_resnet18_c4` must be one of"),
        ({"region_sample": 0}, "`region_sample` must be above 0. Received: region_sample=0"),
        ({"box_norm": "gn:groups=7"}, "`norm` does not fit layer 'stage5_block1_shortcut_norm'"),
    ],
)
def test_errors_name_the_argument(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_small(**arguments)
