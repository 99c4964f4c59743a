"""Object detection and instance segmentation: boxes, classes and masks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import zoo
from zoo.data import (
    DetectionDataset,
    DetectionRecords,
    detection_evaluation_batches,
    detection_file_batches,
    detection_training_batches,
)
from zoo.errors import UserError
from zoo.metrics.coco_ap import Kind
from zoo.models.freeze import freeze_stages
from zoo.tasks.detection_scores import score_detections
from zoo.tasks.detection_serving import DetectionServing
from zoo.tasks.example_images import noise, png_files
from zoo.tasks.splits import records_of
from zoo.tasks.task import Evaluation, ServingBatch, Signature


@dataclass(frozen=True, kw_only=True)
class Detection:
    """Mask R-CNN, trained by its own losses and scored by COCO's average precision.

    Masks are learned and scored where the data has outlines, unless `model_options` says masks=False.

    Args:
        dataset: the images, objects and class names.
        model: a name of `zoo.list_models("detection")`.
        norm: a norm name, or a callable name -> layer.
        initial_weights: a file of a detector's weights to start from, of any classes, or of a classifier's for the
            backbone.
        model_options: see `zoo.models.mask_rcnn.build.mask_rcnn`.
        freeze: see `zoo.models.freeze.freeze_stages`.
        seed: of the samples that training draws.

    Raises:
        UserError: masks are asked for of data without outlines, or there is a validation split without any object to
            score.
    """

    dataset: DetectionDataset
    model: str
    norm: str
    initial_weights: str | None = None
    model_options: Mapping[str, Any] = field(default_factory=dict)
    freeze: int = 0
    seed: int = 0
    scored_whole: bool = True
    loss: None = None

    def __post_init__(self) -> None:
        if self.model_options.get("masks") and self.dataset.splits and not self.dataset.has_masks:
            raise UserError(
                "`masks` must be false, or left out, for data whose training images have no outlines. Received: "
                f"masks=True for {self.dataset.spec.name}. Add segmentations to the annotations to learn masks."
            )
        held_out = self.dataset.splits.get("validation")
        if held_out is not None and held_out.is_ignored.all():
            raise UserError(
                "`validation_fraction` must leave images with objects in the validation split. Received: "
                f"{len(held_out)} images without any. Give more images, another seed, or 0 for no validation; if they "
                "have an annotation file of their own, move it away."
            )

    @property
    def has_masks(self) -> bool:
        """Whether the model has a mask head."""
        return bool(self.model_options.get("masks", self.dataset.has_masks))

    @property
    def watch(self) -> str:
        """AP of masks, or else of boxes."""
        return "mask_AP" if self.has_masks else "box_AP"

    def build_model(self) -> keras.Model:
        """The detector; see `MaskRCNN` for what it takes and puts out."""
        model = zoo.build(
            self.model,
            norm=self.norm,
            num_classes=len(self.dataset.class_names),
            weights=self.initial_weights,
            other_classes=True,
            **{"seed": self.seed, **self.model_options, "masks": self.has_masks},
        )
        freeze_stages(model, self.freeze)
        return model

    def training_metrics(self) -> list[keras.metrics.Metric]:
        """None: the model shows the parts of its loss itself."""
        return []

    def examples(self, split: str) -> int:
        """How many images a split has; 0 where the data doesn't have it."""
        return len(self.dataset.splits.get(split, ()))

    def training_batches(
        self, batch_size: int, *, seed: int, epoch: int, skip: int = 0, share: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset:
        """Shuffled, augmented batches without end, from the batch number `skip` of `epoch` on."""
        return detection_training_batches(
            self._records("train"),
            self.dataset.spec,
            batch_size=batch_size,
            seed=seed,
            epoch=epoch,
            skip=skip,
            share=share,
        )

    def validation_batches(self, batch_size: int) -> tf.data.Dataset:
        """The validation split, which is scored whole."""
        return self.evaluation_batches("validation", batch_size)

    def evaluation_batches(self, split: str, batch_size: int) -> tf.data.Dataset:
        """Every image of a split once, in order."""
        return detection_evaluation_batches(self._records(split), self.dataset.spec, batch_size=batch_size)

    def prediction(self, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The detections as they are, in pixels of the resized image."""
        return outputs

    def served_prediction(self, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The detections as they are, in pixels of the original image."""
        return outputs

    def serving_batches(self, split: str, batch_size: int) -> Iterator[ServingBatch]:
        """A split as a client would send it: the bytes of files, one at a time, for the masks come in pixels."""
        records = self._records(split)
        size_of = dict(zip(records.image_ids.tolist(), records.sizes, strict=True))
        for files, ids in detection_file_batches(records, batch_size=1):
            sizes = np.stack([size_of[number] for number in ids.numpy().tolist()])
            labels = {"image_id": ids.numpy(), "original_size": sizes}
            yield ServingBatch("serve_encoded", {"encoded_images": files}, labels, examples=1)

    def evaluate(self, results: Iterable[tuple[Any, Any]], split: str) -> Evaluation:
        """Scores batches of (labels, detections) by COCO's twelve numbers, of boxes and of masks."""
        kinds: tuple[Kind, ...] = ("box", "mask") if self.has_masks else ("box",)
        return score_detections(self.dataset, split, results, kinds=kinds)

    def headline(self, metrics: dict[str, float]) -> str:
        """AP and AP50 of what is scored."""
        named = [name for name in ("box_AP", "box_AP50", "mask_AP", "mask_AP50") if name in metrics]
        return ", ".join(f"{name} {metrics[name]:.3f}" for name in named) + f" ({metrics['examples']} images)"

    def signatures(self, model: keras.Model) -> list[Signature]:
        """`serve` takes uint8 images of one size, `serve_encoded` files of any sizes; see `DetectionServing`."""
        serving = DetectionServing(model, self.dataset.spec, self.dataset.class_names)
        pixels = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")
        files = tf.TensorSpec([None], tf.string, name="encoded_images")
        return [
            Signature("serve", serving.serve, pixels, self._example_images, batch_sizes=(1, 2)),
            Signature("serve_encoded", serving.serve_encoded, files, self._example_files, batch_sizes=(1, 3)),
        ]

    def summary(self) -> str:
        """What there is to learn from, in a line."""
        spec = self.dataset.spec
        counts = ", ".join(
            f"{len(records)} {name} images with {len(records.classes)} objects"
            for name, records in self.dataset.splits.items()
        )
        size = f"seen at {spec.image_size} x {spec.image_size}"
        return f"{spec.name}: {len(self.dataset.class_names)} classes; {counts}; {size}"

    def input_report(self) -> None:
        """Nothing: images are read as fast as they are needed."""

    def metadata(self) -> dict[str, Any]:
        """What a SavedModel says of itself."""
        spec = self.dataset.spec
        return {
            "task": "detection",
            "model": self.model,
            "norm": str(self.norm),
            "dataset": spec.name,
            "class_names": list(self.dataset.class_names),
            "category_ids": [int(number) for number in self.dataset.category_ids],
            "has_masks": self.has_masks,
            "image_size": spec.image_size,
        }

    def _records(self, split: str) -> DetectionRecords:
        return records_of(self.dataset, split)

    def _example_images(self, count: int) -> np.ndarray:
        return noise(count, 40 + 24 * count, 120 - 16 * count, 3, seed=count)

    def _example_files(self, count: int) -> np.ndarray:
        return png_files(self._example_images(index + 1)[0] for index in range(count))
