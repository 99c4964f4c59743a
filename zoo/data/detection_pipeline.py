"""From detection records to batches with tf.data: deterministic, restartable, of static shapes, bounded in memory."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.data import detection_schema, schema
from zoo.data.corrupt import file_reader, image_reader
from zoo.data.detection_augmentations import AUGMENTATIONS, resize_by_spec
from zoo.data.detection_catalog import DetectionSpec
from zoo.data.detection_ops import Example, pad
from zoo.data.detection_records import DetectionRecords
from zoo.data.epochs import (
    all_in_batches,
    batches_of_epochs,
    check_batch_size,
    on_host,
    prefetched,
    read_whole_ones,
    without_end,
)
from zoo.data.image_ops import standardize
from zoo.data.outlines import Outline, rasterize
from zoo.errors import unknown_name

_LOG = logging.getLogger(__name__)
# Five times what any image of COCO needs. The product with the number of anchors fills memory.
_MANY_OBJECTS = 500


def detection_training_batches(
    records: DetectionRecords,
    spec: DetectionSpec,
    *,
    batch_size: int,
    seed: int,
    epoch: int = 0,
    skip: int = 0,
    share: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Shuffled, augmented, full batches, epoch after epoch without end, as `zoo.data.training_batches` makes them.

    The order of an epoch is a pure function of (seed, epoch) and the augmentation of a record in it of (seed, epoch,
    record). All shapes are static. An object's bitmap takes spec.mask_side^2 bytes whatever the image's size.

    Args:
        records: of the training split.
        spec: how to prepare images and objects.
        batch_size: images a batch; an epoch has `len(records) // batch_size` batches, the remainder is dropped.
        seed: of order and augmentation.
        epoch: where to start, from 0.
        skip: batches of that epoch that are left out.
        share: (index, workers): the part of every batch to read, of so many equal ones.

    Returns:
        Batches, a dict as in `detection_schema.TRAINING_INPUTS`, and `TRAINING_MASKS` if the records have outlines.

    Raises:
        UserError: `batch_size` is below 1, above `len(records)` or no multiple of the workers, or the augmentation is
            unknown.
    """
    check_batch_size(batch_size, workers=share[1], records=len(records))
    if spec.augmentation not in AUGMENTATIONS:
        raise unknown_name("augmentation", spec.augmentation, AUGMENTATIONS)
    augmentation = AUGMENTATIONS[spec.augmentation]
    read, objects = _example_reader(records, spec), rows_for_objects(records, spec)

    def learnable(index: tf.Tensor, draws: tf.Tensor) -> tuple[Example, tf.Tensor]:
        example, whole = read(index)
        example = augmentation.apply(example, spec, draws)
        example["image"] = standardize(example["image"], spec)
        return pad(example, side=spec.image_size, objects=objects), whole

    batches = batches_of_epochs(
        len(records),
        draws=augmentation.draws,
        batch_size=batch_size,
        seed=seed,
        epoch=epoch,
        skip=skip,
        share=share,
        read_all=read_whole_ones(learnable),
        may_skip=records.on_corrupt == "skip",
    )
    masks = {} if records.outlines is None else detection_schema.TRAINING_MASKS
    schema.check(batches.element_spec, {**detection_schema.TRAINING_INPUTS, **masks})
    return prefetched(without_end(batches))


def detection_evaluation_batches(records: DetectionRecords, spec: DetectionSpec, *, batch_size: int) -> tf.data.Dataset:
    """Every image once, in order; the last batch may be short. Files that are skipped are missing.

    `detection_ops.to_original` takes boxes that are found back to the pixels of the image files.

    Args:
        records: of any split.
        spec: how to prepare the images.
        batch_size: images a batch.

    Returns:
        Batches (inputs, labels), dicts as in `detection_schema.INPUTS` and `detection_schema.LABELS`.

    Raises:
        UserError: `batch_size` is below 1.
    """
    check_batch_size(batch_size)
    paths, ids, read = on_host(records.paths), on_host(records.image_ids), image_reader(records)

    def scorable(index: tf.Tensor) -> tuple[tuple[Example, Example], tf.Tensor]:
        image, whole = read(tf.gather(paths, index))
        inputs, geometry = model_inputs(image, spec)
        return (inputs, {"image_id": tf.gather(ids, index), **geometry}), whole

    batches = _every_image(records, scorable, batch_size)
    inputs, labels = batches.element_spec
    schema.check(inputs, detection_schema.INPUTS)
    schema.check(labels, detection_schema.LABELS)
    return prefetched(batches)


