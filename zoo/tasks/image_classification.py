"""Image classification: one image, one label."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from zoo.data import evaluation_batches, file_batches, image_ops, training_batches
from zoo.tasks.classification import Classification
from zoo.tasks.example_images import noise, png_files
from zoo.tasks.task import Evaluation, ServingBatch, Signature


@dataclass(frozen=True, kw_only=True)
class ImageClassification(Classification):
    """Softmax classification of images; see `Classification` for the arguments."""

    name: ClassVar[str] = "image_classification"
    unit: ClassVar[str] = "images"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Images of the data set's size."""
        spec = self.dataset.spec
        return spec.image_size, spec.image_size, spec.channels

    def training_batches(
        self, batch_size: int, *, seed: int, epoch: int, skip: int = 0, share: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset:
        """Shuffled, augmented batches without end, from the batch number `skip` of `epoch` on."""
        records, spec = self.records("train"), self.dataset.spec
        return training_batches(records, spec, batch_size=batch_size, seed=seed, epoch=epoch, skip=skip, share=share)

    def validation_batches(self, batch_size: int) -> tf.data.Dataset:
        """Every image of the validation split once."""
        return self.evaluation_batches("validation", batch_size)

    def evaluation_batches(self, split: str, batch_size: int) -> tf.data.Dataset:
        """Every image of a split once, in order."""
        return evaluation_batches(self.records(split), self.dataset.spec, batch_size=batch_size)

    def serving_batches(self, split: str, batch_size: int) -> Iterator[ServingBatch]:
        """A split as a client would send it: pixels, or the bytes of files."""
        records = self.records(split)
        if records.paths is not None:
            for files, labels in file_batches(records, batch_size=batch_size):
                yield ServingBatch("serve_encoded", {"encoded_images": files}, labels.numpy(), examples=len(labels))
            return
        for start in range(0, len(records), batch_size):
            chosen = records.take(range(start, min(start + batch_size, len(records))))
            images = image_ops.match_channels(tf.constant(chosen.images), self.dataset.spec.channels)
            yield ServingBatch("serve", {"images": images}, chosen.labels, examples=len(chosen))

    def evaluate(self, results: Iterable[tuple[np.ndarray, np.ndarray]], split: str) -> Evaluation:
        """Scores batches of (labels `[B]`, probabilities `[B, K]`), of any split."""
        labels, probabilities = (np.concatenate(parts) for parts in zip(*results, strict=True))
        return self.score(labels, probabilities)

    def signatures(self, model: keras.Model) -> list[Signature]:
        """`serve` takes uint8 images of one size, `serve_encoded` JPEG or PNG files of any sizes; see `answer`."""
        spec = self.dataset.spec

        def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return self.answer(model(images, training=False))

        def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return classify(image_ops.preprocess(images, spec))

        def prepare(encoded: tf.Tensor) -> tf.Tensor:
            return image_ops.preprocess(image_ops.decode(encoded), spec)

        def serve_encoded(encoded_images: tf.Tensor) -> dict[str, tf.Tensor]:
            one = tf.TensorSpec([spec.image_size, spec.image_size, spec.channels], tf.float32)
            return classify(tf.map_fn(prepare, encoded_images, fn_output_signature=one))

        pixels = tf.TensorSpec([None, None, None, spec.channels], tf.uint8, name="images")
        files = tf.TensorSpec([None], tf.string, name="encoded_images")
        return [
            Signature("serve", serve, pixels, self._example_images),
            Signature("serve_encoded", serve_encoded, files, self._example_files),
        ]

    def summary(self) -> str:
        """What there is to learn from, in a line."""
        spec = self.dataset.spec
        return f"{spec.name}: {self.counts()}, seen at {spec.image_size} x {spec.image_size} x {spec.channels}"

    def input_report(self) -> None:
        """Nothing: images are read as fast as they are needed."""

    def _example_images(self, count: int) -> np.ndarray:
        spec = self.dataset.spec
        return noise(count, spec.image_size, spec.image_size, spec.channels, seed=count)

    def _example_files(self, count: int) -> np.ndarray:
        return png_files(self._example_images(count))
