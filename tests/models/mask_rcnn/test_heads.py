"""The heads: shapes, names, norms, errors."""

import keras
import numpy as np
import pytest

from zoo.errors import UserError
from zoo.models.mask_rcnn.heads import box_head, mask_head, rpn_head
from zoo.models.norms import parse_norm


def test_the_proposal_head_has_no_norm() -> None:
    head = rpn_head(channels=16, anchors=3)
    assert {type(layer).__name__ for layer in head.layers} == {"InputLayer", "Conv2D", "ReLU"}
    outputs = head(np.zeros((2, 5, 7, 16), "float32"))
    assert (outputs["objectness"].shape, outputs["deltas"].shape) == ((2, 5, 7, 3), (2, 5, 7, 12))


@pytest.mark.parametrize(("kind", "convs", "fcs"), [("2fc", 0, 2), ("4conv1fc", 4, 1)])
def test_the_box_heads(kind: str, convs: int, fcs: int) -> None:
    head = box_head(kind=kind, channels=32, num_classes=5, norm=parse_norm("gn"), units=8)
    names = [layer.name for layer in head.layers]
    assert [name for name in names if "norm" in name] == [f"box_norm{n}" for n in range(1, convs + 1)]
    assert sum(isinstance(layer, keras.layers.Dense) for layer in head.layers) == fcs + 2
    assert head.get_layer("box_fc1").units == 8
    assert {name: x.shape for name, x in head.output.items()} == {"class_logits": (None, 6), "box_deltas": (None, 5, 4)}


def test_class_agnostic_heads_have_one_box_and_one_mask() -> None:
    kinds = {"channels": 16, "num_classes": 5, "norm": parse_norm("none"), "class_agnostic": True}
    assert box_head(kind="2fc", units=8, **kinds).output["box_deltas"].shape == (None, 1, 4)
    assert mask_head(**kinds).output.shape == (None, 28, 28, 1)


def test_names_do_not_depend_on_the_norm() -> None:
    heads = [mask_head(channels=32, num_classes=2, norm=parse_norm(norm)) for norm in ("gn", "none", "bn")]
    names = [[layer.name for layer in head.layers] for head in heads]
    assert names[0] == names[1] == names[2]
    assert {"mask_conv1", "mask_norm4", "mask_deconv", "mask_logits"} <= set(names[0])


def test_an_unknown_box_head_is_named() -> None:
    with pytest.raises(UserError, match=r"`box_head` must be one of 2fc, 4conv1fc.*Did you mean 4conv1fc"):
        box_head(kind="4conv", channels=8, num_classes=2, norm=parse_norm("none"))
