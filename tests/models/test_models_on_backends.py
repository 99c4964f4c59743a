"""The same models on JAX and torch: the numbers of TensorFlow, and a training step."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo

CASES = [("resnet18", "gn+ws"), ("simplenet_v2", "bn")]
SMALL = {"num_classes": 4, "input_shape": (16, 16, 3)}

CHILD = """
import sys
from pathlib import Path
import keras, numpy as np, zoo

folder, backend, *cases = sys.argv[1:]
assert keras.backend.backend() == backend
images = np.load(Path(folder, "images.npy"))
for case in cases:
    name, norm = case.split("/")
    path = Path(folder, f"{name}_{norm}.weights.h5")
    model = zoo.build(name, norm, weights=path, num_classes=4, input_shape=(16, 16, 3))
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    logits = model.predict_on_batch(images)
    np.testing.assert_allclose(logits, np.load(path.with_suffix(".npy")), rtol=1e-3, atol=1e-3)
    before = keras.ops.convert_to_numpy(model.trainable_variables[0])
    assert np.isfinite(model.train_on_batch(images, np.array([0, 1, 2])))
    assert (keras.ops.convert_to_numpy(model.trainable_variables[0]) != before).any(), "no gradient"
assert "tensorflow" not in sys.modules, "a model of another backend must not load TensorFlow"
"""


@pytest.fixture(scope="module")
def expectations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, and for each case weights and the logits of this backend."""
    folder = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(0)
    images = random.normal(size=(3, 16, 16, 3)).astype("float32")
    np.save(folder / "images.npy", images)
    for name, norm in CASES:
        model = zoo.build(name, norm, **SMALL)
        for variable in model.variables:
            # Every gamma away from zero, every variance above it; small changes elsewhere.
            variable.assign(variable + np.abs(random.normal(size=variable.shape)) * 0.05)
        path = folder / f"{name}_{norm}.weights.h5"
        model.save_weights(path)
        np.save(path.with_suffix(".npy"), keras.ops.convert_to_numpy(model(images)))
    return folder


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_same_numbers_and_a_training_step(backend: str, expectations: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}, which is not installed")
    cases = [f"{name}/{norm}" for name, norm in CASES]
    result = subprocess.run(
        [sys.executable, "-c", CHILD, str(expectations), backend, *cases],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
