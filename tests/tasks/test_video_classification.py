"""Video classification: views of a video are averaged, and a SavedModel takes clips of any length and size."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.data import ClipSampling, load_video
from zoo.errors import UserError
from zoo.export import export_saved_model
from zoo.tasks import VideoClassification
from zoo.training.evaluation import evaluate_model, evaluate_signatures


@pytest.fixture(scope="module")
def task(shared_data):
    """Five real videos of four classes, two clips of each; frames of 16 pixels."""
    dataset = load_video("kinetics", data_dir=shared_data / "kinetics_like")
    spec = dataclasses.replace(dataset.spec.seen_at(16), sampling=ClipSampling.of("4x3", clips=2))
    records = dataset.splits["validation"].take(range(5))
    dataset = dataclasses.replace(dataset, spec=spec, splits={"train": records, "validation": records})
    return VideoClassification(dataset=dataset, model="resnet3d18", norm="gn")


@pytest.fixture(scope="module")
def model(task):
    keras.utils.set_random_seed(0)
    return task.build_model()


def test_the_views_of_a_video_are_averaged(task):
    """Three videos in batches that don't know where a video ends; one of them was left out."""
    labels = task.dataset.splits["validation"].labels
    videos = np.array([0, 0, 1, 1, 4, 4])
    views = np.random.default_rng(0).dirichlet(np.ones(7), size=6)
    views[0] = views[1] = 0.01
    views[0, labels[0]], views[1, labels[0] - 1] = 0.94, 0.5  # the sum is for the first
    results = [
        ({"video": videos[part], "label": labels[videos[part]]}, views[part]) for part in (slice(0, 3), slice(3, 6))
    ]
    evaluation = task.evaluate(results, "validation")
    means = views.reshape(3, 2, 7).mean(axis=1)
    right = means.argmax(axis=1) == labels[[0, 1, 4]]
    assert right[0]
    assert evaluation.metrics["accuracy"] == pytest.approx(right.mean())
    assert evaluation.metrics["examples"] == 3
    chosen = means[np.arange(3), labels[[0, 1, 4]]] / means.sum(axis=1)
    assert evaluation.metrics["loss"] == pytest.approx(-np.log(chosen).mean())
    assert "top5_accuracy" in evaluation.metrics


def test_the_picture_shows_each_video_with_its_own_answer(task):
    labels = task.dataset.splits["validation"].labels
    videos = np.arange(5)
    views = np.eye(7)[labels]
    views[2] = np.eye(7)[(labels[2] + 1) % 7]
    figure = task.evaluate([({"video": videos, "label": labels}, views)], "validation").pictures["clips"]
    rows = figure.axes[:: len(figure.axes) // 5]
    names = task.dataset.class_names
    titles = [axes.get_title(loc="left") for axes in rows]
    assert [title.startswith(names[label]) for title, label in zip(titles, labels, strict=True)] == [
        index != 2 for index in range(5)
    ]
    assert titles[2] == f"{names[(labels[2] + 1) % 7]} 1.00 ({names[labels[2]]})"
    assert all(axes.images[0].get_array().shape[2] == 3 for axes in figure.axes if axes.images)


def test_clips_as_a_client_sends_them_score_as_the_pipeline_does(task, model):
    pipeline = evaluate_model(model, task, "validation", batch_size=3)
    live = {each.name: lambda clips, f=each.function: f(clips) for each in task.signatures(model)}
    serving = evaluate_signatures(live, task, "validation", batch_size=3)
    assert pipeline.metrics["examples"] == serving.metrics["examples"] == 5
    assert serving.metrics["loss"] == pytest.approx(pipeline.metrics["loss"], abs=1e-3)


def test_a_client_sends_no_more_clips_at_a_time_than_asked_for(task):
    sent = list(task.serving_batches("validation", 1))
    assert [len(batch.inputs["clips"]) for batch in sent] == [1] * 10
    assert [batch.labels["video"].tolist() for batch in sent] == [[number // 2] for number in range(10)]
    assert [batch.examples for batch in sent] == [0, 1] * 5
    spec = dataclasses.replace(task.dataset.spec, sampling=ClipSampling.of("4x3", clips=2, crops=3))
    crops = dataclasses.replace(task, dataset=dataclasses.replace(task.dataset, spec=spec))
    with pytest.raises(UserError, match=r"`views` must have one crop.*Received: views=2x3\. Give --views 2x1"):
        next(crops.serving_batches("validation", 3))


def test_the_saved_model_takes_clips_of_any_length_and_size(task, model, tmp_path):
    path = tmp_path / "model"
    export_saved_model(model, task, path, provenance={})  # proves itself where this project can't be imported
    serve = tf.saved_model.load(str(path)).signatures["serve"]
    for frames, height, width in ((1, 20, 33), (9, 48, 18)):
        clips = np.random.default_rng(0).integers(0, 256, (2, frames, height, width, 3), dtype=np.uint8)
        found = serve(clips=tf.constant(clips))
        assert found["probabilities"].shape == (2, 7)
        np.testing.assert_allclose(tf.reduce_sum(found["probabilities"], axis=1), 1, rtol=1e-5)
        assert found["class_name"][0].numpy().decode() in task.dataset.class_names


def test_validation_while_training_sees_one_clip_a_video(task):
    clips, labels = next(iter(task.validation_batches(8)))
    assert clips.shape == (5, 4, task.dataset.spec.test_size, task.dataset.spec.test_size, 3)
    np.testing.assert_array_equal(labels, task.dataset.splits["validation"].labels)
    clips, labels = next(iter(task.evaluation_batches("validation", 8)))
    np.testing.assert_array_equal(labels["video"], [0, 0, 1, 1, 2, 2, 3, 3])


def test_the_report_tells_how_fast_videos_are_decoded(task):
    task.input_report()
    next(iter(task.validation_batches(5)))
    assert "clips took" in task.input_report()
