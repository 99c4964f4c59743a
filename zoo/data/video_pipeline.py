"""From video files to batches of clips with tf.data: deterministic, restartable, parallel, bounded in memory."""

import os
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from zoo.data import schema, video_schema
from zoo.data.clip_augmentations import AUGMENTATIONS
from zoo.data.clip_ops import Example, crop_view, standardize
from zoo.data.clip_sampling import random_clip, uniform_clips
from zoo.data.corrupt import CorruptFiles
from zoo.data.decode_meter import DecodeMeter
from zoo.data.epochs import (
    all_in_batches,
    batches_of_epochs,
    check_batch_size,
    on_host,
    prefetched,
    read_whole_ones,
    without_end,
)
from zoo.data.records import Records
from zoo.data.video_catalog import VideoSpec
from zoo.data.video_decode import Video, VideoError, open_video
from zoo.errors import unknown_name

# "uint8": pixels as they are, to be standardized where they are used.
ClipType = Literal["float32", "uint8"]

# Videos that are decoded at a time; each by one thread.
_DECODERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# In evaluation all views of a video are in memory at once.
_WHOLE_VIDEOS = min(4, _DECODERS)


def video_training_batches(
    records: Records,
    spec: VideoSpec,
    *,
    batch_size: int,
    seed: int,
    epoch: int = 0,
    skip: int = 0,
    share: tuple[int, int] = (0, 1),
    dtype: ClipType = "float32",
    meter: DecodeMeter | None = None,
) -> tf.data.Dataset:
    """A random clip of every video, shuffled, augmented, epoch after epoch without end, as `training_batches` does it.

    The order of an epoch is a pure function of (seed, epoch); place in time, size and place in the frame of a record's
    clip are one of (seed, epoch, record).

    Args:
        records: of the training split.
        spec: how to take and prepare the clips.
        batch_size: clips a batch; an epoch has `len(records) // batch_size` batches, the remainder is dropped.
            In place of videos that were skipped, the first ones of the epoch come again.
        seed: of order and augmentation.
        epoch: where to start, from 0.
        skip: batches of that epoch that are left out.
        share: (index, workers): the part of every batch to read, of so many equal ones.
        dtype: of the clips.
        meter: counts what is decoded.

    Returns:
        Batches (clip [B, T, S, S, 3], label int32 [B]) as in `video_schema.BATCH` or `PIXEL_BATCH`, with
        B = batch_size / workers, T = spec.sampling.frames, S = spec.image_size.

    Raises:
        UserError: `batch_size` is below 1, above `len(records)` or no multiple of the workers, or the augmentation is
            unknown.
    """
    check_batch_size(batch_size, workers=share[1], records=len(records))
    if spec.augmentation not in AUGMENTATIONS:
        raise unknown_name("augmentation", spec.augmentation, AUGMENTATIONS)
    augmentation, labels = AUGMENTATIONS[spec.augmentation], on_host(records.labels)

    def choose(video: Video, draws: np.ndarray) -> tuple[np.ndarray, int]:
        when, side = draws[:2].tolist()
        return random_clip(video.index.times, spec.sampling, when), augmentation.shorter_side(spec, side)

    read = _reader(records, choose, meter, threads=_DECODERS)

    def clip_and_label(
        frames: tf.Tensor, rows: tf.Tensor, index: tf.Tensor, draws: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        found = {"clip": _frames_of(frames, rows, spec), "label": tf.gather(labels, index)}
        schema.check(found, video_schema.EXAMPLE)
        found = _finish(augmentation.apply(found, spec, draws[2:]), spec, dtype)
        return found["clip"], found["label"]

    def read_all(plan: tf.data.Dataset) -> tf.data.Dataset:
        return read_whole_ones(read, parallel=_DECODERS)(plan).map(clip_and_label, num_parallel_calls=tf.data.AUTOTUNE)

    batches = batches_of_epochs(
        len(records),
        draws=2 + augmentation.draws,
        batch_size=batch_size,
        seed=seed,
        epoch=epoch,
        skip=skip,
        share=share,
        read_all=read_all,
        may_skip=records.on_corrupt == "skip",
    )
    schema.check(batches.element_spec, _form(dtype))
    return prefetched(without_end(batches))


def video_evaluation_batches(
    records: Records,
    spec: VideoSpec,
    *,
    batch_size: int,
    dtype: ClipType = "float32",
    meter: DecodeMeter | None = None,
) -> tf.data.Dataset:
    """Every view of every video once, in order: all of a video one after another; the last batch may be short.

    A video has `spec.sampling.views`: its clips, regularly from its beginning to its end, and of each its crops. Videos
    that are skipped are missing.

    Args:
        records: of any split.
        spec: how to take and prepare the clips.
        batch_size: clips a batch.
        dtype: of the clips.
        meter: counts what is decoded.

    Returns:
        Batches (clip [B, T, S, S, 3], labels) with S = spec.test_size and labels a dict as in `video_schema.LABELS`.

    Raises:
        UserError: `batch_size` is below 1.
    """
    check_batch_size(batch_size)
    crops = spec.sampling.crops

    def view(frames: tf.Tensor, rows: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        example = {"clip": _frames_of(frames, tf.gather(rows, number // crops), spec)}
        return _finish(crop_view(example, number % crops, of=crops, size=spec.test_size), spec, dtype)["clip"]

    views = _views(records, spec, spec.sampling.views, view, meter)
    count = len(records) * spec.sampling.views
    batches = all_in_batches(views, batch_size, records=count, may_skip=records.on_corrupt == "skip")
    clip, labels = batches.element_spec
    schema.check((clip, labels["label"]), _form(dtype))
    schema.check(labels, video_schema.LABELS)
    return prefetched(batches)


def video_clip_batches(records: Records, spec: VideoSpec, *, meter: DecodeMeter | None = None) -> tf.data.Dataset:
    """The clips of every video, as a client would send them: a batch a video, neither cropped nor standardized.

    `clip_ops.preprocess` makes of them what `video_evaluation_batches` gives with one crop.

    Args:
        records: of any split.
        spec: how to take the clips.
        meter: counts what is decoded.

    Returns:
        Batches (clip uint8 [spec.sampling.clips, T, H, W, 3], labels), labels a dict as in `video_schema.LABELS`.
    """
    clips = spec.sampling.clips

    def view(frames: tf.Tensor, rows: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        return _frames_of(frames, tf.gather(rows, number), spec)

    views = _views(records, spec, clips, view, meter)
    may_skip = records.on_corrupt == "skip"
    return prefetched(all_in_batches(views, clips, records=clips * len(records), may_skip=may_skip))


def _views(
    records: Records,
    spec: VideoSpec,
    views: int,
    view: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor],
    meter: DecodeMeter | None,
) -> tf.data.Dataset:
    """(view number 0 to views - 1, labels) of every video; `view` makes it of frames, rows and its number."""
    labels = on_host(records.labels)

    def choose(video: Video, draws: np.ndarray) -> tuple[np.ndarray, int]:
        return uniform_clips(video.index.times, spec.sampling), spec.test_shorter_side

    read = _reader(records, choose, meter, threads=_WHOLE_VIDEOS)

    def views_of(frames: tf.Tensor, rows: tf.Tensor, index: tf.Tensor, draws: tf.Tensor) -> tf.data.Dataset:
        found = {"label": tf.gather(labels, index), "video": index}
        numbers = tf.data.Dataset.range(views, output_type=tf.int32)
        return numbers.map(lambda number: (view(frames, rows, number), found))

    plan = tf.data.Dataset.range(len(records)).map(lambda index: (index, tf.zeros([0])))
    return read_whole_ones(read, parallel=_WHOLE_VIDEOS)(plan).flat_map(views_of)


def _reader(
    records: Records,
    choose: Callable[[Video, np.ndarray], tuple[np.ndarray, int]],
    meter: DecodeMeter | None,
    *,
    threads: int,
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tuple[tf.Tensor, ...], tf.Tensor]]:
    """A function (index, draws) -> ((frames, rows, index, draws), whether the video could be decoded).

    `choose` tells which frames, [T] or [clips, T], and of which shorter side. Each of them is decoded once: they are
    frames[rows].
    """
    paths, corrupt = np.asarray(records.paths), CorruptFiles(records, kind="video")

    def decode(index: int, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
        start = time.perf_counter()
        try:
            with open_video(paths[index]) as video:
                wanted, shorter_side = choose(video, draws)
                numbers, rows = np.unique(wanted, return_inverse=True)
                frames = video.read(numbers, shorter_side=shorter_side)
        except VideoError as error:
            reason = str(error)
            corrupt.add(paths[index], lambda: reason)
            if meter is not None:
                meter.add_left_out()
            return np.zeros([0, 1, 1, 3], np.uint8), np.zeros([0], np.int32), False
        if meter is not None:
            seconds = time.perf_counter() - start
            meter.add(decoded=video.decoded, kept=wanted.size, seconds=seconds, threads=threads)
        return frames, rows.reshape(wanted.shape).astype(np.int32), True

    def read(index: tf.Tensor, draws: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
        frames, rows, whole = tf.numpy_function(decode, [index, draws], (tf.uint8, tf.int32, tf.bool))
        return (tf.ensure_shape(frames, [None, None, None, 3]), rows, index, draws), tf.ensure_shape(whole, [])

    return read


def _frames_of(frames: tf.Tensor, rows: tf.Tensor, spec: VideoSpec) -> tf.Tensor:
    return tf.gather(frames, tf.ensure_shape(rows, [spec.sampling.frames]))


def _finish(example: Example, spec: VideoSpec, dtype: ClipType) -> Example:
    return standardize(example, spec) if dtype == "float32" else example


def _form(dtype: ClipType) -> dict[str, Any]:
    return video_schema.BATCH if dtype == "float32" else video_schema.PIXEL_BATCH
