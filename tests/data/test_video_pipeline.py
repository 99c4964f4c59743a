"""Batches of clips: each video once an epoch, deterministic, restartable, whole in evaluation."""

import logging
from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import tensorflow as tf

from zoo.data import (
    VIDEO_CATALOG,
    ClipSampling,
    DecodeMeter,
    Records,
    load_video,
    schema,
    video_clip_batches,
    video_evaluation_batches,
    video_pipeline,
    video_schema,
    video_training_batches,
)
from zoo.data.clip_augmentations import ClipAugmentation
from zoo.data.clip_ops import preprocess, random_crop
from zoo.data.clip_sampling import random_clip, uniform_clips
from zoo.data.corrupt import translated_errors
from zoo.errors import UserError

VIDEOS, STEPS, BATCH_SIZE = 7, 3, 2
SPEC = replace(
    VIDEO_CATALOG["video_folder"],
    image_size=16,
    shorter_sides=(20, 24),
    test_shorter_side=24,
    test_size=24,
    sampling=ClipSampling.of("4x3", clips=3),
)


@pytest.fixture(scope="module")
def records(tmp_path_factory, video_maker) -> Records:
    """Seven videos of 20 numbered pictures and more, labels 0 to 6."""
    folder = tmp_path_factory.mktemp("videos")
    paths = [video_maker(folder / f"{number}.mp4", frames=20 + number) for number in range(VIDEOS)]
    return Records(np.arange(VIDEOS), paths=[str(path) for path in paths])


def take(dataset: tf.data.Dataset, batches: int) -> tuple[np.ndarray, np.ndarray]:
    clips, labels = zip(*islice(dataset.as_numpy_iterator(), batches), strict=True)
    return np.stack(clips), np.stack(labels)


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_epoch_has_no_video_twice(records):
    _, labels = take(video_training_batches(records, SPEC, batch_size=BATCH_SIZE, seed=0), 4 * STEPS)
    epochs = labels.reshape(4, STEPS * BATCH_SIZE)
    for epoch in epochs:
        assert len(set(epoch)) == STEPS * BATCH_SIZE
    assert len(set(map(tuple, epochs))) > 1
    assert set(epochs.ravel()) == set(range(VIDEOS))


def test_same_seed_same_batches_other_seed_others(records):
    first, again, other = (
        take(video_training_batches(records, SPEC, batch_size=BATCH_SIZE, seed=seed), 4) for seed in (5, 5, 6)
    )
    assert_same(first, again)
    assert (first[1] != other[1]).any()


@pytest.mark.parametrize(("epoch", "skip"), [(0, 1), (1, 0), (1, 2)])
def test_a_restart_is_the_uninterrupted_run(records, epoch, skip):
    settings = {"batch_size": BATCH_SIZE, "seed": 1}
    whole = take(video_training_batches(records, SPEC, **settings), 3 * STEPS)
    done = STEPS * epoch + skip
    rest = take(video_training_batches(records, SPEC, **settings, epoch=epoch, skip=skip), 3 * STEPS - done)
    assert_same(rest, tuple(values[done:] for values in whole))


def test_workers_read_every_batch_once_together(records):
    settings = {"batch_size": 6, "seed": 5, "epoch": 1}
    whole = take(video_training_batches(records, SPEC, **settings), 3)
    shares = [take(video_training_batches(records, SPEC, **settings, share=(index, 3)), 3) for index in range(3)]
    for values, *parts in zip(whole, *shares, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), values)


