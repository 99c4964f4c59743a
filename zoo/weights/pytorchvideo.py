"""Weights of PyTorchVideo's ResNets for videos into those of the zoo."""

from collections.abc import Mapping

import keras

from zoo.errors import UserError, unknown_name
from zoo.models.saved_layers import layers_with_weights
from zoo.weights.name_map import Library, Renames, channels_last, rename
from zoo.weights.state_dict import StateDict, read_state_dict

_PYTORCHVIDEO = Library("PyTorchVideo", "num_classes and norm")
# The numbers of its blocks that are our stages 2 to 5; the head comes after them.
_BLOCKS: Mapping[str, tuple[int, int, int, int]] = {"i3d_resnet50": (1, 3, 4, 5), "slow_resnet50": (1, 2, 3, 4)}


def load_pytorchvideo(model: keras.Model, weights: StateDict) -> None:
    """Sets all weights of an i3d_resnet50 or slow_resnet50 from the state dict of PyTorchVideo's i3d_r50 or slow_r50.

    Every weight of the model is set and every tensor used, but for counters of training steps. The published files hold
    the state dict under a name: `load_pytorchvideo(model, torch.load("SLOW_8x8_R50.pyth",
    weights_only=True)["model_state"])`; they belong to batch normalization ("bn" or "frozen_bn") and 400 classes.

    PyTorchVideo's head takes means over windows of 7 x 7 positions and 8 frames (4 of i3d_r50), classifies each and
    averages; here all positions have the same weight. Both are the same for clips of 8 frames and 224 x 224 pixels.

    Args:
        model: Of `zoo.build`, with large stem.
        weights: See `read_state_dict`.

    Raises:
        UserError: If the model is another one; if a tensor is missing, left over, or of a shape that doesn't fit, or if
            PyTorchVideo has no layer like one of the model's; the model is unchanged then.
    """
    if model.name not in _BLOCKS:
        raise unknown_name("model", model.name, _BLOCKS)
    if "logits" not in {layer.name for layer in model.layers}:
        raise UserError(f"`model` must have classes. Received: '{model.name}' without. Build it with num_classes=400.")
    renames = _renames(_BLOCKS[model.name])
    sources = _PYTORCHVIDEO.sources(
        model,
        layers_with_weights(model),
        name_of=lambda layer: rename(layer, renames),
        arrange_of=lambda _: channels_last,
    )
    _PYTORCHVIDEO.set_weights(model, read_state_dict(weights), sources, weights=weights)


def _renames(blocks: tuple[int, int, int, int]) -> Renames:
    """Our layers' names, and PyTorchVideo's, which numbers blocks from 0 and calls convolutions a, b and c."""
    found = [(r"stem_(conv|norm)", "blocks.0.{}", (None,)), (r"logits", f"blocks.{blocks[-1] + 1}.proj", ())]
    for stage, block in enumerate(blocks, start=2):
        here, there = rf"stage{stage}_block(\d+)_", f"blocks.{block}.res_blocks.{{}}."
        found.append((here + r"shortcut_(conv|norm)", there + "branch1_{}", (-1, None)))
        for number, letter in enumerate("abc", start=1):
            found.append((here + rf"(conv|norm){number}", f"{there}branch2.{{}}_{letter}", (-1, None)))
    return found
