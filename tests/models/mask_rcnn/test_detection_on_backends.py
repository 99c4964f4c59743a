"""The pure functions of detection on JAX and torch: the numbers of TensorFlow; and, slowly, a whole training step."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

COMPUTE = """
import keras
from zoo.models.mask_rcnn.losses import class_loss
from zoo.models.mask_rcnn.mask_targets import crop_masks
from zoo.models.mask_rcnn.paste import paste_masks
from zoo.models.mask_rcnn.postprocess import select_detections
from zoo.models.mask_rcnn.proposals import Proposals, propose
from zoo.models.mask_rcnn.roi_align import roi_align
from zoo.models.mask_rcnn.settings import Settings
from zoo.models.mask_rcnn.targets import anchor_targets, objects_of, region_targets

def compute(x):
    found = propose([x["objectness"]], [x["deltas"]], [x["anchors"]], x["size"], best_of_level=9, best_of_image=8)
    pooled = roi_align([x["fine"], x["coarse"]], found.boxes, strides=(4, 8), bins=2)
    settings = Settings(rpn_sample=8, region_sample=8)
    objects = objects_of({"boxes": x["boxes"], "classes": x["classes"]})
    anchors = anchor_targets(x["anchors"], objects, x["random"], settings)
    regions = region_targets(found, objects, x["random"][:, : 8 + 2], settings)
    masks = crop_masks(x["masks"], x["boxes"], regions.boxes, regions.objects, bins=4)
    seen = select_detections(found.boxes, found.are_filled, x["logits"], x["box_deltas"], x["size"], most=5)
    parts = [found.boxes, found.scores, pooled, anchors.index, anchors.is_sampled, anchors.deltas, regions.classes,
             regions.deltas, masks, paste_masks(masks, regions.boxes, size=(6, 7)), seen.boxes, seen.classes,
             class_loss(x["logits"], regions.classes * 0, regions.is_sampled)]
    return [keras.ops.cast(part, "float32") for part in parts]
"""

CHILD = """
import sys
import numpy as np
folder, backend = sys.argv[1:]
assert keras.backend.backend() == backend
x = {name: keras.ops.convert_to_tensor(value) for name, value in np.load(folder + "/inputs.npz").items()}
if backend == "jax":
    import jax
    compute = jax.jit(compute)
expected = np.load(folder + "/outputs.npz")
for name, value in zip(expected, compute(x), strict=True):
    np.testing.assert_allclose(keras.ops.convert_to_numpy(value), expected[name], rtol=1e-4, atol=1e-4, err_msg=name)
assert "tensorflow" not in sys.modules, "a model of another backend must not load TensorFlow"
"""

STEP = """
import sys
import keras, numpy as np, zoo
assert keras.backend.backend() == sys.argv[2]
model = zoo.build("mask_rcnn_resnet18_fpn", "gn:groups=8", num_classes=2, channels=8, units=8, detections=3,
                  proposals_of_level=(9, 9), proposals_of_image=(9, 9), region_sample=8)
model.compile(keras.optimizers.SGD(0.1))
batch = {"image": np.ones((1, 64, 64, 3), "float32"), "boxes": np.array([[[4, 4, 40, 50]]], "float32"),
         "classes": np.array([[1]]), "masks": np.ones((1, 1, 14, 14), "uint8")}
before = [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]
losses = model.train_on_batch(batch, return_dict=True)
assert len(losses) == 6 and np.isfinite(list(losses.values())).all(), losses
after = [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]
assert any((a != b).any() for a, b in zip(after, before))
assert model.predict_on_batch({"image": batch["image"]})["masks"].shape == (1, 3, 28, 28)
assert "tensorflow" not in sys.modules
"""


def run_on(backend: str, code: str, folder: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}, which is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", code, str(folder), backend]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_functions_give_the_same_numbers(backend: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 30, (12, 2))
    inputs = {
        "objectness": rng.normal(size=(2, 12)),
        "deltas": rng.normal(size=(2, 12, 4)) * 0.3,
        "anchors": np.concatenate([corner, corner + rng.uniform(4, 30, (12, 2))], axis=1),
        "size": np.array([[40, 48], [32, 40]]),
        "fine": rng.normal(size=(2, 10, 12, 3)),
        "coarse": rng.normal(size=(2, 5, 6, 3)),
        "boxes": np.array([[[2, 3, 20, 30], [10, 10, 36, 40]], [[0, 0, 30, 30], [0, 0, 0, 0]]]),
        "random": rng.random((2, 12)),
        "masks": rng.integers(0, 2, (2, 2, 8, 8)),
        "logits": rng.normal(size=(2, 8, 4)),
        "box_deltas": rng.normal(size=(2, 8, 3, 4)),
    }
    inputs = {name: value.astype("float32") for name, value in inputs.items()}
    inputs["classes"] = np.array([[0, 2], [1, -1]], "int32")
    np.savez(tmp_path / "inputs.npz", **inputs)
    scope: dict = {}
    exec(COMPUTE, scope)
    outputs = scope["compute"]({name: keras.ops.convert_to_tensor(value) for name, value in inputs.items()})
    np.savez(tmp_path / "outputs.npz", *[keras.ops.convert_to_numpy(value) for value in outputs])
    run_on(backend, COMPUTE + CHILD, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_training_step(backend: str, tmp_path: Path) -> None:
    run_on(backend, STEP, tmp_path)
