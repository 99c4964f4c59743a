"""Video classification: clips in, one label a video."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from zoo.data import (
    DecodeMeter,
    VideoDataset,
    VideoSpec,
    video_clip_batches,
    video_evaluation_batches,
    video_training_batches,
)
from zoo.data.clip_ops import preprocess
from zoo.errors import UserError
from zoo.metrics import ClipStrip, draw_clips
from zoo.tasks.classification import Classification
from zoo.tasks.example_images import noise
from zoo.tasks.task import Evaluation, ServingBatch, Signature

SHOWN_VIDEOS = 8


@dataclass(frozen=True, kw_only=True)
class VideoClassification(Classification):
    """Softmax classification of clips; a video's probabilities are the mean of those of its views.

    See `Classification` for the other arguments.

    Args:
        dataset: the videos, their labels, the class names, and how clips are taken.
        meter: counts what is decoded.
    """

    name: ClassVar[str] = "video_classification"
    unit: ClassVar[str] = "videos"

    dataset: VideoDataset
    meter: DecodeMeter = field(default_factory=DecodeMeter, compare=False)

    @property
    def input_shape(self) -> tuple[None, None, None, int]:
        """Clips of any length and size: training and evaluation see different ones."""
        return None, None, None, self.dataset.spec.channels

    def training_batches(
        self, batch_size: int, *, seed: int, epoch: int, skip: int = 0, share: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset:
        """A random clip of every video, shuffled, augmented, without end, from the batch `skip` of `epoch` on."""
        return video_training_batches(
            self.records("train"),
            self.dataset.spec,
            batch_size=batch_size,
            seed=seed,
            epoch=epoch,
            skip=skip,
            share=share,
            meter=self.meter,
        )

    def validation_batches(self, batch_size: int) -> tf.data.Dataset:
        """The middle clip of every video of the validation split: all views would take as long as training."""
        spec = _single_view(self.dataset.spec)
        batches = video_evaluation_batches(self.records("validation"), spec, batch_size=batch_size, meter=self.meter)
        return batches.map(lambda clip, labels: (clip, labels["label"]))

    def evaluation_batches(self, split: str, batch_size: int) -> tf.data.Dataset:
        """Every view of every video of a split, in order."""
        return video_evaluation_batches(self.records(split), self.dataset.spec, batch_size=batch_size, meter=self.meter)

    def serving_batches(self, split: str, batch_size: int) -> Iterator[ServingBatch]:
        """A split as a client would send it: clips of one video at a time, pixels as they are.

        Raises:
            UserError: several crops are asked for.
        """
        sampling = self.dataset.spec.sampling
        if sampling.crops > 1:
            raise UserError(
                "`views` must have one crop of each clip for a SavedModel, which cuts out the middle itself. Received: "
                f"views={sampling.clips}x{sampling.crops}. Give --views {sampling.clips}x1, or score the run (--run)."
            )
        for clips, labels in video_clip_batches(self.records(split), self.dataset.spec, meter=self.meter):
            for start in range(0, len(clips), batch_size):
                part = slice(start, start + batch_size)
                named = {name: values[part].numpy() for name, values in labels.items()}
                ends = int(start + batch_size >= len(clips))
                yield ServingBatch("serve", {"clips": clips[part]}, named, examples=ends)

    def evaluate(self, results: Iterable[tuple[Mapping[str, np.ndarray], np.ndarray]], split: str) -> Evaluation:
        """Scores batches of (labels as in `video_schema.LABELS`, probabilities `[B, K]`), of any split."""
        labels, views = zip(*results, strict=True)
        videos, first, which = np.unique(
            np.concatenate([each["video"] for each in labels]), return_index=True, return_inverse=True
        )
        of_videos = np.concatenate([each["label"] for each in labels])[first]
        sums = np.zeros((len(videos), len(self.dataset.class_names)))
        np.add.at(sums, which, np.concatenate(views))
        probabilities = sums / np.bincount(which)[:, None]
        evaluation = self.score(of_videos, probabilities)
        chosen = np.linspace(0, len(videos) - 1, min(SHOWN_VIDEOS, len(videos))).astype(int)
        shown = self._strips(split, videos[chosen], probabilities[chosen])
        return dataclasses.replace(evaluation, pictures={**evaluation.pictures, "clips": draw_clips(shown)})

    def signatures(self, model: keras.Model) -> list[Signature]:
        """`serve` takes uint8 clips [B, T, H, W, 3] of any length and size; see `answer`."""
        spec = self.dataset.spec

        def serve(clips: tf.Tensor) -> dict[str, tf.Tensor]:
            return self.answer(model(preprocess(clips, spec), training=False))

        pixels = tf.TensorSpec([None, None, None, None, spec.channels], tf.uint8, name="clips")
        return [Signature("serve", serve, pixels, self._example_clips, batch_sizes=(1, 2))]

    def summary(self) -> str:
        """What there is to learn from, in a line."""
        spec = self.dataset.spec
        clips = f"clips of {spec.sampling}, seen at {spec.image_size} x {spec.image_size}"
        return f"{spec.name}: {self.counts()}; {clips}; {spec.sampling.views} views of a video in evaluation"

    def metadata(self) -> dict[str, Any]:
        """What a SavedModel says of itself."""
        return {**super().metadata(), "clip": str(self.dataset.spec.sampling)}

    def input_report(self) -> str:
        """How fast videos were decoded since the last time."""
        return str(self.meter.take())

    def _strips(self, split: str, videos: np.ndarray, probabilities: np.ndarray) -> list[ClipStrip]:
        """A clip in the middle of some videos, one of those that were scored, and what the model says of them."""
        names, records = self.dataset.class_names, self.records(split).take(videos)
        strips = []
        for (clips, labels), row in zip(video_clip_batches(records, self.dataset.spec), probabilities, strict=True):
            best = int(row.argmax())
            strips.append(
                ClipStrip(
                    clip=clips[len(clips) // 2].numpy(),
                    label=names[int(labels["label"][0])],
                    prediction=names[best],
                    probability=float(row[best]),
                )
            )
        return strips

    def _example_clips(self, count: int) -> np.ndarray:
        """Of another length and size for each number of clips."""
        side = self.dataset.spec.test_shorter_side
        return noise(count, self.dataset.spec.sampling.frames + 2 * (count - 1), side, side + 8 * count, 3, seed=count)


def _single_view(spec: VideoSpec) -> VideoSpec:
    return dataclasses.replace(spec, sampling=dataclasses.replace(spec.sampling, clips=1, crops=1))
