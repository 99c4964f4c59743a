"""zoo.build: names, shapes, errors, precision, and an import that stays light."""

import subprocess
import sys
from collections.abc import Iterator

import keras
import numpy as np
import pytest

import zoo
from zoo.errors import UserError

SMALL = {"num_classes": 10, "input_shape": (16, 16, 3)}


@pytest.fixture
def restored_settings() -> Iterator[None]:
    policy, data_format = keras.mixed_precision.dtype_policy(), keras.config.image_data_format()
    yield
    keras.mixed_precision.set_dtype_policy(policy)
    keras.config.set_image_data_format(data_format)


def test_list_models() -> None:
    assert zoo.list_models() == [
        "resnet101",
        "resnet152",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnetv2_101x1",
        "resnetv2_50x1",
        "simplenet",
        "simplenet_v2",
    ]


def test_import_zoo_leaves_keras_and_tensorflow_alone() -> None:
    code = "import sys, zoo; assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'biuld'"):
        zoo.biuld  # noqa: B018


@pytest.mark.parametrize("name", ["resnet18", "resnetv2_50x1", "simplenet"])
def test_input_and_output_names(name: str) -> None:
    model = zoo.build(name, **SMALL)
    assert (model.name, model.layers[0].name, model.layers[-1].name) == (name, "image", "logits")
    assert len(model.outputs) == 1
    assert model.output_shape == (None, 10)
    assert len({layer.name for layer in model.layers}) == len(model.layers)


@pytest.mark.parametrize("name", ["resnet18", "resnetv2_50x1", "simplenet_v2"])
def test_layer_names_do_not_depend_on_the_norm(name: str) -> None:
    models = [zoo.build(name, norm, **SMALL) for norm in ("gn", "bn", "none", "gn+ws")]
    names = [[layer.name for layer in model.layers] for model in models]
    assert names[0] == names[1] == names[2] == names[3]
    forbidden = ("bn", "gn", "batch", "group")
    assert not [layer for layer in names[0] if any(word in layer for word in forbidden)]


@pytest.mark.parametrize("name", ["resnet18", "resnetv2_50x1"])
def test_the_default_norm_is_gn_and_none_must_be_named(name: str) -> None:
    kinds = {type(layer).__name__ for layer in zoo.build(name, **SMALL).layers}
    assert {"GroupNormalization", "Conv2D"} <= kinds
    assert "StandardizedConv2D" not in kinds
    with pytest.raises(UserError, match=r"`norm` must be a name such as 'gn' or 'none'.*Received: norm=None"):
        zoo.build(name, norm=None, **SMALL)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(("name", "norm"), [("resnet18", "gn"), ("simplenet", "bn"), ("resnetv2_50x1", "gn+ws")])
@pytest.mark.usefixtures("restored_settings")
def test_logits_are_float32_under_mixed_precision(name: str, norm: str, policy: str) -> None:
    keras.mixed_precision.set_dtype_policy(policy)
    model = zoo.build(name, norm, **SMALL)
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
    hidden = next(layer for layer in model.layers if layer.name.endswith("conv1"))
    assert hidden.compute_dtype == policy.removeprefix("mixed_")
    logits = model(np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32"))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("norm", ["gn", "bn", "brn", "ln", "in"])
@pytest.mark.usefixtures("restored_settings")
def test_channels_first(norm: str) -> None:
    keras.config.set_image_data_format("channels_first")
    model = zoo.build("resnet18", norm, num_classes=None, input_shape=(3, 64, 96))
    assert model.output["c2"].shape == (None, 64, 16, 24)
    assert model.output["c5"].shape == (None, 512, 2, 3)
    assert model.get_layer("stage5_block1_norm1").gamma.shape == (512,)
    assert zoo.build("resnet18", norm, input_shape=(3, 32, 48)).get_layer("stem_conv").strides == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet5"}, r"`model` must be one of .*Received: model='resnet5'\. Did you mean resnet50"),
        ({"name": ["resnet18"]}, "`model` must be one of"),
        ({"norm": "frozen"}, r"`norm` must be one of .*Did you mean frozen_bn"),
        ({"stem": "smal"}, r"`stem` must be one of auto, large, small\..*Did you mean small\?"),
        ({"zero_init_residual": "no"}, "`zero_init_residual` must be true or false. Received: zero_init_residual='no'"),
        ({"zero_init": True}, r"`option of resnet18` .*Did you mean zero_init_residual\?"),
        ({"name": "simplenet", "stem": "small"}, r"`simplenet` takes no options\. Received: stem='small'"),
        ({"num_classes": 0}, r"`num_classes` must be an integer above 0.*Received: num_classes=0"),
        ({"num_classes": 2.5}, r"`num_classes` .*Received: num_classes=2\.5"),
        ({"num_classes": True}, r"`num_classes` .*Received: num_classes=True"),
        ({"input_shape": (32, 32)}, r"`input_shape` must be \(height, width, channels\).*\(32, 32\)"),
        ({"input_shape": (0, 32, 3)}, r"`input_shape` .*Received: input_shape=\(0, 32, 3\)"),
        ({"input_shape": (32, 32, None)}, r"`input_shape` .*Received: input_shape=\(32, 32, None\)"),
        (
            {"norm": "gn:groups=7", "input_shape": (32, 32, 3)},
            r"layer 'stem_norm'.*\(None, 32, 32, 64\).*norm='gn:groups=7'.*Use one of 1, 2, 4, 8, 16, 32, 64",
        ),
        (
            {"norm": "in", "input_shape": (8, 8, 3)},
            r"layer 'stage5_block1_shortcut_norm'.*more than one element",
        ),
        ({"weights": "nowhere.weights.h5"}, r"`weights` must be a file that exists.*nowhere\.weights\.h5"),
    ],
)
def test_errors_name_the_argument_and_the_way_out(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        zoo.build(**{"name": "resnet18", **arguments})