def detection_file_batches(records: DetectionRecords, *, batch_size: int) -> tf.data.Dataset:
    """Every image file once, in order, as it is; the last batch may be short. Files that are skipped are missing.

    Args:
        records: of any split.
        batch_size: files a batch.

    Returns:
        Batches (contents of the files, string [B], image_id int64 [B]).

    Raises:
        UserError: `batch_size` is below 1.
    """
    check_batch_size(batch_size)
    paths, ids, read = on_host(records.paths), on_host(records.image_ids), file_reader(records)

    def file(index: tf.Tensor) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        contents, whole = read(tf.gather(paths, index))
        return (contents, tf.gather(ids, index)), whole

    return prefetched(_every_image(records, file, batch_size))


def model_inputs(image: tf.Tensor, spec: DetectionSpec) -> tuple[Example, Example]:
    """One image uint8 [H, W, 3] as a model takes it, and where it came from.

    Returns:
        (image float32 [S, S, 3], image_size int32 [2]) and (original_size int32 [2], scale float32 [2]), dicts as in
        `detection_schema.INPUTS` and `detection_schema.LABELS`, without a batch.
    """
    original = tf.shape(image)[:2]
    resized = resize_by_spec({"image": image}, spec)["image"]
    scale = tf.cast(tf.shape(resized)[:2], tf.float32) / tf.cast(original, tf.float32)
    inputs = pad({"image": standardize(resized, spec)}, side=spec.image_size, objects=0)
    return inputs, {"original_size": original, "scale": scale}


def rows_for_objects(records: DetectionRecords, spec: DetectionSpec) -> int:
    """How many rows for objects a batch has: `spec.objects`, or what the image with the most needs, at least 1.

    Images with more objects than rows lose the last ones; a warning tells how many there are. Another one tells of
    images with so many that matching them with anchors takes gigabytes.
    """
    if spec.objects is None:
        most = max(1, int(records.counts.max(initial=0)))
        if most > _MANY_OBJECTS:
            _LOG.warning("an image has %d objects; every image of a batch takes memory for that many.", most)
        return most
    over = int((records.counts > spec.objects).sum())
    if over:
        _LOG.warning("%d images have more than %d objects; the others are left out of training.", over, spec.objects)
    return spec.objects


def _every_image(
    records: DetectionRecords, read_one: Callable[..., tuple[Any, tf.Tensor]], size: int
) -> tf.data.Dataset:
    examples = read_whole_ones(read_one)(tf.data.Dataset.range(len(records)))
    return all_in_batches(examples, size, records=len(records), may_skip=records.on_corrupt == "skip")


def _example_reader(records: DetectionRecords, spec: DetectionSpec) -> Callable[[tf.Tensor], tuple[Example, tf.Tensor]]:
    """A function index -> (example as in `detection_schema.EXAMPLE`, whether its image could be decoded)."""
    paths, first = on_host(records.paths), on_host(records.first)
    columns = {
        "boxes": on_host(records.boxes),
        "classes": on_host(records.classes),
        "crowd": on_host(records.is_ignored),
    }
    read, form, bitmaps = image_reader(records), detection_schema.EXAMPLE, None
    if records.outlines is not None:
        form = {**form, **detection_schema.EXAMPLE_MASKS}
        # No mask is learned of crowds.
        outlines = [None if crowd else one for one, crowd in zip(records.outlines, records.is_crowd, strict=True)]
        bitmaps = _bitmap_maker(outlines, records.boxes, side=spec.mask_side)

    def example(index: tf.Tensor) -> tuple[Example, tf.Tensor]:
        image, whole = read(tf.gather(paths, index))
        start, stop = tf.gather(first, index), tf.gather(first, index + 1)
        found = {"image": image, **{key: values[start:stop] for key, values in columns.items()}}
        if bitmaps is not None:
            found["masks"] = bitmaps(start, stop)
            found["mask_windows"] = found["boxes"]
        schema.check(found, form)
        return found, whole

    return example


def _bitmap_maker(
    outlines: Sequence[Outline | None], boxes: np.ndarray, *, side: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """A function (start, stop) -> the bitmaps of these objects, uint8 [n, side, side], each of its object's own box."""

    def draw(start: int, stop: int) -> np.ndarray:
        return rasterize(outlines[start:stop], boxes[start:stop], side=side)

    def bitmaps(start: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        drawn = tf.numpy_function(draw, [start, stop], tf.uint8, stateful=False)
        return tf.ensure_shape(drawn, [None, side, side])

    return bitmaps
