"""Settings that every test shares: two virtual CPU devices, a backend that stays fixed, real data."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest

# A shell has its background jobs ignore Ctrl-C, and all that they start inherits it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if os.environ["KERAS_BACKEND"] == "tensorflow":
    import tensorflow as tf

    # Strategies are tested on two logical devices; this must come before TensorFlow starts its runtime.
    _CPU = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real sample data beside the checkout, or KERAS_GN_TEST_DATA; skips if there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("KERAS_GN_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"needs real sample data in {folder}; set KERAS_GN_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def two_replicas():
    """The strategy of this process on its two logical devices, the one that training uses."""
    from zoo.training.distribute import make_strategy

    strategy = make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 2
    return strategy


@pytest.fixture(scope="session")
def native_kernel_is_built() -> None:
    """The native kernel, built in the user's cache as train.py does; skips where there is no compiler."""
    from keras_gn.ops import native
    from keras_gn.ops.native.compiler import find_compiler

    try:
        find_compiler()
    except native.BuildError as error:
        pytest.skip(str(error))
    native.build()


@pytest.fixture(params=["portable", "native"])
def each_kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test with every kernel, by name."""
    from keras_gn import ops

    if request.param == "native":
        request.getfixturevalue("native_kernel_is_built")
    ops.set_kernel(request.param)
    yield request.param
    ops.set_kernel("auto")


@pytest.fixture
def native_kernel(native_kernel_is_built: None) -> Iterator[None]:
    """Runs a test with the native kernel in every graph."""
    from keras_gn import ops

    ops.set_kernel("native")
    yield
    ops.set_kernel("auto")


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """The same random numbers in every run of a test."""
    import keras

    keras.utils.set_random_seed(0)
