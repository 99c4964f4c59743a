"""Detection batches: each record once an epoch, deterministic, restartable, static, and true to the annotations."""

import logging
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from zoo.data import detection_schema, schema
from zoo.data.corrupt import translated_errors
from zoo.data.detection_augmentations import AUGMENTATIONS
from zoo.data.detection_catalog import DETECTION_CATALOG
from zoo.data.detection_dataset import load_detection
from zoo.data.detection_ops import to_original
from zoo.data.detection_pipeline import detection_evaluation_batches, detection_training_batches
from zoo.errors import UserError

COUNT, SIDE, STEPS = 20, 32, 3


@pytest.fixture
def plain():
    return replace(DETECTION_CATALOG["coco"], image_size=SIDE, mask_side=8, augmentation="none")


@pytest.fixture
def spec(plain):
    return replace(plain, augmentation="large_scale_jitter")


@pytest.fixture
def make_records(write_coco, annotate):
    """20 images of 16 x 12; image n has an object of class n that fills it, and another one of class 0."""

    def make(rows=(), *, on_corrupt="refuse"):
        boxes = [annotate(2 * n, n, [0, 0, 16, 12], category_id=n) for n in range(1, COUNT + 1)]
        others = [annotate(2 * n + 1, n, [0, 0, 15, 11], category_id=0) for n in range(1, COUNT + 1)]
        categories = [{"id": n, "name": str(n)} for n in range(COUNT + 1)]
        folder = write_coco([*boxes, *others, *rows], count=COUNT, changes={"categories": categories})
        return load_detection(data_dir=folder, on_corrupt=on_corrupt, validation_fraction=0).splits["train"]

    return make


@pytest.fixture
def records(make_records):
    return make_records()


def take(dataset: tf.data.Dataset, batches: int) -> dict[str, np.ndarray]:
    taken = list(islice(dataset.as_numpy_iterator(), batches))
    return {key: np.stack([batch[key] for batch in taken]) for key in taken[0]}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


def images_of(batches) -> list[list[int]]:
    """The number of each image, by the class of its first object, a list an epoch of 3 batches of 6."""
    return batches["classes"].max(axis=-1).reshape(-1, STEPS * 6).tolist()


def test_an_epoch_has_no_record_twice(records, plain):
    epochs = images_of(take(detection_training_batches(records, plain, batch_size=6, seed=0), 5 * STEPS))
    assert [len(set(epoch)) for epoch in epochs] == [18] * 5
    assert len(set(map(tuple, epochs))) == 5, "each epoch has its own order"
    assert {image for epoch in epochs for image in epoch} == set(range(1, 21)), "what one epoch drops another one has"


def test_same_seed_same_batches_other_seed_others(records, spec):
    first, again, other = (
        take(detection_training_batches(records, spec, batch_size=6, seed=seed), 4) for seed in (5, 5, 6)
    )
    assert_same(first, again)
    assert (first["classes"] != other["classes"]).any()


@pytest.mark.parametrize(("epoch", "skip"), [(0, 1), (2, 2), (1, 0)])
def test_restart_is_the_uninterrupted_run(records, spec, epoch, skip):
    settings = {"batch_size": 6, "seed": 5}  # 3 batches an epoch
    whole = take(detection_training_batches(records, spec, **settings), 12)
    rest = take(detection_training_batches(records, spec, **settings, epoch=epoch, skip=skip), 12 - 3 * epoch - skip)
    assert_same(rest, {key: values[3 * epoch + skip :] for key, values in whole.items()})


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_read_all_records_of_every_batch_once(records, spec, workers):
    settings = {"batch_size": 6, "seed": 5, "epoch": 1, "skip": 1}
    whole = take(detection_training_batches(records, spec, **settings), 5)
    shares = [
        take(detection_training_batches(records, spec, **settings, share=(index, workers)), 5)
        for index in range(workers)
    ]
    assert_same({key: np.concatenate([share[key] for share in shares], axis=1) for key in whole}, whole)


