"""Weights files: there and back, and refusal of another architecture before anything changes."""

from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from keras_gn import convert_bn_to_gn
from zoo.errors import UserError
from zoo.models.freeze import freeze_stages

SMALL = {"num_classes": 4, "input_shape": (16, 16, 3)}
IMAGES = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype("float32")


def randomized(model: keras.Model) -> keras.Model:
    """`model` with all variables drawn anew, positive where they are variances."""
    random = np.random.default_rng(1)
    model.set_weights([0.1 + np.abs(random.normal(size=v.shape)) * 0.1 for v in model.variables])
    return model


def save(model: keras.Model, path: Path) -> Path:
    model.save(path) if path.suffix == ".keras" else model.save_weights(path)
    return path


@pytest.mark.parametrize("file_name", ["model.weights.h5", "model.keras"])
@pytest.mark.parametrize(
    ("name", "norm"), [("resnet18", "gn"), ("resnet18", "bn"), ("resnetv2_50x1", "gn+ws"), ("simplenet", "brn")]
)
def test_round_trip(name: str, norm: str, file_name: str, tmp_path: Path) -> None:
    model = randomized(zoo.build(name, norm, **SMALL))
    path = save(model, tmp_path / file_name)
    again = zoo.build(name, norm, weights=path, **SMALL)
    for old, new in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(old, new, err_msg=old.path)
    np.testing.assert_array_equal(model(IMAGES), again(IMAGES))


@pytest.mark.parametrize("norm", ["gn", "bn", "frozen_bn", "in"])
def test_keras_loads_the_whole_model(norm: str, tmp_path: Path) -> None:
    model = randomized(zoo.build("resnet18", norm, **SMALL))
    again = keras.saving.load_model(save(model, tmp_path / "model.keras"))
    np.testing.assert_array_equal(model(IMAGES), again(IMAGES))


@pytest.mark.parametrize("norm", ["frozen_bn", "sync_bn"])
def test_batch_norm_weights_serve_its_relatives(norm: str, tmp_path: Path) -> None:
    model = randomized(zoo.build("resnet18", "bn", **SMALL))
    path = save(model, tmp_path / "bn.weights.h5")
    again = zoo.build("resnet18", norm, weights=str(path), **SMALL)
    np.testing.assert_array_equal(model(IMAGES), again(IMAGES))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"name": "resnet34"}, r"'stage2_block3_conv1' is in the file only; .*; and 27 more"),
        ({"norm": "bn"}, r"'stem_norm' is a GroupNormalization in the model, a batchnormalization in the file"),
        ({"norm": "gn+ws"}, r"'stem_conv' is a Conv2D in the model, a standardizedconv2d in the file"),
        (
            {"num_classes": 7},
            r"1 layers: 'logits' has variables of shapes \[\(512, 4\), \(4,\)\] in the model, "
            r"\[\(512, 7\), \(7,\)\] in the file",
        ),
        ({"num_classes": None}, r"'logits' is in the model only"),
        ({"stem": "large"}, r"'stem_conv' has variables of shapes \[\(3, 3, 3, 64\)\]"),
    ],
)
def test_another_architecture_is_refused(other: dict, message: str, tmp_path: Path) -> None:
    path = save(zoo.build(**{"name": "resnet18", "norm": "gn", **SMALL, **other}), tmp_path / "other.keras")
    with pytest.raises(UserError, match=rf"`weights` must be of the same architecture.*{message}"):
        zoo.build("resnet18", "gn", weights=path, **SMALL)


@pytest.mark.parametrize("file_name", ["broken.weights.h5", "broken.keras"])
def test_a_broken_file_is_named(file_name: str, tmp_path: Path) -> None:
    path = tmp_path / file_name
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match=rf"`weights` must be a whole file.*{file_name}"):
        zoo.build("simplenet", weights=path, **SMALL)


def test_a_missing_or_strange_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`weights` must be a file that exists"):
        zoo.build("simplenet", weights=tmp_path / "none.keras", **SMALL)
    with pytest.raises(UserError, match=r"`weights` must end in \.weights\.h5 or \.keras"):
        zoo.build("simplenet", weights="resnet.pth", **SMALL)


