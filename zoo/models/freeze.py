"""Backbones of which the first stages aren't trained."""

import re

import keras

from zoo.errors import UserError

LAST_STAGE = 5


def freeze_stages(model: keras.Model, stages: int) -> None:
    """Leaves the first layers of a ResNet, or of a detector's backbone, as they are in training.

    Batch norms among them use their moving statistics, as everywhere in Keras.

    Args:
        model: Of the zoo, with layers named stem_... and stage2_... to stage5_....
        stages: 0: none; 1: the stem; 2 to 5: up to that stage. detectron2's FREEZE_AT counts alike.

    Raises:
        UserError: If `stages` is out of its range, or the model has no such layers.

    >>> import zoo
    >>> model = zoo.build("resnet18", num_classes=3, input_shape=(64, 64, 3))
    >>> freeze_stages(model, 2)
    >>> model.get_layer("stage2_block2_conv1").trainable, model.get_layer("stage3_block1_conv1").trainable
    (False, True)
    """
    if not 0 <= stages <= LAST_STAGE:
        raise UserError(f"`freeze` must be from 0 (nothing) to {LAST_STAGE} (all stages). Received: freeze={stages}.")
    parts = [part for part in model.layers if isinstance(part, keras.Model)]  # of a detector
    frozen = [layer for part in parts or [model] for layer in part.layers if 0 < _stage(layer.name) <= stages]
    if stages and not frozen:
        raise UserError(f"`freeze` must be 0 for {model.name}, which has no stages. Received: freeze={stages}.")
    for layer in frozen:
        layer.trainable = False


def _stage(name: str) -> int:
    """The stage of a layer, 1 for the stem, 0 for what is none."""
    found = re.match(r"stage(\d)_", name)
    return int(found[1]) if found else int(name.startswith("stem_"))