def test_augmentation_of_a_record_does_not_depend_on_the_batch_size(records, spec):
    def by_image(batch_size):
        batches = take(detection_training_batches(records, spec, batch_size=batch_size, seed=2), 20 // batch_size)
        flat = {key: values.reshape(20, *values.shape[2:]) for key, values in batches.items()}
        return {int(classes.max()): image for classes, image in zip(flat["classes"], flat["image"], strict=True)}

    small, large = by_image(4), by_image(10)
    for number in range(1, 21):
        np.testing.assert_array_equal(small[number], large[number])


@pytest.mark.parametrize("augmentation", ["flip", "large_scale_jitter"])
def test_augmentation_differs_between_epochs(records, plain, augmentation):
    spec = replace(plain, augmentation=augmentation)
    batches = take(detection_training_batches(records, spec, batch_size=20, seed=0), 4)
    by_epoch = [
        {int(classes.max()): image.tobytes() for classes, image in zip(*epoch, strict=True)}
        for epoch in zip(batches["classes"], batches["image"], strict=True)
    ]
    differ = sum(len({epoch[number] for epoch in by_epoch}) > 1 for number in range(1, 21))
    assert differ > 12  # of 20; a flip is the same four times in one of eight


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_batches_fit_the_schema_and_are_static(records, plain, augmentation):
    spec = replace(plain, augmentation=augmentation)
    batches = detection_training_batches(records, spec, batch_size=6, seed=0)
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY
    assert all(value.shape.is_fully_defined() for value in batches.element_spec.values())
    assert batches.element_spec["masks"].shape == (6, 2, 8, 8)
    batch = next(iter(batches))
    schema.check(batch, {**detection_schema.TRAINING_INPUTS, **detection_schema.TRAINING_MASKS})
    assert batches.options().deterministic


def test_boxes_alone(records, spec):
    batches = detection_training_batches(replace(records, outlines=None), spec, batch_size=6, seed=0)
    schema.check(next(iter(batches)), detection_schema.TRAINING_INPUTS)


def test_without_augmentation_objects_are_the_annotated_ones(shared_data):
    dataset = load_detection(data_dir=shared_data / "coco2017_mini")
    records, spec = dataset.splits["train"], replace(dataset.spec, image_size=128, augmentation="none", mask_side=28)
    batches = take(detection_training_batches(records, spec, batch_size=19, seed=0), 7)
    flat = {key: values.reshape(133, *values.shape[2:]) for key, values in batches.items()}
    rows = flat["classes"] >= 0
    assert rows.shape == (133, records.counts.max())
    assert sorted(rows.sum(axis=1)) == sorted(records.counts)
    assert flat["crowd"].sum() == 14
    assert not flat["masks"][flat["crowd"]].any()
    assert not flat["masks"][~rows].any()
    is_object = rows & ~flat["crowd"]
    assert flat["masks"][is_object].any(axis=(1, 2)).all()
    np.testing.assert_array_equal(flat["mask_windows"], flat["boxes"])
    # By the share of its image that a box takes, which resizing keeps, up to rounding of the image's size.
    size = np.maximum(flat["image_size"], 1)[:, None, :]
    shares = np.prod((flat["boxes"][..., 2:] - flat["boxes"][..., :2]) / size, axis=-1)[rows]
    sides = records.boxes[:, 2:] - records.boxes[:, :2]
    expected = np.prod(sides / np.repeat(records.sizes, records.counts, axis=0), axis=-1)
    np.testing.assert_allclose(np.sort(shares), np.sort(expected), rtol=1e-4)
    pixels = flat["image"][:, :64]
    assert abs(pixels.mean()) < 0.3
    assert 0.7 < pixels.std() < 1.3
    assert (flat["image_size"].max(axis=1) == 128).all()


def test_images_without_objects_and_ignored_ones(write_coco, annotate, plain):
    rows = [annotate(1, 2, [0, 0, 8, 6]), annotate(2, 2, [8, 6, 8, 6], segmentation=None)]
    records = load_detection(data_dir=write_coco(rows), validation_fraction=0).splits["train"]
    batch = take(detection_training_batches(records, plain, batch_size=3, seed=0), 1)
    assert sorted(batch["classes"][0].tolist()) == [[-1, -1], [-1, -1], [0, 0]]
    assert batch["crowd"].sum() == 1
    assert batch["masks"].sum() == 64  # the second has no outline


def test_no_objects_at_all(write_coco, plain):
    records = load_detection(data_dir=write_coco(), validation_fraction=0).splits["train"]
    assert take(detection_training_batches(records, plain, batch_size=3, seed=0), 1)["boxes"].shape == (1, 3, 1, 4)


def test_fewer_rows_than_objects(records, plain, caplog):
    with caplog.at_level(logging.WARNING):
        batches = detection_training_batches(records, replace(plain, objects=1), batch_size=6, seed=0)
    assert "20 images have more than 1 objects; the others are left out of training." in caplog.text
    assert (take(batches, 1)["classes"] > 0).all()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        batches = detection_training_batches(records, replace(plain, objects=4), batch_size=6, seed=0)
    assert batches.element_spec["boxes"].shape == (6, 4, 4)
    assert not caplog.text


def test_a_crowded_image_is_told(write_coco, annotate, plain, caplog):
    rows = [annotate(number, 1, [0, 0, 8, 6]) for number in range(1, 502)]
    records = load_detection(data_dir=write_coco(rows), validation_fraction=0).splits["train"]
    with caplog.at_level(logging.WARNING):
        batches = detection_training_batches(records, plain, batch_size=1, seed=0)
    assert batches.element_spec["boxes"].shape == (1, 501, 4)
    assert "an image has 501 objects" in caplog.text


def test_evaluation_has_every_image_once_in_order(records, plain):
    batches = detection_evaluation_batches(records, plain, batch_size=8)
    assert batches.cardinality() == 3
    inputs, labels = zip(*batches.as_numpy_iterator(), strict=True)
    schema.check(inputs[0], detection_schema.INPUTS)
    schema.check(labels[0], detection_schema.LABELS)
    assert [len(batch["image_id"]) for batch in labels] == [8, 8, 4]
    assert list(np.concatenate([batch["image_id"] for batch in labels])) == list(records.image_ids)
    assert inputs[0]["image"].shape == (8, SIDE, SIDE, 3)
    assert (inputs[0]["image_size"] == [24, 32]).all()
    assert (labels[0]["original_size"] == [12, 16]).all()
    assert (labels[0]["scale"] == 2).all()


def test_boxes_of_training_batches_are_back_in_place_by_the_labels_of_evaluation(shared_data):
    dataset = load_detection(data_dir=shared_data / "fruits_nuts", validation_fraction=0)
    spec = replace(dataset.spec, image_size=100, augmentation="none")
    records = dataset.splits["train"]
    batch = take(detection_training_batches(records, spec, batch_size=14, seed=0), 1)
    ((inputs, labels),) = detection_evaluation_batches(records, spec, batch_size=14)
    boxes = to_original(batch["boxes"][0], scale=labels["scale"], size=labels["original_size"])
    found = {tuple(np.round(box).tolist()) for box in boxes[batch["classes"][0] >= 0]}
    assert found == {tuple(box) for box in np.round(records.boxes).tolist()}
    assert (inputs["image_size"] == [75, 100]).numpy().all()


def cut_short(path: str) -> None:
    """The header of the image stays whole, so that only decoding finds it out."""
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("make", [detection_training_batches, detection_evaluation_batches])
def test_an_image_that_cannot_be_decoded_is_refused_or_skipped(make_records, plain, make, caplog):
    def run(records):
        settings = {"seed": 0} if make is detection_training_batches else {}
        with translated_errors():
            return list(make(records, plain, batch_size=20, **settings).take(3).as_numpy_iterator())

    records = make_records()
    cut_short(records.paths[4])
    with pytest.raises(UserError, match=r"Can't read the image .*5\.jpg: it is not a whole JPEG.*on_corrupt=\"skip\""):
        run(records)
    batches = run(replace(records, on_corrupt="skip"))
    assert caplog.text.count("Left out") == 1
    if make is detection_training_batches:
        for batch in batches:
            numbers = batch["classes"].max(axis=-1).tolist()
            assert len(numbers) == 20
            assert set(numbers) == set(range(1, 21)) - {5}
    else:
        assert [number for _, labels in batches for number in labels["image_id"]] == [*range(1, 5), *range(6, 21)]


def test_a_restart_after_skipped_images_is_the_uninterrupted_run(make_records, spec):
    records = make_records(on_corrupt="skip")
    cut_short(records.paths[4])
    whole, rest = (
        take(detection_training_batches(records, spec, batch_size=5, seed=0, skip=skip), 6 - skip) for skip in (0, 3)
    )
    assert_same(rest, {key: values[3:] for key, values in whole.items()})


def test_what_is_refused(records, plain):
    for make in (
        lambda **kw: detection_training_batches(records, plain, seed=0, **kw),
        lambda **kw: detection_evaluation_batches(records, plain, **kw),
    ):
        with pytest.raises(UserError, match=r"`batch_size` must be at least 1\. Received: batch_size=0"):
            make(batch_size=0)
    with pytest.raises(UserError, match=r"`batch_size` must be at most 20, .*=21\."):
        detection_training_batches(records, plain, batch_size=21, seed=0)
    with pytest.raises(UserError, match=r"`batch_size` must be a multiple of the 4 workers\. Received: batch_size=6"):
        detection_training_batches(records, plain, batch_size=6, seed=0, share=(0, 4))
    with pytest.raises(UserError, match=r"`augmentation` must be one of .*Did you mean flip\?"):
        detection_training_batches(records, replace(plain, augmentation="flipp"), batch_size=6, seed=0)


def test_a_strategy_gets_every_record_once(records, plain, two_replicas):
    batches = detection_training_batches(records, plain, batch_size=10, seed=0)
    distributed = iter(two_replicas.experimental_distribute_dataset(batches))
    parts = [
        part.numpy()
        for batch in islice(distributed, 2)
        for part in two_replicas.experimental_local_results(batch["classes"])
    ]
    assert [len(part) for part in parts] == [5] * 4
    assert sorted(np.concatenate(parts).max(axis=-1)) == list(range(1, 21))


def test_records_are_no_constants_of_the_graph(records, plain):
    many = records.take(np.tile(np.arange(20), 500))
    batches = detection_training_batches(many, plain, batch_size=4, seed=0)
    functions = [dataset._map_func.function for dataset in all_inputs(batches) if hasattr(dataset, "_map_func")]
    assert functions
    assert max(len(function.graph.as_graph_def().SerializeToString()) for function in functions) < 200_000


def all_inputs(dataset: tf.data.Dataset) -> list[tf.data.Dataset]:
    return [dataset, *(above for below in dataset._inputs() for above in all_inputs(below))]
