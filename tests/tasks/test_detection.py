"""Detection: what is scored, in which pixels, and that serving agrees with the pipeline."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from pycocotools import mask as rle

from zoo.data import load_detection
from zoo.data.outlines import rasterize
from zoo.errors import UserError
from zoo.export import export_saved_model
from zoo.tasks import Detection
from zoo.training.evaluation import evaluate_model, evaluate_signatures

TINY = {"channels": 32, "units": 16, "score_threshold": 0.0, "detections": 8, "seed": 0}


def small(dataset, split, images, *, side):
    """The first images of a split, as the validation split, resized to at most `side` pixels."""
    spec = dataclasses.replace(dataset.spec, image_size=side)
    records = dataset.splits[split].take(range(images))
    return dataclasses.replace(dataset, spec=spec, splits={"validation": records})


@pytest.fixture(scope="module")
def nuts(shared_data):
    return load_detection("coco", data_dir=shared_data / "fruits_nuts", validation_fraction=0.3)


@pytest.fixture(scope="module")
def coco(shared_data):
    return load_detection("coco", data_dir=shared_data / "coco2017_mini")


@pytest.fixture(scope="module")
def task(coco):
    """Three photographs of COCO, of different sizes."""
    task = Detection(
        dataset=small(coco, "validation", 3, side=96), model="mask_rcnn_resnet18_fpn", norm="gn", model_options=TINY
    )
    assert len({tuple(size) for size in task.dataset.splits["validation"].sizes}) == 3
    return task


@pytest.fixture(scope="module")
def model(task):
    model = task.build_model()
    rng = np.random.default_rng(0)
    # Heads start near zero, and residual branches at zero: give every weight something to do.
    model.set_weights([value + rng.normal(scale=0.05, size=value.shape) for value in model.get_weights()])
    return model


def perfect(task, *, cells=56):
    """Batches (labels, detections) of a detector that finds all objects as they were annotated, in resized pixels."""
    records = task.dataset.splits["validation"]
    for index, (_, labels) in enumerate(task.evaluation_batches("validation", 1)):
        rows = slice(records.first[index], records.first[index + 1])
        boxes = records.boxes[rows] * np.tile(labels["scale"].numpy()[0], 2)
        masks = rasterize(records.outlines[rows], records.boxes[rows], side=cells)
        found = {
            "boxes": boxes,
            "scores": np.linspace(0.9, 0.6, len(boxes), dtype="float32"),
            "classes": records.classes[rows],
            "masks": masks.astype("float32"),
        }
        batched = {name: value[np.newaxis] for name, value in found.items()}
        yield (
            {name: value.numpy() for name, value in labels.items()},
            {**batched, "num_detections": np.array([len(boxes)])},
        )


def test_a_detector_that_finds_all_scores_one(nuts):
    task = Detection(dataset=small(nuts, "validation", 4, side=256), model="mask_rcnn_resnet18_fpn", norm="gn")
    evaluation = task.evaluate(perfect(task), "validation")
    metrics = evaluation.metrics
    # pycocotools' rounding takes a little where classes have few objects; the outlines went through 56 x 56 cells.
    assert metrics["box_AP"] == pytest.approx(1, abs=1e-6)
    assert metrics["mask_AP50"] == metrics["mask_AP75"] == pytest.approx(1, abs=1e-6)
    assert metrics["examples"] == 4
    assert list(evaluation.tables["per_class"]["category"]) == ["date", "fig", "hazelnut"]
    assert len(evaluation.pictures["gallery"].axes) >= 4
    shown = [text.get_text() for axes in evaluation.pictures["gallery"].axes for text in axes.texts]
    assert len(shown) == len(task.dataset.splits["validation"].classes)
    assert len(evaluation.files["coco_results"]) == len(shown)
    assert task.headline(metrics).startswith("box_AP 1.000, box_AP50 1.000, mask_AP")


@pytest.mark.parametrize(("key", "change"), [("boxes", 8.0), ("masks", -1.0), ("classes", 1)])
def test_what_is_wrong_costs(nuts, key, change):
    task = Detection(dataset=small(nuts, "validation", 2, side=256), model="mask_rcnn_resnet18_fpn", norm="gn")
    wrong = [
        (labels, {**found, key: (found[key] + change) % 3 if key == "classes" else found[key] + change})
        for labels, found in perfect(task)
    ]
    metrics = task.evaluate(wrong, "validation").metrics
    assert metrics["mask_AP"] < 0.7
    assert (metrics["box_AP"] < 0.7) == (key != "masks")


def live_functions(task, model):
    def compiled(signature):
        function = tf.function(signature.function)
        return lambda **inputs: function(*inputs.values())

    return {signature.name: compiled(signature) for signature in task.signatures(model)}


def test_files_score_as_the_pipeline_does(task, model):
    pipeline = evaluate_model(model, task, "validation", batch_size=2)
    serving = evaluate_signatures(live_functions(task, model), task, "validation", batch_size=2)
    assert len(pipeline.files["coco_results"]) == len(serving.files["coco_results"]) == 3 * 8
    for ours, served in zip(pipeline.files["coco_results"], serving.files["coco_results"], strict=True):
        assert (ours["image_id"], ours["category_id"]) == (served["image_id"], served["category_id"])
        np.testing.assert_allclose(served["bbox"], ours["bbox"], atol=0.02)
        assert served["score"] == pytest.approx(ours["score"], abs=1e-5)
        assert rle.area(ours["segmentation"]) > 0
        assert rle.iou([served["segmentation"]], [ours["segmentation"]], [False])[0, 0] > 0.98
    assert serving.metrics.keys() == pipeline.metrics.keys()


def test_a_saved_model_equals_the_live_one_on_three_photographs(task, model, tmp_path):
    path = tmp_path / "model"
    export_saved_model(model, task, path, provenance={})  # proves itself where this project can't be imported
    served = tf.saved_model.load(str(path)).signatures
    live = live_functions(task, model)
    records = task.dataset.splits["validation"]
    files = tf.stack([tf.io.read_file(name) for name in records.paths])
    ours, theirs = live["serve_encoded"](encoded_images=files), served["serve_encoded"](encoded_images=files)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        if value.dtype.is_floating:
            np.testing.assert_allclose(theirs[name], value, atol=1e-3, err_msg=name)
        else:
            np.testing.assert_array_equal(theirs[name], value, err_msg=name)
    height, width = records.sizes.max(axis=0)
    assert ours["masks"].shape == (3, 8, height, width)
    assert set(np.unique(ours["masks"])) == {0, 1}
    np.testing.assert_array_equal(ours["image_size"], records.sizes)
    for row, (tall, wide) in enumerate(records.sizes):
        one = served["serve"](images=tf.io.decode_jpeg(files[row], channels=3)[tf.newaxis])
        np.testing.assert_allclose(one["boxes"][0], ours["boxes"][row], atol=0.05)
        assert one["masks"].shape[2:] == (tall, wide)
        assert (one["masks"][0].numpy() != ours["masks"][row, :, :tall, :wide].numpy()).mean() < 1e-3
        assert not ours["masks"][row, :, tall:].numpy().any()
        assert [name.decode() for name in one["class_names"][0].numpy()] == [
            task.dataset.class_names[number] for number in one["classes"][0]
        ]


def test_training_takes_a_step_and_shows_all_parts_of_the_loss(nuts):
    spec = dataclasses.replace(nuts.spec, image_size=64)
    task = Detection(
        dataset=dataclasses.replace(nuts, spec=spec),
        model="mask_rcnn_resnet18_fpn",
        norm="gn",
        model_options=TINY,
        freeze=2,
    )
    model = task.build_model()
    frozen = model.features.get_layer("stage2_block1_conv1")
    before = frozen.get_weights()[0], model.features.get_layer("stage3_block1_shortcut_conv").get_weights()[0]
    model.compile("sgd", jit_compile=False)
    logs = model.train_on_batch(next(iter(task.training_batches(2, seed=0, epoch=0))), return_dict=True)
    assert {"objectness_loss", "anchor_box_loss", "class_loss", "box_loss", "mask_loss", "loss"} <= logs.keys()
    assert np.isfinite(list(logs.values())).all()
    np.testing.assert_array_equal(frozen.get_weights()[0], before[0])
    assert (model.features.get_layer("stage3_block1_shortcut_conv").get_weights()[0] != before[1]).any()


def test_data_without_outlines_has_boxes_only(shared_data):
    dataset = load_detection("coco", data_dir=shared_data / "fruits_nuts", masks=False)
    task = Detection(
        dataset=small(dataset, "validation", 1, side=64), model="mask_rcnn_resnet18_fpn", norm="gn", model_options=TINY
    )
    assert task.watch == "box_AP"
    assert not task.metadata()["has_masks"]
    model = task.build_model()
    assert model.mask_head is None
    metrics = evaluate_model(model, task, "validation", batch_size=1).metrics
    assert "box_AP" in metrics
    assert "mask_AP" not in metrics
    outputs = live_functions(task, model)["serve"](images=tf.zeros([1, 30, 40, 3], tf.uint8))
    assert "masks" not in outputs


def test_a_validation_split_without_objects_is_refused(nuts):
    records = nuts.splits["validation"]
    all_crowd = dataclasses.replace(records, is_crowd=np.ones_like(records.is_crowd))
    with pytest.raises(UserError, match=r"`validation_fraction` must leave images with objects.*4 images without any"):
        Detection(
            dataset=dataclasses.replace(nuts, splits={"validation": all_crowd}),
            model="mask_rcnn_resnet18_fpn",
            norm="gn",
        )


def test_masks_without_outlines_are_refused(shared_data):
    dataset = load_detection("coco", data_dir=shared_data / "fruits_nuts", masks=False)
    with pytest.raises(UserError, match=r"`masks` must be false, or left out, for data whose.*Received: masks=True"):
        Detection(dataset=dataset, model="mask_rcnn_resnet18_fpn", norm="gn", model_options={"masks": True})


def test_outlines_of_the_validation_alone_make_no_mask_head(nuts):
    train = dataclasses.replace(nuts.splits["train"], outlines=None)
    dataset = dataclasses.replace(nuts, splits={**nuts.splits, "train": train})
    assert nuts.has_masks
    assert not dataset.has_masks


def test_an_absent_split_is_refused(task):
    assert (task.examples("validation"), task.examples("test")) == (3, 0)
    with pytest.raises(UserError, match=r"`split` must be one that the data has: validation.*split='test' of coco"):
        task.evaluation_batches("test", 1)
