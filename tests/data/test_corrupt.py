"""Images that can't be decoded are named, and refused or left out."""

import logging
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from zoo.data import Records, evaluation_batches, file_batches, load, training_batches
from zoo.data.corrupt import translated_errors
from zoo.errors import UserError

BAD = ("empty", "text", "truncated", "missing")


@pytest.fixture
def folder(tree) -> Path:
    """Twelve whole images and four bad ones; the label is the position."""
    root = tree(["a"], images=16) / "a"
    for name, index in zip(BAD, (3, 7, 11, 15), strict=True):
        path = root / f"{index:03d}.jpg"
        content = {"empty": b"", "text": b"not an image", "truncated": path.read_bytes()[:-200]}.get(name)
        path.rename(root / f"{index:03d}_{name}.jpg")
        if content is None:
            (root / f"{index:03d}_{name}.jpg").unlink()
        else:
            (root / f"{index:03d}_{name}.jpg").write_bytes(content)
    return root


GOOD = [i for i in range(16) if i not in (3, 7, 11, 15)]


def records_of(folder: Path, **changes) -> Records:
    bad = dict(zip((3, 7, 11, 15), BAD, strict=True))
    names = [f"{i:03d}_{bad[i]}.jpg" if i in bad else f"{i:03d}.jpg" for i in range(16)]
    return Records(np.arange(16), paths=[str(folder / name) for name in names], **changes)


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (3, "003_empty.jpg: the file is empty"),
        (7, "007_text.jpg: it is not a whole JPEG, PNG, BMP or GIF image"),
        (11, "011_truncated.jpg: it is not a whole JPEG, PNG, BMP or GIF image"),
        (15, "015_missing.jpg: No such file or directory"),
    ],
)
def test_refused_with_name_and_reason(folder, tiny_spec, index, reason):
    records = records_of(folder).take([0, 1, index, 2])
    message = (
        rf"Can't read the image .*{reason}\. Repair or remove it, or leave such files out with `on_corrupt=\"skip\"`"
    )
    with pytest.raises(UserError, match=message), translated_errors():
        list(evaluation_batches(records, tiny_spec, batch_size=2))
    with pytest.raises(UserError, match=message), translated_errors():
        list(islice(training_batches(records, tiny_spec, batch_size=2, seed=0), 2))


def test_translated_message_is_one_line(folder, tiny_spec):
    with pytest.raises(UserError) as caught, translated_errors():
        list(evaluation_batches(records_of(folder), tiny_spec, batch_size=2))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("(`--on-corrupt skip`).")


def test_other_tensorflow_errors_pass():
    with pytest.raises(tf.errors.InvalidArgumentError), translated_errors():
        tf.reshape(tf.zeros([3]), [2])


def test_skipped_in_evaluation_and_logged_once(folder, tiny_spec, caplog):
    batches = evaluation_batches(records_of(folder, on_corrupt="skip"), tiny_spec, batch_size=5)
    with caplog.at_level(logging.WARNING):
        labels = [list(label) for _, label in batches.as_numpy_iterator()]
        assert labels == [GOOD[:5], GOOD[5:10], GOOD[10:]]
        list(batches)
    logged = [record.message for record in caplog.records]
    assert len(logged) == 4
    for name in BAD:
        assert sum(f"_{name}.jpg: " in message for message in logged) == 1


def test_files_skipped_leave_no_empty_batch(folder, caplog):
    records = records_of(folder, on_corrupt="skip")
    with caplog.at_level(logging.WARNING):
        labels = [list(label) for _, label in file_batches(records, batch_size=5).as_numpy_iterator()]
    assert labels == [GOOD[:5], GOOD[5:10], GOOD[10:]]
    assert len(caplog.records) == 4
    alone = [list(label) for _, label in file_batches(records.take([3, 7, 0, 11]), batch_size=1).as_numpy_iterator()]
    assert alone == [[0]]


@pytest.mark.parametrize(("index", "name"), [(3, "003_empty"), (7, "007_text"), (11, "011_truncated"), (15, "missing")])
def test_files_refused_with_name(folder, index, name):
    with pytest.raises(UserError, match=rf"Can't read the image .*{name}\.jpg: "), translated_errors():
        list(file_batches(records_of(folder).take([0, index]), batch_size=2))


def test_skipped_in_training_with_full_epochs_that_can_be_restarted(folder, tiny_spec):
    records = records_of(folder, on_corrupt="skip")

    def labels_of(epoch: int, steps: int) -> np.ndarray:
        batches = training_batches(records, tiny_spec, batch_size=5, seed=0, epoch=epoch)
        return np.stack([label for _, label in islice(batches.as_numpy_iterator(), steps)])

    labels = labels_of(0, 9).reshape(3, 15)
    for epoch in labels:
        assert sorted(epoch[:12]) == GOOD
        np.testing.assert_array_equal(epoch[12:], epoch[:3])  # In place of the files left out.
    np.testing.assert_array_equal(labels_of(1, 6).reshape(2, 15), labels[1:])


@pytest.mark.timeout(60)
def test_no_image_can_be_decoded(folder, tiny_spec):
    records = records_of(folder, on_corrupt="skip").take([3, 7, 11])
    with pytest.raises(UserError, match="None of the 3 images can be decoded"), translated_errors():
        next(iter(training_batches(records, tiny_spec, batch_size=2, seed=0)))
    with pytest.raises(UserError, match="None of the 3 images can be decoded"), translated_errors():
        list(evaluation_batches(records, tiny_spec, batch_size=2))
    with pytest.raises(UserError, match="None of the 3 images can be decoded"), translated_errors():
        list(file_batches(records, batch_size=2))


def test_corrupt_images_under_a_strategy(folder, tiny_spec, two_replicas):
    skipping = records_of(folder, on_corrupt="skip")
    distributed = two_replicas.experimental_distribute_dataset(evaluation_batches(skipping, tiny_spec, batch_size=4))
    parts = [part.numpy() for _, label in distributed for part in two_replicas.experimental_local_results(label)]
    assert sorted(np.concatenate(parts)) == GOOD
    refusing = evaluation_batches(replace(skipping, on_corrupt="refuse"), tiny_spec, batch_size=4)
    with pytest.raises(UserError, match=r"003_empty\.jpg"), translated_errors():
        list(two_replicas.experimental_distribute_dataset(refusing))


def test_load_passes_the_choice_on(folder, tiny_spec):
    (folder.parent / "b").mkdir()
    dataset = load("folder", data_dir=folder.parent, on_corrupt="skip")
    assert all(records.on_corrupt == "skip" for records in dataset.splits.values())
    assert load("folder", data_dir=folder.parent).splits["train"].on_corrupt == "refuse"
