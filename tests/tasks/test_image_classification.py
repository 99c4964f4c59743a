import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from zoo import data
from zoo.errors import UserError
from zoo.tasks import ImageClassification
from zoo.training.evaluation import evaluate_model, evaluate_signatures


@pytest.fixture(scope="module")
def digits_task():
    return ImageClassification(dataset=data.load("digits"), model="simplenet", norm="bn")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_cross_entropy_with_smoothed_labels(digits_task, smoothing):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=[6, 10]), rng.integers(0, 10, 6)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = np.eye(10)[labels] * (1 - smoothing) + smoothing / 10
    task = dataclasses.replace(digits_task, label_smoothing=smoothing)
    np.testing.assert_allclose(task.loss(tf.constant(labels), tf.constant(logits)), -(targets * log_p).sum(axis=1))


def test_probabilities_are_the_softmax(digits_task):
    logits = np.array([[1000.0, 1000.0, 0.0]], "float32")
    np.testing.assert_allclose(digits_task.prediction(logits), [[0.5, 0.5, 0.0]])


def test_an_absent_split_is_refused(digits_task):
    assert digits_task.examples("test") == 359
    assert digits_task.examples("minival") == 0
    with pytest.raises(UserError, match=r"`split` must be one that the data has: .*split='minival' of digits"):
        digits_task.evaluation_batches("minival", 8)


def live_functions(task, model):
    return {
        signature.name: lambda function=signature.function, **inputs: function(*inputs.values())
        for signature in task.signatures(model)
    }


@pytest.mark.parametrize("name", ["digits", "plant_seedlings"])
def test_pixels_or_files_score_as_the_pipeline_does(name, shared_data):
    dataset = data.load(name, data_dir=None if name == "digits" else shared_data / name)
    spec = dataclasses.replace(dataset.spec, image_size=32)
    records = dataset.splits["test"].take(range(0, len(dataset.splits["test"]), 4))
    dataset = dataclasses.replace(dataset, spec=spec, splits={"test": records})
    task = ImageClassification(dataset=dataset, model="simplenet", norm="bn")
    model = task.build_model()
    pipeline = evaluate_model(model, task, "test", batch_size=16)
    serving = evaluate_signatures(live_functions(task, model), task, "test", batch_size=16)
    assert pipeline.metrics["examples"] == serving.metrics["examples"] == len(records)
    assert serving.metrics["loss"] == pytest.approx(pipeline.metrics["loss"], rel=1e-5)
    assert serving.metrics["accuracy"] == pipeline.metrics["accuracy"]


def test_a_corrupt_file_is_left_out_of_serving_too(shared_data, tmp_path):
    for species in ("Maize", "Charlock"):
        (tmp_path / species).mkdir()
        for path in sorted((shared_data / "plant_seedlings" / species).glob("*.png"))[:10]:
            (tmp_path / species / path.name).write_bytes(path.read_bytes())
    dataset = data.load("folder", data_dir=tmp_path, on_corrupt="skip")
    broken = dataset.splits["test"].paths[0]
    Path(broken).write_bytes(Path(broken).read_bytes()[:100])
    task = ImageClassification(dataset=dataset, model="simplenet", norm="bn")
    labels = [label for batch in task.serving_batches("test", 2) for label in batch.labels]
    assert labels == list(dataset.splits["test"].labels[1:])
