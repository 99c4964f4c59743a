"""From a configuration to its task."""

import dataclasses

from zoo import data
from zoo.tasks import ImageClassification
from zoo.training import TrainConfig


def make_task(config: TrainConfig) -> ImageClassification:
    """Loads the data of `config` and joins it with its model."""
    dataset = data.load(
        config.dataset,
        data_dir=config.data_dir,
        seed=config.seed,
        validation_fraction=config.validation_fraction,
        on_corrupt=config.on_corrupt,
    )
    if config.image_size is not None:
        dataset = dataclasses.replace(dataset, spec=dataclasses.replace(dataset.spec, image_size=config.image_size))
    return ImageClassification(
        dataset=dataset,
        model=config.model,
        norm=config.norm,
        initial_weights=config.initial_weights,
        label_smoothing=config.label_smoothing,
    )
