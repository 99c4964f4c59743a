"""What the classification of images and of videos have in common: one example, one label."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

import zoo
from zoo.data import Dataset, Records
from zoo.metrics import classification_scores, draw_confusion, per_class_table
from zoo.models.freeze import freeze_stages
from zoo.tasks.splits import records_of
from zoo.tasks.task import Evaluation


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Softmax classification with cross-entropy.

    Args:
        dataset: the examples, their labels and the class names.
        model: a name of `zoo.list_models()` of the task.
        norm: a norm name, or a callable name -> layer.
        initial_weights: a file of weights to start from, of any classes.
        model_options: of the model, see `zoo.build`.
        freeze: see `zoo.models.freeze.freeze_stages`.
        label_smoothing: share of the label spread over all classes (1512.00567, section 7).
    """

    name: ClassVar[str]
    unit: ClassVar[str]  # what is counted

    dataset: Dataset
    model: str
    norm: str
    initial_weights: str | None = None
    model_options: Mapping[str, Any] = field(default_factory=dict)
    freeze: int = 0
    label_smoothing: float = 0.0
    watch: str = "accuracy"
    scored_whole: bool = False

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Of one example, as the model takes it."""
        raise NotImplementedError

    def build_model(self) -> keras.Model:
        """The model for the data set's examples; its output is the logits `[B, K]`."""
        model = zoo.build(
            self.model,
            norm=self.norm,
            num_classes=len(self.dataset.class_names),
            input_shape=self.input_shape,
            weights=self.initial_weights,
            other_classes=True,
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

    def prediction(self, outputs: np.ndarray) -> np.ndarray:
        """The probabilities `[B, K]`: softmax of logits."""
        return tf.nn.softmax(tf.cast(outputs, tf.float64)).numpy()

    def served_prediction(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """The probabilities `[B, K]`."""
        return outputs["probabilities"]

    def score(self, labels: np.ndarray, probabilities: np.ndarray) -> Evaluation:
        """Scores the labels `[N]` and probabilities `[N, K]` of a whole split."""
        predicted = probabilities.argmax(axis=1)
        names = self.dataset.class_names
        return Evaluation(
            metrics=classification_scores(labels, probabilities),
            tables={"per_class": per_class_table(labels, predicted, names)},
            pictures={"confusion_matrix": draw_confusion(labels, predicted, names)},
        )

    def headline(self, metrics: dict[str, float]) -> str:
        """Accuracy and loss."""
        top5 = f", top 5 {metrics['top5_accuracy']:.2%}" if "top5_accuracy" in metrics else ""
        rest = f"(loss {metrics['loss']:.4f}, {metrics['examples']} {self.unit})"
        return f"accuracy {metrics['accuracy']:.2%}{top5} {rest}"

    def answer(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """What a SavedModel returns: `probabilities` and `logits` `[B, K]`, `class_id` and `class_name` `[B]`."""
        logits = tf.cast(logits, tf.float32)
        class_id = tf.argmax(logits, axis=-1)
        return {
            "probabilities": tf.nn.softmax(logits),
            "logits": logits,
            "class_id": class_id,
            "class_name": tf.gather(tf.constant(self.dataset.class_names), class_id),
        }

    def counts(self) -> str:
        """How many examples there are, in words."""
        counts = ", ".join(f"{len(records)} {name}" for name, records in self.dataset.splits.items())
        return f"{len(self.dataset.class_names)} classes; {counts} {self.unit}"

    def metadata(self) -> dict[str, Any]:
        """What a SavedModel says of itself."""
        spec = self.dataset.spec
        return {
            "task": self.name,
            "model": self.model,
            "norm": str(self.norm),
            "dataset": spec.name,
            "class_names": list(self.dataset.class_names),
            "image_size": spec.image_size,
            "channels": spec.channels,
        }

    def records(self, split: str) -> Records:
        """Those of `split`; an error that names the splits where there is none."""
        return records_of(self.dataset, split)
