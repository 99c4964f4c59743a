"""From a configuration to its task."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import zoo
from zoo.data import (
    CATALOG,
    DETECTION_CATALOG,
    VIDEO_CATALOG,
    ClipSampling,
    Dataset,
    DatasetSpec,
    DetectionDataset,
    DetectionSpec,
    VideoDataset,
    VideoSpec,
    load,
    load_detection,
    load_video,
)
from zoo.data.augmentations import AUGMENTATIONS
from zoo.data.clip_augmentations import AUGMENTATIONS as CLIP_AUGMENTATIONS
from zoo.data.dataset import SPLITS
from zoo.data.detection_augmentations import AUGMENTATIONS as DETECTION_AUGMENTATIONS
from zoo.errors import UserError, unknown_name
from zoo.models.build import check_options
from zoo.models.norms import parse_norm
from zoo.tasks import Detection, ImageClassification, Task, VideoClassification
from zoo.training.config import TrainConfig

AnyDataset = Dataset | DetectionDataset | VideoDataset


@dataclass(frozen=True)
class _Kind:
    """What there is for a task.

    Args:
        catalog: data sets by name.
        load: finds one of them.
        augmentations: of its training examples, by name.
        foreign: fields of the configuration that mean nothing to it.
    """

    catalog: Mapping[str, Any]
    load: Callable[..., Any]
    augmentations: Mapping[str, Any]
    foreign: tuple[str, ...]


_CLIP_FIELDS = ("clip", "clip_rate", "views")
_KINDS = {
    "image_classification": _Kind(CATALOG, load, AUGMENTATIONS, (*_CLIP_FIELDS, "max_objects")),
    "detection": _Kind(DETECTION_CATALOG, load_detection, DETECTION_AUGMENTATIONS, (*_CLIP_FIELDS, "label_smoothing")),
    "video_classification": _Kind(VIDEO_CATALOG, load_video, CLIP_AUGMENTATIONS, ("max_objects",)),
}


def task_name(config: TrainConfig) -> str:
    """The task that the data set of `config` is for; a data set that doesn't exist is an error with the nearest."""
    for name, kind in _KINDS.items():
        if config.dataset in kind.catalog:
            return name
    raise unknown_name("dataset", config.dataset, [name for kind in _KINDS.values() for name in kind.catalog])


def refuse_unknown_names(config: TrainConfig) -> None:
    """Refuses a model, norm or data set that doesn't exist, with the nearest ones, or that don't fit each other."""
    task = task_name(config)
    of_task = zoo.list_models(task)
    if config.model not in of_task:
        others = {name for known in zoo.TASKS for name in zoo.list_models(known)}
        if config.model not in others:
            raise unknown_name("model", config.model, others)
        raise UserError(
            f"`model` must be one for {task.replace('_', ' ')} with the data set {config.dataset}: "
            f"{', '.join(of_task)}. Received: model={config.model!r}. Choose one of these, or another --dataset."
        )
    parse_norm(config.norm)
    check_options(config.model, config.model_options)
    refuse_foreign_fields(config)
    kind = _KINDS[task]
    if config.augmentation is not None and config.augmentation not in kind.augmentations:
        raise unknown_name("augmentation", config.augmentation, kind.augmentations)
    prepared_spec(config)


def refuse_foreign_fields(config: TrainConfig, *, given: Collection[str] | None = None) -> None:
    """Refuses fields, of those given, that mean nothing to the task of `config`."""
    task = task_name(config)
    for name in _KINDS[task].foreign:
        if getattr(config, name) and (given is None or name in given):
            raise UserError(
                f"`{name}` says nothing to {task.replace('_', ' ')}. Received: {name}={getattr(config, name)!r} with "
                f"the data set {config.dataset}. Leave it out."
            )


def load_dataset(config: TrainConfig) -> AnyDataset:
    """The data of `config`, to be prepared as it says."""
    task = task_name(config)
    # Outlines that aren't learned would make crowds of the objects without one.
    only_boxes = task == "detection" and config.model_options.get("masks") is False
    dataset = _KINDS[task].load(
        config.dataset,
        data_dir=config.data_dir,
        seed=config.seed,
        validation_fraction=config.validation_fraction,
        on_corrupt=config.on_corrupt,
        **({"masks": False} if only_boxes else {}),
    )
    return dataclasses.replace(dataset, spec=prepared_spec(config))


def prepared_spec(config: TrainConfig) -> DatasetSpec | DetectionSpec | VideoSpec:
    """How images or clips are prepared for the model of `config`."""
    spec = _KINDS[task_name(config)].catalog[config.dataset]
    if config.augmentation is not None:
        spec = dataclasses.replace(spec, augmentation=config.augmentation)
    if config.image_size is not None:
        spec = spec.seen_at(config.image_size)
    if isinstance(spec, DetectionSpec):
        return dataclasses.replace(spec, objects=config.max_objects)
    if not isinstance(spec, VideoSpec):
        return spec
    sampling = ClipSampling.of(config.clip or str(spec.sampling), rate=config.clip_rate)
    if config.views is not None:
        sampling = sampling.seen_as(config.views)
    return dataclasses.replace(spec, sampling=sampling)


def describe(task: Task) -> dict[str, Any]:
    """What a run keeps of its task: what it says of itself, and how many examples each split has."""
    return {**task.metadata(), "examples": {split: task.examples(split) for split in SPLITS}}


def dataset_as_described(config: TrainConfig, described: Mapping[str, Any]) -> AnyDataset:
    """The data set of a run without its records, from what its task said of itself."""
    spec, class_names = prepared_spec(config), tuple(described["class_names"])
    if isinstance(spec, DetectionSpec):
        return DetectionDataset(spec, class_names, tuple(described["category_ids"]), splits={})
    return (VideoDataset if isinstance(spec, VideoSpec) else Dataset)(spec, class_names, splits={})


def make_task(
    config: TrainConfig, dataset: AnyDataset | None = None, *, described: Mapping[str, Any] | None = None
) -> Task:
    """Joins data with the model of `config`.

    Args:
        config: of a run.
        dataset: the data; None: those of `config`.
        described: what the task of the run said of itself, where its model is there already.
    """
    dataset = dataset or load_dataset(config)
    common = {
        "dataset": dataset,
        "model": config.model,
        "norm": config.norm,
        "initial_weights": config.initial_weights,
        "freeze": config.freeze,
    }
    if isinstance(dataset, Dataset):
        task = VideoClassification if isinstance(dataset, VideoDataset) else ImageClassification
        return task(**common, model_options=config.model_options, label_smoothing=config.label_smoothing)
    options = dict(config.model_options)
    if described is not None:
        can_score = dataset.has_masks or not dataset.splits
        options["masks"] = described["has_masks"] and can_score
    return Detection(**common, model_options=options, seed=config.seed)


def refuse_other_classes(config: TrainConfig, dataset: AnyDataset, described: Mapping[str, Any]) -> None:
    """Refuses to score on data with other classes than those of the model."""
    names = described["class_names"]
    if list(dataset.class_names) != names:
        raise UserError(
            f"`dataset` must have the classes of the model: {_listed(names)}. Received: "
            f"dataset={config.dataset!r} with {_listed(dataset.class_names)}. Give the data it was trained for."
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