def test_a_clip_depends_neither_on_the_batch_size_nor_on_the_order(records):
    def clips_by_label(batch_size: int) -> dict[int, np.ndarray]:
        batches = video_training_batches(records, SPEC, batch_size=batch_size, seed=2)
        clips, labels = take(batches, VIDEOS // batch_size)
        return dict(zip(labels.ravel(), clips.reshape(-1, 4, 16, 16, 3), strict=True))

    small, large = clips_by_label(1), clips_by_label(7)
    for label in range(VIDEOS):
        np.testing.assert_array_equal(small[label], large[label])


def test_training_clips_are_random_in_time_and_their_frames_regular(records, numbers_of):
    spec = replace(SPEC, image_size=20, shorter_sides=(20, 20), augmentation="none")
    batches = video_training_batches(records, spec, batch_size=VIDEOS, seed=0, dtype="uint8")
    starts: Counter = Counter()
    for clips, labels in islice(batches.as_numpy_iterator(), 12):
        assert clips.dtype == np.uint8
        for clip, label in zip(clips, labels, strict=True):
            # The middle 20 of 26 columns; their edges are in the outer blocks of the pictures.
            numbers = numbers_of(np.pad(clip, [(0, 0), (0, 0), (3, 3), (0, 0)], mode="edge"))
            assert (np.diff(numbers) == 3).all()
            assert 0 <= numbers[0] <= 10 + label
            starts[numbers[0]] += 1
    assert len(starts) > 8


def test_every_random_choice_has_a_draw_of_its_own(records, monkeypatch):
    draws = {"time": [], "size": [], "crop": []}

    def clip(times, sampling, draw):
        draws["time"].append(draw)
        return random_clip(times, sampling, draw)

    def shorter_side(spec, draw):
        draws["size"].append(draw)
        return 20

    def crop(example, spec, own):
        noted = tf.numpy_function(lambda values: draws["crop"].extend(values.tolist()) or True, [own], tf.bool)
        with tf.control_dependencies([noted]):
            return random_crop(example, own, size=spec.image_size)

    monkeypatch.setattr(video_pipeline, "random_clip", clip)
    monkeypatch.setitem(video_pipeline.AUGMENTATIONS, "none", ClipAugmentation(shorter_side, crop, draws=2))
    batches = video_training_batches(records, replace(SPEC, augmentation="none"), batch_size=VIDEOS, seed=0)
    next(iter(batches))
    assert min(map(len, draws.values())) >= VIDEOS
    everything = [draw for own in draws.values() for draw in own]
    assert len(set(everything)) == len(everything)


def test_pixels_standardized_are_the_float_batches(records):
    settings = {"batch_size": 4, "seed": 3}
    pixels, labels = take(video_training_batches(records, SPEC, **settings, dtype="uint8"), 2)
    clips, again = take(video_training_batches(records, SPEC, **settings), 2)
    np.testing.assert_array_equal(labels, again)
    np.testing.assert_allclose((pixels / 255 - 0.45) / 0.225, clips, atol=1e-5)


def test_evaluation_has_all_views_of_every_video_in_order(records, numbers_of):
    spec = replace(SPEC, test_size=24)
    batches = list(video_evaluation_batches(records, spec, batch_size=4, dtype="uint8").as_numpy_iterator())
    assert [len(clips) for clips, _ in batches] == [4, 4, 4, 4, 4, 1]
    clips = np.concatenate([clips for clips, _ in batches])
    video = np.concatenate([labels["video"] for _, labels in batches])
    np.testing.assert_array_equal(video, np.repeat(np.arange(VIDEOS), 3))
    np.testing.assert_array_equal(np.concatenate([labels["label"] for _, labels in batches]), video)
    for number in range(VIDEOS):
        expected = uniform_clips(np.arange(20 + number) / 25, spec.sampling)
        found = [
            numbers_of(np.pad(clip, [(0, 0), (0, 0), (4, 4), (0, 0)], mode="edge")) for clip in clips[video == number]
        ]
        np.testing.assert_array_equal(found, expected)


def test_thirty_views_are_ten_clips_times_three_crops(records):
    spec = replace(SPEC, sampling=ClipSampling.of("4x1", clips=10, crops=3))
    batches = video_evaluation_batches(records.take([4]), spec, batch_size=30, dtype="uint8")
    assert batches.cardinality() == 1
    (views, labels), *_ = batches.as_numpy_iterator()
    assert views.shape == (30, 4, 24, 24, 3)
    assert set(labels["label"]) == {4}
    views = views.reshape(10, 3, 4, 24, 24, 3)
    # Frames of 24 x 32: the views are 0, 4 and 8 columns from the left.
    np.testing.assert_array_equal(views[:, 0, :, :, 4:], views[:, 1, :, :, :-4])
    np.testing.assert_array_equal(views[:, 1, :, :, 4:], views[:, 2, :, :, :-4])
    ten = video_evaluation_batches(
        records.take([4]), replace(spec, sampling=ClipSampling.of("4x1", clips=10)), batch_size=10, dtype="uint8"
    )
    np.testing.assert_array_equal(next(ten.as_numpy_iterator())[0], views[:, 1])


def test_clips_as_a_client_sends_them_become_the_views(records):
    views = np.concatenate(
        [clips for clips, _ in video_evaluation_batches(records, SPEC, batch_size=8).as_numpy_iterator()]
    )
    batches = list(video_clip_batches(records, SPEC).as_numpy_iterator())
    assert [set(labels["video"]) for _, labels in batches] == [{number} for number in range(VIDEOS)]
    assert {(clips.shape, clips.dtype.name) for clips, _ in batches} == {((3, 4, 24, 32, 3), "uint8")}
    np.testing.assert_allclose(np.concatenate([preprocess(clips, SPEC) for clips, _ in batches]), views, atol=1e-5)


def test_batches_fit_the_schema(records):
    for dtype, form in (("float32", video_schema.BATCH), ("uint8", video_schema.PIXEL_BATCH)):
        training = video_training_batches(records, SPEC, batch_size=2, seed=0, dtype=dtype)
        assert training.cardinality() == tf.data.INFINITE_CARDINALITY
        assert training.element_spec[0].shape == (2, 4, 16, 16, 3)
        schema.check(training.element_spec, form)
        evaluation = video_evaluation_batches(records, SPEC, batch_size=2, dtype=dtype)
        clips, labels = evaluation.element_spec
        assert clips.shape.as_list() == [None, 4, 24, 24, 3]
        schema.check((clips, labels["label"]), form)
        schema.check(labels, video_schema.LABELS)


def test_real_clips(shared_data):
    dataset = load_video("kinetics", data_dir=shared_data / "kinetics_like")
    spec = replace(SPEC, image_size=32, shorter_sides=(32, 40), sampling=ClipSampling.of("8x8", clips=2))
    clips, labels = take(video_training_batches(dataset.splits["train"], spec, batch_size=21, seed=0), 1)
    assert Counter(labels[0].tolist()) == Counter(dataset.splits["train"].labels.tolist())
    assert abs(clips.mean()) < 1.5
    assert 0.5 < clips.std() < 1.5
    motion = abs(np.diff(clips[0], axis=1)).mean(axis=(1, 2, 3, 4))
    assert (motion > 0.01).all(), "frames of a clip differ"


def test_the_meter_counts_what_is_decoded(records):
    meter = DecodeMeter()
    list(video_evaluation_batches(records, SPEC, batch_size=8, meter=meter))
    rates = meter.take()
    assert (rates.videos, rates.kept) == (VIDEOS, VIDEOS * 3 * 4)
    assert VIDEOS <= rates.decoded <= sum(range(20, 20 + VIDEOS))
    assert rates.taken_per_second > 0
    assert rates.possible_per_second == pytest.approx(rates.kept / rates.busy * rates.threads)
    assert str(meter.take()) == "no video was decoded"


@pytest.fixture
def partly_bad(records, tmp_path, shared_data) -> Records:
    """The seven videos, the third and the last of which can't be decoded."""
    empty = tmp_path / "empty.mp4"
    empty.touch()
    paths = list(records.paths)
    paths[2], paths[6] = str(empty), str(shared_data / "video_decode_cases" / "corrupted.mp4")
    return Records(np.arange(VIDEOS), paths=paths)


# All frames of corrupted.mp4 are wanted, so that the damage is met.
DENSE = replace(SPEC, sampling=ClipSampling.of("50x1", clips=1))


@pytest.mark.timeout(120)
def test_bad_videos_are_refused_by_name(partly_bad):
    message = r"Can't read the video .*(empty|corrupted)\.mp4: .*\. Repair or remove it, or .*`on_corrupt=\"skip\"`"
    with pytest.raises(UserError, match=message), translated_errors():
        list(video_evaluation_batches(partly_bad, DENSE, batch_size=2))
    with pytest.raises(UserError, match=message), translated_errors():
        list(islice(video_training_batches(partly_bad, DENSE, batch_size=7, seed=0), 1))


@pytest.mark.timeout(120)
def test_bad_videos_are_skipped_and_logged_once(partly_bad, caplog):
    skipping = replace(partly_bad, on_corrupt="skip")
    good = [0, 1, 3, 4, 5]
    with caplog.at_level(logging.WARNING, logger="zoo"):
        meter = DecodeMeter()
        batches = video_evaluation_batches(skipping, DENSE, batch_size=2, meter=meter)
        for _ in range(2):
            assert [number for _, labels in batches.as_numpy_iterator() for number in labels["video"]] == good
            assert str(meter.take()).endswith("; 2 times a video could not be decoded and was left out")
        training = video_training_batches(skipping, DENSE, batch_size=7, seed=0)
        for labels in take(training, 2)[1]:
            assert sorted(labels[:5]) == good
            assert list(labels[5:]) == list(labels[:2]), "in place of those left out"
    logged = Counter(record.message for record in caplog.records)
    assert len(logged) == 2
    assert max(logged.values()) == 2, "once by each pipeline"
    assert any("corrupted.mp4: invalid data found" in message for message in logged)


@pytest.mark.timeout(120)
def test_no_video_can_be_decoded(partly_bad):
    bad = replace(partly_bad.take([2, 6]), on_corrupt="skip")
    with pytest.raises(UserError, match=r"None of the 2 videos can be decoded"), translated_errors():
        list(video_evaluation_batches(bad, DENSE, batch_size=2))


def test_what_is_refused(records):
    with pytest.raises(UserError, match=r"`batch_size` must be at most 7, the number of training records.*=8\."):
        video_training_batches(records, SPEC, batch_size=8, seed=0)
    with pytest.raises(UserError, match=r"`batch_size` must be at least 1\. Received: batch_size=0"):
        video_evaluation_batches(records, SPEC, batch_size=0)
    with pytest.raises(UserError, match=r"`augmentation` must be one of .*Did you mean jitter_crop or"):
        video_training_batches(records, replace(SPEC, augmentation="jiter_crop"), batch_size=2, seed=0)


def test_a_strategy_gets_every_video_once(records, two_replicas):
    batches = video_training_batches(records, SPEC, batch_size=6, seed=0)
    _, labels = next(iter(two_replicas.experimental_distribute_dataset(batches)))
    parts = [part.numpy() for part in two_replicas.experimental_local_results(labels)]
    assert [len(part) for part in parts] == [3, 3]
    assert len(set(np.concatenate(parts))) == 6
