"""Image classification: one image, one label."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import zoo
from zoo.data import Dataset, Records, evaluation_batches, file_batches, image_ops, training_batches
from zoo.metrics import classification_scores, draw_confusion, per_class_table
from zoo.models.freeze import freeze_stages
from zoo.tasks.example_images import noise, png_files
from zoo.tasks.splits import records_of
from zoo.tasks.task import Evaluation, ServingBatch, Signature


@dataclass(frozen=True, kw_only=True)
class ImageClassification:
    """Softmax classification with cross-entropy.

    Args:
        dataset: the images, labels and class names.
        model: a name of `zoo.list_models()`.
        norm: a norm name, or a callable name -> layer.
        initial_weights: a file of weights to start from.
        model_options: of the model, see `zoo.build`.
        freeze: see `zoo.models.freeze.freeze_stages`.
        label_smoothing: share of the label spread over all classes (1512.00567, section 7).
    """

    dataset: Dataset
    model: str
    norm: str
    initial_weights: str | None = None
    model_options: Mapping[str, Any] = field(default_factory=dict)
    freeze: int = 0
    label_smoothing: float = 0.0
    watch: str = "accuracy"
    scored_whole: bool = False

    def build_model(self) -> keras.Model:
        """The model for images of the data set's size; its output is the logits `[B, K]`."""
        spec = self.dataset.spec
        model = zoo.build(
            self.model,
            norm=self.norm,
            num_classes=len(self.dataset.class_names),
            input_shape=(spec.image_size, spec.image_size, spec.channels),
            weights=self.initial_weights,
            **self.model_options,
        )
        freeze_stages(model, self.freeze)
        return model

    def loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Cross-entropy `[B]` of logits `[B, K]` against smoothed labels."""
        return keras.losses.categorical_crossentropy(
            keras.ops.one_hot(keras.ops.cast(labels, "int32"), len(self.dataset.class_names)),  # Keras made them floats
            outputs,
            from_logits=True,
            label_smoothing=self.label_smoothing,
        )

    def training_metrics(self) -> list[keras.metrics.Metric]:
        """Accuracy, by Keras, while training."""
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def examples(self, split: str) -> int:
        """How many examples a split has; 0 where the data doesn't have it."""
        return len(self.dataset.splits.get(split, ()))

    def training_batches(
        self, batch_size: int, *, seed: int, epoch: int, skip: int = 0, share: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset:
        """Shuffled, augmented batches without end, from the batch number `skip` of `epoch` on."""
        records, spec = self._records("train"), self.dataset.spec
        return training_batches(records, spec, batch_size=batch_size, seed=seed, epoch=epoch, skip=skip, share=share)

    def evaluation_batches(self, split: str, batch_size: int) -> tf.data.Dataset:
        """Every image of a split once, in order."""
        return evaluation_batches(self._records(split), self.dataset.spec, batch_size=batch_size)

    def prediction(self, outputs: np.ndarray) -> np.ndarray:
        """The probabilities `[B, K]`: softmax of logits."""
        return tf.nn.softmax(tf.cast(outputs, tf.float64)).numpy()

    def served_prediction(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """The probabilities `[B, K]`."""
        return outputs["probabilities"]

    def serving_batches(self, split: str, batch_size: int) -> Iterator[ServingBatch]:
        """A split as a client would send it: pixels, or the bytes of files."""
        records = self._records(split)
        if records.paths is not None:
            for files, labels in file_batches(records, batch_size=batch_size):
                yield ServingBatch("serve_encoded", {"encoded_images": files}, labels.numpy())
            return
        for start in range(0, len(records), batch_size):
            chosen = records.take(range(start, min(start + batch_size, len(records))))
            images = image_ops.match_channels(tf.constant(chosen.images), self.dataset.spec.channels)
            yield ServingBatch("serve", {"images": images}, chosen.labels)

    def evaluate(self, results: Iterable[tuple[np.ndarray, np.ndarray]], split: str) -> Evaluation:
        """Scores batches of (labels `[B]`, probabilities `[B, K]`), of any split."""
        labels, probabilities = (np.concatenate(parts) for parts in zip(*results, strict=True))
        predicted = probabilities.argmax(axis=1)
        names = self.dataset.class_names
        return Evaluation(
            metrics=classification_scores(labels, probabilities),
            tables={"per_class": per_class_table(labels, predicted, names)},
            pictures={"confusion_matrix": draw_confusion(labels, predicted, names)},
        )

    def headline(self, metrics: dict[str, float]) -> str:
        """Accuracy and loss."""
        return f"accuracy {metrics['accuracy']:.2%} (loss {metrics['loss']:.4f}, {metrics['examples']} images)"

    def signatures(self, model: keras.Model) -> list[Signature]:
        """`serve` takes uint8 images of one size, `serve_encoded` JPEG or PNG files of any sizes.

        Both return `probabilities` and `logits` `[B, K]`, `class_id` `[B]` and `class_name` `[B]`.
        """
        spec = self.dataset.spec
        class_names = tf.constant(self.dataset.class_names)

        def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = tf.cast(model(images, training=False), tf.float32)
            class_id = tf.argmax(logits, axis=-1)
            return {
                "probabilities": tf.nn.softmax(logits),
                "logits": logits,
                "class_id": class_id,
                "class_name": tf.gather(class_names, class_id),
            }

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
        counts = ", ".join(f"{len(records)} {name}" for name, records in self.dataset.splits.items())
        size = f"{spec.image_size} x {spec.image_size} x {spec.channels}"
        return f"{spec.name}: {len(self.dataset.class_names)} classes; {counts} images, seen at {size}"

    def metadata(self) -> dict[str, Any]:
        """What a SavedModel says of itself."""
        spec = self.dataset.spec
        return {
            "task": "image_classification",
            "model": self.model,
            "norm": str(self.norm),
            "dataset": spec.name,
            "class_names": list(self.dataset.class_names),
            "image_size": spec.image_size,
            "channels": spec.channels,
        }

    def _records(self, split: str) -> Records:
        return records_of(self.dataset, split)

    def _example_images(self, count: int) -> np.ndarray:
        spec = self.dataset.spec
        return noise(count, spec.image_size, spec.image_size, spec.channels, seed=count)

    def _example_files(self, count: int) -> np.ndarray:
        return png_files(self._example_images(count))
