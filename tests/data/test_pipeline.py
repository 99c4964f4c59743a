"""Batches: each record once an epoch, deterministic, restartable, whole under a strategy."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from zoo.data import (
    CATALOG,
    Records,
    evaluation_batches,
    file_batches,
    load,
    pipeline,
    preprocess,
    schema,
    training_batches,
)
from zoo.errors import UserError

STEPS, BATCH_SIZE = 3, 6


def numbered_records(count: int = 20) -> Records:
    """In memory; the label of a record is its number, and its image can be told from the others."""
    images = np.random.default_rng(0).integers(0, 256, [count, 32, 32, 3], dtype="uint8")
    return Records(np.arange(count), images)


@pytest.fixture(params=["memory", "files"])
def records(request, tree) -> Records:
    """20 records, labels 0 to 19."""
    if request.param == "memory":
        return numbered_records()
    folder = tree(["all"], images=20)
    return Records(np.arange(20), paths=[str(folder / "all" / f"{i:03d}.jpg") for i in range(20)])


@pytest.fixture(params=["pad_crop_flip", "random_resized_crop"])
def spec(request):
    return replace(CATALOG["cifar10"], augmentation=request.param, image_size=16)


def take(dataset: tf.data.Dataset, batches: int) -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(*islice(dataset.as_numpy_iterator(), batches), strict=True)
    return np.stack(images), np.stack(labels)


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_epoch_has_no_record_twice(records, spec):
    _, labels = take(training_batches(records, spec, batch_size=BATCH_SIZE, seed=0), 5 * STEPS)
    epochs = labels.reshape(5, STEPS * BATCH_SIZE)
    for epoch in epochs:
        assert len(set(epoch)) == STEPS * BATCH_SIZE
    assert len(set(map(tuple, epochs))) == 5, "each epoch has its own order"
    assert set(epochs.ravel()) == set(range(20)), "what one epoch drops another one has"


def test_an_epoch_whose_batches_fit_has_every_record(records, spec):
    _, labels = take(training_batches(records, spec, batch_size=5, seed=0), 8)
    for epoch in labels.reshape(2, 20):
        assert sorted(epoch) == list(range(20))


def test_same_seed_same_batches_other_seed_others(records, spec):
    first, again, other = (
        take(training_batches(records, spec, batch_size=BATCH_SIZE, seed=seed), 4) for seed in (5, 5, 6)
    )
    assert_same(first, again)
    assert (first[1] != other[1]).any()


@pytest.mark.parametrize("epoch", [1, 3])
def test_restart_at_an_epoch_is_the_uninterrupted_run(records, spec, epoch):
    uninterrupted = training_batches(records, spec, batch_size=BATCH_SIZE, seed=1).skip(epoch * STEPS)
    restarted = training_batches(records, spec, batch_size=BATCH_SIZE, seed=1, epoch=epoch)
    assert_same(take(uninterrupted, 2 * STEPS), take(restarted, 2 * STEPS))


@pytest.mark.parametrize(("epoch", "skip"), [(0, 1), (2, 2), (1, 0)])
def test_restart_within_an_epoch_is_the_uninterrupted_run(records, spec, epoch, skip):
    settings = {"batch_size": 6, "seed": 5}  # 3 batches an epoch
    whole = take(training_batches(records, spec, **settings), 12)
    rest = take(training_batches(records, spec, **settings, epoch=epoch, skip=skip), 12 - 3 * epoch - skip)
    assert_same(rest, tuple(values[3 * epoch + skip :] for values in whole))


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_read_all_records_of_every_batch_once(records, spec, workers):
    settings = {"batch_size": 6, "seed": 5, "epoch": 1, "skip": 1}
    whole = take(training_batches(records, spec, **settings), 5)
    shares = [take(training_batches(records, spec, **settings, share=(index, workers)), 5) for index in range(workers)]
    for values, *parts in zip(whole, *shares, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), values)


def test_a_batch_that_workers_cannot_share(records, spec):
    with pytest.raises(UserError, match=r"`batch_size` must be a multiple of the 4 workers\. Received: batch_size=6"):
        training_batches(records, spec, batch_size=6, seed=0, share=(0, 4))


def test_augmentation_of_a_record_does_not_depend_on_the_batch_size(records, spec):
    def images_by_label(batch_size: int) -> dict[int, np.ndarray]:
        images, labels = take(training_batches(records, spec, batch_size=batch_size, seed=2), 20 // batch_size)
        return dict(zip(labels.ravel(), images.reshape(-1, 16, 16, 3), strict=True))

    small, large = images_by_label(4), images_by_label(10)
    for label in range(20):
        np.testing.assert_allclose(small[label], large[label], atol=1e-5)


def test_augmentation_differs_between_epochs_and_between_records(spec):
    one_image = np.repeat(numbered_records().images[:1], 20, axis=0)
    images, labels = take(training_batches(Records(np.arange(20), one_image), spec, batch_size=20, seed=0), 2)
    by_record = [dict(zip(label, image, strict=True)) for image, label in zip(images, labels, strict=True)]
    assert len({image.tobytes() for image in images[0]}) > 10
    assert sum(np.array_equal(by_record[0][label], by_record[1][label]) for label in range(20)) < 5


def test_evaluation_has_every_record_once_in_order(records, spec):
    batches = list(evaluation_batches(records, spec, batch_size=8).as_numpy_iterator())
    assert [len(label) for _, label in batches] == [8, 8, 4]
    assert list(np.concatenate([label for _, label in batches])) == list(range(20))


def test_evaluation_is_preprocess(spec):
    records = numbered_records(5)
    (image, _), *_ = evaluation_batches(records, spec, batch_size=5)
    np.testing.assert_allclose(image, preprocess(records.images, spec), atol=1e-6)


def test_evaluation_of_files_is_preprocess_of_their_pixels(tree, tiny_spec):
    path = str(tree(["a"], images=1, suffix=".png") / "a" / "000.png")
    (image, _), *_ = evaluation_batches(Records([0], paths=[path]), tiny_spec, batch_size=5)
    pixels = tf.io.decode_png(tf.io.read_file(path))
    np.testing.assert_allclose(image[0], preprocess(pixels, tiny_spec), atol=1e-4)


@pytest.mark.parametrize("name", ["digits", "cifar10", "fashion_mnist"])
def test_batches_of_the_catalog_fit_the_schema_and_are_standardized(name, request):
    folder = None if name == "digits" else request.getfixturevalue("shared_data") / name
    dataset = load(name, data_dir=folder)
    image, label = take(training_batches(dataset.splits["train"], dataset.spec, batch_size=512, seed=0), 1)
    schema.check((image[0], label[0]), schema.BATCH)
    assert abs(image.mean()) < 0.3
    assert 0.7 < image.std() < 1.2
    (image, label), *_ = evaluation_batches(dataset.splits["test"], dataset.spec, batch_size=256)
    schema.check((image, label), schema.BATCH)


def test_file_batches_are_the_bytes_of_the_files_in_order(tree):
    paths = []
    for suffix in (".jpg", ".png", ".bmp", ".gif"):
        tree(["a"], images=5, suffix=suffix)
        paths += [str(tree(["a"], images=5, suffix=suffix) / "a" / f"{i:03d}{suffix}") for i in (3, 0, 4, 1, 2)]
    batches = file_batches(Records(np.arange(20), paths=paths), batch_size=8)
    assert batches.cardinality() == 3
    schema.check(batches.element_spec, schema.FILE_BATCH)
    files, labels = zip(*batches.as_numpy_iterator(), strict=True)
    assert [len(label) for label in labels] == [8, 8, 4]
    assert list(np.concatenate(labels)) == list(range(20))
    assert list(np.concatenate(files)) == [Path(path).read_bytes() for path in paths]


def test_file_batches_need_files():
    with pytest.raises(ValueError, match=r"`records` must be of files. Received: 20 images in memory\."):
        file_batches(numbered_records(), batch_size=2)
    with pytest.raises(UserError, match=r"`batch_size` must be at least 1. Received: batch_size=0"):
        file_batches(Records([0], paths=["a.png"]), batch_size=0)


def test_decoded_files_are_checked_against_the_schema(tree, spec, monkeypatch):
    records = Records([0], paths=[str(tree(["a"], images=1) / "a" / "000.jpg")])
    read = pipeline.image_reader(records)

    def read_as_floats(path):
        image, whole = read(path)
        return tf.cast(image, tf.float32), whole

    monkeypatch.setattr(pipeline, "image_reader", lambda records: read_as_floats)
    with pytest.raises(ValueError, match=r"`image` must be uint8 \[\?, \?, \?\].*Received: image=float32"):
        evaluation_batches(records, spec, batch_size=1)


def test_shapes_and_cardinality_are_known(records, spec):
    training = training_batches(records, spec, batch_size=BATCH_SIZE, seed=0)
    assert training.cardinality() == tf.data.INFINITE_CARDINALITY
    assert training.element_spec[0].shape == (BATCH_SIZE, 16, 16, 3)
    evaluation = evaluation_batches(records, spec, batch_size=BATCH_SIZE)
    assert evaluation.element_spec[0].shape.as_list() == [None, 16, 16, 3]
    assert evaluation.cardinality() == 4


def test_gray_and_alpha_images_become_the_channels_of_the_spec(spec):
    for channels in (1, 3):
        gray = Records([0], np.zeros([1, 9, 9, 1], "uint8"))
        image, _ = next(iter(evaluation_batches(gray, replace(spec, channels=channels), batch_size=1)))
        assert image.shape[-1] == 3  # `mean` and `std` have three entries.


@pytest.mark.parametrize("batch_size", [0, -3])
def test_batch_size_below_one(records, spec, batch_size):
    message = rf"`batch_size` must be at least 1. Received: batch_size={batch_size}"
    with pytest.raises(UserError, match=message):
        training_batches(records, spec, batch_size=batch_size, seed=0)
    with pytest.raises(UserError, match=message):
        evaluation_batches(records, spec, batch_size=batch_size)


def test_batch_larger_than_the_data(records, spec):
    with pytest.raises(UserError, match=r"`batch_size` must be at most 20, the number of training records.*=21\."):
        training_batches(records, spec, batch_size=21, seed=0)
    assert take(training_batches(records, spec, batch_size=20, seed=0), 2)[1].shape == (2, 20)
    assert len(list(evaluation_batches(records, spec, batch_size=1000))) == 1


def test_unknown_augmentation(records, spec):
    with pytest.raises(UserError, match=r"`augmentation` must be one of .*Did you mean shift\?"):
        training_batches(records, replace(spec, augmentation="shfit"), batch_size=2, seed=0)


def test_a_strategy_gets_every_record_once(records, spec, two_replicas):
    def labels_of(batches: tf.data.Dataset, steps: int) -> list[list[np.ndarray]]:
        distributed = two_replicas.experimental_distribute_dataset(batches)
        return [
            [part.numpy() for part in two_replicas.experimental_local_results(label)]
            for _, label in islice(iter(distributed), steps)
        ]

    evaluation = labels_of(evaluation_batches(records, spec, batch_size=8), 10)
    assert sorted(np.concatenate([part for step in evaluation for part in step])) == list(range(20))
    training = labels_of(training_batches(records, spec, batch_size=10, seed=0), 2)
    assert [[len(part) for part in step] for step in training] == [[5, 5]] * 2
    assert sorted(np.concatenate([part for step in training for part in step])) == list(range(20))


def test_workers_share_the_batches_and_order_is_fixed(records, spec):
    for batches in (
        training_batches(records, spec, batch_size=2, seed=0),
        evaluation_batches(records, spec, batch_size=2),
        *([file_batches(records, batch_size=2)] if records.images is None else []),
    ):
        options = batches.options()
        assert options.experimental_distribute.auto_shard_policy == tf.data.experimental.AutoShardPolicy.DATA
        assert options.deterministic


def test_images_in_memory_are_no_constants_of_the_graph():
    records = Records(np.zeros(2000), np.zeros([2000, 32, 32, 3], "uint8"))
    batches = training_batches(records, CATALOG["cifar10"], batch_size=32, seed=0)
    functions = [dataset._map_func.function for dataset in all_inputs(batches) if hasattr(dataset, "_map_func")]
    assert functions
    assert max(len(function.graph.as_graph_def().SerializeToString()) for function in functions) < 200_000


def all_inputs(dataset: tf.data.Dataset) -> list[tf.data.Dataset]:
    return [dataset, *(above for below in dataset._inputs() for above in all_inputs(below))]
