import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import data
from zoo.data import image_ops
from zoo.errors import UserError
from zoo.export import ExportError, export_saved_model, read_metadata, verify_saved_model
from zoo.tasks import ImageClassification


@pytest.fixture(scope="module")
def task():
    return ImageClassification(dataset=data.load("digits"), model="resnet18", norm="gn")


@pytest.fixture(scope="module")
def model(task):
    model = task.build_model()
    rng = np.random.default_rng(0)
    # Residual branches start at zero: give every weight something to do.
    model.set_weights([value + rng.normal(scale=0.05, size=value.shape) for value in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def exported(task, model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model"
    export_saved_model(model, task, path, provenance={"seed": 3})
    return path


def test_serving_takes_raw_pixels_of_any_size(task, model, exported):
    images = np.random.default_rng(1).integers(0, 256, [5, 20, 30, 1], dtype=np.uint8)
    outputs = tf.saved_model.load(str(exported)).signatures["serving_default"](images=tf.constant(images))
    logits = model(image_ops.preprocess(images, task.dataset.spec), training=False)
    np.testing.assert_allclose(outputs["logits"], logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs["probabilities"], tf.nn.softmax(logits), rtol=1e-3, atol=1e-5)
    best = np.argmax(logits, axis=-1)
    np.testing.assert_array_equal(outputs["class_id"], best)
    assert [name.decode() for name in outputs["class_name"].numpy()] == [task.dataset.class_names[i] for i in best]


def test_serving_takes_files_of_different_sizes_and_kinds(task, model, exported):
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ([16, 16, 1], [40, 30, 3], [25, 25, 4])]
    files = [tf.io.encode_png(images[0]), tf.io.encode_jpeg(images[1]), tf.io.encode_png(images[2])]
    outputs = tf.saved_model.load(str(exported)).signatures["serve_encoded"](encoded_images=tf.stack(files))
    prepared = [image_ops.preprocess(image_ops.decode(file), task.dataset.spec) for file in files]
    np.testing.assert_allclose(outputs["logits"], model(tf.stack(prepared), training=False), rtol=1e-4, atol=1e-4)


def test_metadata_travels_with_the_model(task, exported):
    metadata = read_metadata(exported)
    assert metadata["class_names"] == [str(digit) for digit in range(10)]
    assert metadata["training"] == {"seed": 3}
    assert metadata["model"] == "resnet18"


def test_a_difference_from_the_live_model_is_found(task, model, exported):
    changed = task.build_model()
    weights = model.get_weights()
    weights[-1] = weights[-1] + 0.01
    changed.set_weights(weights)
    with pytest.raises(ExportError, match="differs from the live model in serve"):
        verify_saved_model(exported, task.signatures(changed), tolerance=1e-4)


def test_an_op_that_needs_this_project_is_found(task, model, tmp_path):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="images")])
    def needs_python(images):
        return {"y": tf.py_function(lambda x: x, [images], tf.float32)}

    holder = tf.Module()
    holder.serve = needs_python
    tf.saved_model.save(holder, str(tmp_path / "model"), signatures={"serve": needs_python})
    signature = dataclasses.replace(
        task.signatures(model)[0],
        function=needs_python,
        spec=tf.TensorSpec([None], tf.float32, name="images"),
        example=lambda count: np.ones(count, "float32"),
    )
    with pytest.raises(ExportError, match="doesn't load without this project"):
        verify_saved_model(tmp_path / "model", [signature], tolerance=1e-4)


def test_a_failed_export_leaves_nothing(task, model, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.export.saved_model._tolerance", lambda model: -1.0)
    with pytest.raises(ExportError, match="differs"):
        export_saved_model(model, task, tmp_path / "model", provenance={})
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_export_is_refused(exported, tmp_path):
    with pytest.raises(UserError, match="`saved_model` must be a SavedModel folder"):
        read_metadata(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes((exported / "saved_model.pb").read_bytes())
    with pytest.raises(UserError, match=r"must have been exported by train\.py"):
        read_metadata(tmp_path)
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "metadata.json").write_text(json.dumps({"task": "x"}))
    assert read_metadata(tmp_path) == {"task": "x"}


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_model_in_mixed_precision_passes_its_proof(task, tmp_path, precision, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.config.set_dtype_policy(precision)
    try:
        model = dataclasses.replace(task, model="simplenet").build_model()
    finally:
        keras.config.set_dtype_policy("float32")
    export_saved_model(model, task, Path("relative") / "model", provenance={})
    assert tf.saved_model.contains_saved_model("relative/model")
