"""Which kernel computes where, and what a user can say about it."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gn import ops
from keras_gn.layers import GroupNormalization

ROOT = Path(__file__).resolve().parents[2]


def model():
    image = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(8, 3)(image)
    x = GroupNormalization(4, activation="relu")(x)
    return keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(x)))


def data():
    return np.random.default_rng(0).normal(size=(8, 6, 6, 3)).astype("float32"), np.arange(8) % 2


class Seen(keras.layers.Layer):
    """Notes which kernel is in use where a model is traced."""

    def __init__(self):
        super().__init__()
        self.kernels = []

    def call(self, x):
        if not keras.backend.is_keras_tensor(x) and not tf.executing_eagerly():
            self.kernels.append(ops.kernel())
        return x


def watched_model():
    seen = Seen()
    inner = model()
    watched = keras.Model(inner.input, seen(inner.output))
    seen.kernels.clear()  # of the traces by which Keras finds shapes
    return watched, seen


def compiled(model, **arguments):
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **arguments)
    return model


@pytest.mark.usefixtures("native_kernel_is_built")
class TestAuto:
    def test_eager(self):
        assert ops.kernel() == "native"

    @pytest.mark.parametrize("mirrored", [False, True])
    def test_fit_evaluate_predict(self, mirrored, two_replicas):
        x, y = data()
        with two_replicas.scope() if mirrored else tf.name_scope("one"):
            watched, seen = watched_model()
            compiled(watched)
        watched.fit(x, y, batch_size=4, verbose=0)
        watched.evaluate(x, y, batch_size=4, verbose=0)
        watched.predict(x, batch_size=4, verbose=0)
        # Under a strategy, Keras first traces once outside of any step to learn the shapes.
        steps = seen.kernels[1:] if mirrored else seen.kernels
        assert len(steps) >= 3
        assert set(steps) == {"native"}

    def test_a_user_s_own_training_step(self):
        watched, seen = watched_model()

        @tf.function
        def step(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(watched(x))
            return tape.gradient(loss, watched.trainable_variables)

        step(data()[0])
        assert seen.kernels == ["native"]

    def test_other_graphs_stay_portable(self):
        watched, seen = watched_model()
        tf.function(watched)(data()[0])
        assert seen.kernels == ["portable"]

    @pytest.mark.parametrize("jit_compile", [True, False])
    def test_xla(self, jit_compile):
        watched, seen = watched_model()
        x, y = data()
        compiled(watched, jit_compile=jit_compile).fit(x, y, verbose=0)
        assert set(seen.kernels) == {"portable" if jit_compile else "native"}
        assert watched.jit_compile is jit_compile

    def test_the_default_compile_is_plain_on_cpus(self):
        """By Keras' own choice, which the native kernel depends on."""
        assert compiled(model()).jit_compile is False

    def test_an_export_after_training_needs_no_op(self, tmp_path):
        x, y = data()
        trained = compiled(model())
        trained.fit(x, y, verbose=0)
        trained.predict(x, verbose=0)
        trained.export(tmp_path / "keras", verbose=False)
        archive = keras.export.ExportArchive()
        archive.track(trained)
        archive.add_endpoint("serve", trained.call, input_signature=[tf.TensorSpec([None, 6, 6, 3])])
        archive.write_out(tmp_path / "archive", verbose=False)
        tf.saved_model.save(trained, str(tmp_path / "saved"))
        np.save(tmp_path / "x.npy", x)
        np.save(tmp_path / "y.npy", trained(x))
        code = (
            "import sys, numpy as np, tensorflow as tf\n"
            "sys.modules['keras_gn'] = None\n"
            "for name in ('keras', 'archive', 'saved'):\n"
            "    loaded = tf.saved_model.load(name)\n"
            "    serve = loaded.serve if hasattr(loaded, 'serve') else loaded.signatures['serving_default']\n"
            "    y = serve(tf.constant(np.load('x.npy')))\n"
            "    y = list(y.values())[0] if isinstance(y, dict) else y\n"
            "    np.testing.assert_allclose(y, np.load('y.npy'), rtol=1e-4, atol=1e-5)\n"
        )
        result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr

    def test_saving_what_training_traced_is_refused(self, tmp_path):
        """Instead of a SavedModel that no other process can load."""
        module = tf.Module()
        module.layer = GroupNormalization(2)
        module.layer.build([2, 3, 4])

        @tf.function(input_signature=[tf.TensorSpec([2, 3, 4])])
        def step(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(module.layer(x) ** 2)
            return tape.gradient(loss, module.layer.gamma.value)

        module.step = step
        step(tf.ones([2, 3, 4]))
        with pytest.raises(ValueError, match=r"would need keras_gn's native op.*set_kernel\('portable'\)"):
            tf.saved_model.save(module, str(tmp_path / "saved"))
        assert not tf.saved_model.contains_saved_model(str(tmp_path / "saved"))

    @pytest.mark.filterwarnings("ignore:.*Interpreter is deprecated")
    def test_tensorflow_lite_converts_an_export(self, tmp_path):
        """With builtin operations alone, which is what the converter allows by default."""
        trained = model()
        trained.export(tmp_path / "export", verbose=False)
        converted = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "export")).convert()
        interpreter = tf.lite.Interpreter(model_content=converted)
        serve = interpreter.get_signature_runner()
        x = data()[0][:1]
        (name,) = serve.get_input_details()
        (y,) = serve(**{name: x}).values()
        np.testing.assert_allclose(y, trained(x), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("native_kernel")
def test_native_is_for_every_graph_but_xla():
    watched, seen = watched_model()
    tf.function(watched)(data()[0])
    tf.function(watched, jit_compile=True)(data()[0])
    assert seen.kernels == ["native", "portable"]


def run(code, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


USE = """
import numpy as np
from keras_gn import ops
for _ in range(2):
    ops.group_normalize(np.ones((1, 2, 4)), groups=2)
"""


def test_without_a_library_the_portable_kernel_computes_and_says_so_once(tmp_path):
    result = run(USE + "print(ops.kernel())", XDG_CACHE_HOME=str(tmp_path), KERAS_GN_KERNEL="auto")
    assert result.stdout.strip() == "portable"
    assert result.stderr.count("portable kernel") == 1
    assert "python -m keras_gn.ops.native build" in result.stderr


@pytest.mark.usefixtures("native_kernel_is_built")
def test_a_build_in_this_process_is_used_from_then_on(tmp_path):
    result = run(USE + "ops.native.build()\nprint(ops.kernel())", XDG_CACHE_HOME=str(tmp_path), KERAS_GN_KERNEL="auto")
    assert result.stdout.strip() == "native"


def test_the_environment_variable_chooses(tmp_path):
    result = run(USE + "print(ops.kernel())", XDG_CACHE_HOME=str(tmp_path), KERAS_GN_KERNEL="portable")
    assert result.stdout.strip() == "portable"
    assert "portable kernel" not in result.stderr
    result = run(USE, XDG_CACHE_HOME=str(tmp_path), KERAS_GN_KERNEL="native")
    assert "NativeUnavailableError: The native kernel is not built" in result.stderr
    result = run(USE, KERAS_GN_KERNEL="fast")
    assert "`KERAS_GN_KERNEL` must be one of auto, portable, native. Received: KERAS_GN_KERNEL='fast'" in result.stderr


def test_on_another_backend_there_is_no_native_kernel():
    code = "from keras_gn import ops\nprint(ops.kernel())\nops.set_kernel('native')"
    result = run(code, KERAS_BACKEND="jax", KERAS_GN_KERNEL="auto")
    assert result.stdout.strip() == "portable"
    assert "The native kernel is a TensorFlow op, and Keras runs on jax" in result.stderr


def test_bad_name():
    with pytest.raises(ValueError, match=r"`name` must be one of auto, portable, native\. Received: name='fast'"):
        ops.set_kernel("fast")
