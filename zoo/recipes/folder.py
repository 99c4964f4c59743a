"""Anybody's own folders of images, one a class: a start that holds for a few hundred to a few thousand images.

    python train.py --dataset folder --data-dir DIR

No score: it depends on the images.
"""

import dataclasses

from zoo.training.config import TrainConfig

FOLDER = TrainConfig(
    model="resnet18",
    norm="gn",
    dataset="folder",
    batch_size=16,
    epochs=30,
    optimizer="adamw",
    learning_rate=5e-4,
    learning_rate_batch=None,
    weight_decay=0.05,
    warmup="1",
    clip_norm=1.0,
)
PLANT_SEEDLINGS = dataclasses.replace(FOLDER, dataset="plant_seedlings")