def test_a_norm_of_several_layers_is_not_half_loaded(tmp_path: Path) -> None:
    def composite(name: str) -> keras.Layer:
        return keras.Sequential([keras.layers.LayerNormalization(), keras.layers.Rescaling(2.0)], name=name)

    path = save(zoo.build("simplenet", composite, **SMALL), tmp_path / "composite.weights.h5")
    with pytest.raises(UserError, match=r"'stage1_norm1' keeps variables in inner layers"):
        zoo.build("simplenet", composite, weights=path, **SMALL)


DETECTOR = {"num_classes": 3, "channels": 32, "units": 8, "seed": 0}


@pytest.mark.parametrize("file_name", ["model.weights.h5", "model.keras"])
def test_a_detector_takes_a_detectors_weights(file_name: str, tmp_path: Path) -> None:
    model = zoo.build("mask_rcnn_resnet18_fpn", **DETECTOR)
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=v.shape) for v in model.weights])
    again = zoo.build("mask_rcnn_resnet18_fpn", weights=save(model, tmp_path / file_name), **DETECTOR)
    for old, new in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(old, new, err_msg=old.path)


@pytest.mark.parametrize("file_name", ["model.weights.h5", "model.keras"])
def test_a_detector_takes_a_classifiers_backbone(file_name: str, tmp_path: Path) -> None:
    classifier = randomized(zoo.build("resnet18", num_classes=4, input_shape=(64, 64, 3)))
    fresh = zoo.build("mask_rcnn_resnet18_fpn", **DETECTOR)
    fresh.save_weights(tmp_path / "before.weights.h5")
    detector = zoo.build("mask_rcnn_resnet18_fpn", weights=save(classifier, tmp_path / file_name), **DETECTOR)
    for name in ("stem_conv", "stage5_block2_norm2"):
        taken, given = detector.features.get_layer(name).get_weights(), classifier.get_layer(name).get_weights()
        for old, new in zip(given, taken, strict=True):
            np.testing.assert_array_equal(old, new)
    deep = keras.Model(classifier.input, classifier.get_layer("stage5_block2_out").output)
    c5 = keras.Model(detector.features.input, detector.features.get_layer("stage5_block2_out").output)
    images = np.random.default_rng(2).normal(size=(1, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(c5(images), deep(images), rtol=1e-5, atol=1e-6)


def test_a_c4_detector_takes_the_last_stage_for_its_heads(tmp_path: Path) -> None:
    classifier = randomized(zoo.build("resnet18", num_classes=4, input_shape=(64, 64, 3)))
    path = save(classifier, tmp_path / "model.keras")
    detector = zoo.build("mask_rcnn_resnet18_c4", num_classes=3, channels=32, weights=path)
    for part, name in ((detector.features, "stem_conv"), (detector.trunk, "stage5_block2_norm2")):
        given, taken = classifier.get_layer(name).get_weights(), part.get_layer(name).get_weights()
        for old, new in zip(given, taken, strict=True):
            np.testing.assert_array_equal(old, new)
    freeze_stages(detector, 5)
    assert not detector.trunk.trainable_variables
    assert not detector.features.trainable_variables
    assert detector.box_head.trainable_variables


def test_a_detector_for_other_classes_keeps_all_but_what_is_for_each(tmp_path: Path, caplog) -> None:
    three = zoo.build("mask_rcnn_resnet18_fpn", **DETECTOR)
    path = save(three, tmp_path / "three.keras")
    other = {**DETECTOR, "num_classes": 5}
    with pytest.raises(UserError, match=r"differs in 3 layers: 'box_deltas' has variables of shapes \[\(8, 20\)"):
        zoo.build("mask_rcnn_resnet18_fpn", weights=path, **other)
    with caplog.at_level("INFO"):
        five = zoo.build("mask_rcnn_resnet18_fpn", weights=path, other_classes=True, **other)
    assert "afresh" in caplog.text
    assert "three.keras': class_logits, box_deltas, mask_logits" in caplog.text
    for name in ("features", "rpn", "box_head", "mask_head"):
        for old, new in zip(getattr(three, name).layers, getattr(five, name).layers, strict=True):
            if new.name not in {"class_logits", "box_deltas", "mask_logits"}:
                for given, taken in zip(old.get_weights(), new.get_weights(), strict=True):
                    np.testing.assert_array_equal(taken, given, err_msg=new.name)


def test_boxes_for_each_class_and_for_all_are_another_architecture(tmp_path: Path) -> None:
    path = save(zoo.build("mask_rcnn_resnet18_fpn", class_agnostic_boxes=True, **DETECTOR), tmp_path / "model.keras")
    with pytest.raises(UserError, match=r"differs in 1 layers: 'box_deltas'"):
        zoo.build("mask_rcnn_resnet18_fpn", weights=path, other_classes=True, **DETECTOR)


def test_a_classifier_for_other_classes_keeps_all_but_the_logits(tmp_path: Path) -> None:
    given = randomized(zoo.build("resnet18", **SMALL))
    path = save(given, tmp_path / "model.keras")
    taken = zoo.build("resnet18", weights=path, other_classes=True, **{**SMALL, "num_classes": 9})
    assert not np.array_equal(taken.get_layer("logits").kernel[:, :4], given.get_layer("logits").kernel)
    for old, new in zip(given.weights[:-2], taken.weights[:-2], strict=True):
        np.testing.assert_array_equal(new, old, err_msg=new.path)
    same = zoo.build("resnet18", weights=path, other_classes=True, **SMALL)
    np.testing.assert_array_equal(same.get_layer("logits").kernel, given.get_layer("logits").kernel)
    with pytest.raises(UserError, match="'stem_conv' has variables of shapes"):
        zoo.build("resnet18", weights=path, other_classes=True, stem="large", **SMALL)


def test_a_backbone_with_another_stem_or_norm_is_refused(tmp_path: Path) -> None:
    small_stem = save(zoo.build("resnet18", **SMALL), tmp_path / "small.keras")
    with pytest.raises(UserError, match=r"differs in 1 layers: 'stem_conv' has variables of shapes"):
        zoo.build("mask_rcnn_resnet18_fpn", weights=small_stem, **DETECTOR)
    bn = save(zoo.build("resnet18", "bn", num_classes=4, input_shape=(64, 64, 3)), tmp_path / "bn.keras")
    with pytest.raises(UserError, match=r"is a GroupNormalization in the model, a batchnormalization in the file"):
        zoo.build("mask_rcnn_resnet18_fpn", weights=bn, **DETECTOR)


@pytest.mark.parametrize("name", ["resnet18", "mask_rcnn_resnet18_fpn"])
def test_converted_weights_bring_their_groups(name: str, tmp_path: Path) -> None:
    bn = randomized(zoo.build("resnet18", "bn", num_classes=3, input_shape=(64, 64, 3)))
    converted = convert_bn_to_gn(bn, channels_per_group=16)
    path = save(converted, tmp_path / "converted.keras")
    options = DETECTOR if name.startswith("mask") else {"num_classes": 3, "input_shape": (64, 64, 3)}
    model = zoo.build(name, "gn", weights=path, **options)
    layers = getattr(model, "features", model)
    assert layers.get_layer("stem_norm").groups == 4
    assert layers.get_layer("stage5_block1_norm1").groups == 32
    images = np.random.default_rng(2).normal(size=(1, 64, 64, 3)).astype("float32")
    last = "stage5_block2_out"
    own = keras.Model(layers.input, layers.get_layer(last).output)
    expected = keras.Model(converted.input, converted.get_layer(last).output)
    np.testing.assert_allclose(own(images), expected(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "stages"), [("resnet18", 6), ("resnet18", -1), ("simplenet", -1)])
def test_stages_to_freeze_are_checked(name: str, stages: int) -> None:
    with pytest.raises(UserError, match=r"`freeze` must be"):
        freeze_stages(zoo.build(name, **SMALL), stages)


def test_a_model_without_stages_has_none_to_freeze() -> None:
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="plain")
    freeze_stages(plain, 0)
    with pytest.raises(UserError, match=r"`freeze` must be 0 for plain, which has no stages. Received: freeze=2"):
        freeze_stages(plain, 2)


def test_frozen_stages_count_from_the_stem() -> None:
    model = zoo.build("resnet18", **SMALL)
    everything = len(model.trainable_variables)
    left = []
    for stages in range(6):
        model = zoo.build("resnet18", **SMALL)
        freeze_stages(model, stages)
        left.append(len(model.trainable_variables))
    assert left[0] == everything
    # The stem has a kernel, gamma and beta; stage 2 has four convolutions; the last layer stays.
    assert left[:3] == [everything, everything - 3, everything - 3 - 12]
    assert left[5] == 2
