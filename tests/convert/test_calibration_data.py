"""Calibration data in every form, and what is refused."""

import itertools
import re

import keras
import numpy as np
import pytest

from keras_gn.convert.calibration_data import evenly_spread, read_calibration_data

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(40, 4, 4, 3)).astype("float32")
LABELS = np.arange(40)
VECTORS = RANDOM.normal(size=(40, 5)).astype("float32")


def image_model(shape=(4, 4, 3), **kwargs):
    inputs = keras.Input(shape, name="image", **kwargs)
    return keras.Model(inputs, keras.layers.Flatten()(inputs))


def two_inputs(structure=list):
    """A model of images and vectors, in a list or a dict."""
    tensors = {"image": keras.Input((4, 4, 3), name="image"), "vector": keras.Input((5,), name="vector")}
    outputs = keras.layers.Concatenate()([keras.layers.Flatten()(tensors["image"]), tensors["vector"]])
    return keras.Model(tensors if structure is dict else list(tensors.values()), outputs)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


class Batches(keras.utils.PyDataset):
    """Batches of 10."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(10 * index, 10 * index + 10)
        return IMAGES[rows], LABELS[rows]


def as_tf_dataset():
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(20)


def as_torch_loader():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(IMAGES), torch.from_numpy(LABELS))
    return torch.utils.data.DataLoader(data, batch_size=8)


FORMS = {
    "array": lambda: IMAGES,
    "tensor": lambda: keras.ops.convert_to_tensor(IMAGES),
    "float64": lambda: IMAGES.astype("float64"),
    "dict": lambda: {"image": IMAGES, "label": LABELS},
    "x": lambda: (IMAGES,),
    "x, y": lambda: (IMAGES, LABELS),
    "x, y, sample_weight": lambda: (IMAGES, LABELS, LABELS),
    "list of batches": lambda: [IMAGES[:25], IMAGES[25:]],
    "list of one": lambda: [IMAGES],
    "generator of single samples": lambda: (image[np.newaxis] for image in IMAGES),
    "generator of (x, y)": lambda: ((image[np.newaxis], 1) for image in IMAGES),
    "generator of dicts": lambda: ({"image": image[np.newaxis]} for image in IMAGES),
    "empty batches between": lambda: [IMAGES[:0], IMAGES[:30], IMAGES[:0], IMAGES[30:]],
    "PyDataset": Batches,
    "tf.data": as_tf_dataset,
    "DataLoader": as_torch_loader,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_samples(form):
    batches = read_calibration_data(FORMS[form](), image_model(), batch_size=16)
    assert all(isinstance(batch, np.ndarray) and 1 <= len(batch) <= 16 for batch in batches)
    assert all(batch.dtype == "float32" for batch in batches)
    np.testing.assert_array_equal(np.concatenate(batches), IMAGES)


FORMS_OF_TWO = {
    "list": lambda: [IMAGES, VECTORS],
    "tuple": lambda: (IMAGES, VECTORS),
    "dict": lambda: {"vector": VECTORS, "image": IMAGES},
    "(x, y)": lambda: ([IMAGES, VECTORS], LABELS),
    "(dict, y)": lambda: ({"vector": VECTORS, "image": IMAGES}, LABELS),
    "batches": lambda: [[IMAGES[:12], VECTORS[:12]], (IMAGES[12:], VECTORS[12:])],
    "batches of (x, y)": lambda: iter([([IMAGES, VECTORS], LABELS)]),
    "batches of dicts": lambda: [{"vector": VECTORS, "image": IMAGES, "label": LABELS}],
}


@pytest.mark.parametrize("form", FORMS_OF_TWO)
def test_every_form_for_two_inputs(form):
    model = two_inputs()
    batches = read_calibration_data(FORMS_OF_TWO[form](), model, batch_size=16)
    for given, expected in zip(zip(*batches, strict=True), (IMAGES, VECTORS), strict=True):
        np.testing.assert_array_equal(np.concatenate(given), expected)
    assert model(batches[0]).shape == (len(batches[0][0]), 53)


def test_a_model_of_a_dict_takes_a_dict_only():
    model = two_inputs(dict)
    (batch,) = read_calibration_data({"vector": VECTORS, "image": IMAGES, "label": LABELS}, model, batch_size=40)
    assert set(batch) == {"image", "vector"}
    assert model(batch).shape == (40, 53)
    with pytest.raises(
        ValueError, match=r"each input of the model \(image, vector\), in a dict by these names\. Received"
    ):
        read_calibration_data([IMAGES, VECTORS], model)


@pytest.mark.parametrize("structure", ["list", "dict", "sequential"])
def test_one_input_in_any_structure(structure):
    inputs = keras.Input((4, 4, 3), name="image")
    if structure == "sequential":
        model = keras.Sequential([inputs, keras.layers.Flatten()])
    else:
        model = keras.Model([inputs] if structure == "list" else {"image": inputs}, keras.layers.Flatten()(inputs))
    (batch,) = read_calibration_data(IMAGES, model, batch_size=40)
    np.testing.assert_array_equal(model(batch), IMAGES.reshape(40, -1))


def test_a_last_axis_of_one_may_be_left_out_or_added_as_in_keras():
    (batch,) = read_calibration_data(IMAGES[..., 0], image_model((4, 4, 1)), batch_size=40)
    np.testing.assert_array_equal(batch, IMAGES[..., :1])
    (batch,) = read_calibration_data(IMAGES[..., :1], image_model((4, 4)), batch_size=40)
    np.testing.assert_array_equal(batch, IMAGES[..., 0])


def test_dtypes_are_those_that_the_model_computes_with():
    pixels = RANDOM.integers(0, 256, IMAGES.shape, "uint8")
    for given, dtype, expected in [
        (pixels, "float32", "float32"),
        (pixels, "uint8", "uint8"),
        (IMAGES, "bfloat16", "bfloat16"),
        (keras.ops.cast(IMAGES, "bfloat16"), "float32", "float32"),
        (pixels.astype("int64"), "int32", "int64"),
    ]:
        (batch,) = read_calibration_data(given, image_model(dtype=dtype), batch_size=40)
        assert batch.dtype == expected
    tokens = keras.Sequential([keras.Input((7,), dtype="int32"), keras.layers.Embedding(9, 2)])
    (batch,) = read_calibration_data(np.arange(7)[np.newaxis], tokens)
    assert tokens(batch).shape == (1, 7, 2)


def test_images_of_any_size_keep_theirs():
    batches = read_calibration_data([np.ones((1, side, 5, 3)) for side in (3, 3, 8)], image_model((None, None, 3)))
    assert [batch.shape for batch in batches] == [(2, 3, 5, 3), (1, 8, 5, 3)]


def test_a_subclassed_model_takes_what_it_is_given():
    (batch,) = read_calibration_data(IMAGES, Subclassed(), batch_size=40)
    np.testing.assert_array_equal(batch, IMAGES)
    batches = read_calibration_data([({"a": IMAGES, "b": [VECTORS]}, LABELS)], Subclassed(), batch_size=30)
    assert [(batch["a"].shape[0], batch["b"][0].shape) for batch in batches] == [(30, (30, 5)), (10, (10, 5))]
    np.testing.assert_array_equal(batches[1]["b"][0], VECTORS[30:])


def test_reading_stops_at_the_limit():
    taken = []

    def endless():
        for index in itertools.count():
            taken.append(index)
            yield np.full((8, 4, 4, 3), index)

    batches = read_calibration_data(endless(), image_model(), limit=20)
    assert taken == [0, 1, 2]
    assert sum(map(len, batches)) == 20
    assert sorted({int(batch.flat[0]) for batch in batches}) == [0, 2]


def test_a_long_array_is_thinned_evenly():
    values = np.broadcast_to(np.arange(1000.0)[:, None, None, None], (1000, 4, 4, 3))
    batches = read_calibration_data(values, image_model(), batch_size=4, limit=10)
    np.testing.assert_array_equal(np.concatenate(batches)[:, 0, 0, 0], np.arange(0, 1000, 100))


@pytest.mark.parametrize(("count", "limit"), [(0, 5), (1, 5), (5, 5), (6, 5), (999, 500), (10**6, 3)])
def test_evenly_spread(count, limit):
    chosen = evenly_spread(count, limit)
    assert len(chosen) == min(count, limit)
    gaps = np.diff([*chosen, count])
    assert list(chosen[:1]) == [0][:count]
    assert gaps.size == 0 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)


@pytest.mark.parametrize("data", [[], iter(()), IMAGES[:0], (IMAGES[:0], LABELS[:0]), {"image": IMAGES[:0]}])
def test_empty_data_are_refused(data):
    with pytest.raises(
        ValueError, match=r"`calibration_data` .* must hold at least one sample.*Received: calibration_data="
    ):
        read_calibration_data(data, image_model())


def test_an_empty_tuple_is_refused():
    with pytest.raises(ValueError, match=r"must be x, \(x,\), \(x, y\) or \(x, y, sample_weight\). Received: \(\)"):
        read_calibration_data((), image_model())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_by_their_place(value):
    images = IMAGES.copy()
    images[33, 1, 2, 0] = value
    message = f"must be finite.*Received: {value} in sample 33, input 'image'$"
    with pytest.raises(ValueError, match=message):
        read_calibration_data(images, image_model())
    with pytest.raises(ValueError, match=r"in sample 3 of batch 1, input 'image'$"):
        read_calibration_data([images[:30], images[30:]], image_model())
    with pytest.raises(ValueError, match=r"in sample 33$"):
        read_calibration_data(images, Subclassed())


def test_what_overflows_the_dtype_of_the_input_is_refused():
    with pytest.raises(ValueError, match="Received: inf in sample 0"):
        read_calibration_data(IMAGES.astype("float64") * 1e300, image_model())


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (np.ones((2, 4, 5, 3)), "(2, 4, 5, 3)"),
        (np.ones((2, 3, 4, 4)), "(2, 3, 4, 4)"),
        (np.ones((4, 4, 3)), "(4, 4, 3)"),  # a sample without its batch axis
        (np.ones((1, 2, 4, 4, 3)), "(1, 2, 4, 4, 3)"),
        (np.ones((2, 4, 4, 3, 2)), "(2, 4, 4, 3, 2)"),
        (np.ones((2, 4)), "(2, 4)"),
        (list(IMAGES), "(4, 4, 3)"),
    ],
)
def test_another_shape_than_the_input_is_refused(data, received):
    message = r"the shape (samples, 4, 4, 3) of the model's input 'image'.*Received: float(32|64) array of shape "
    pattern = re.escape(message).replace(re.escape(".*"), ".*").replace(re.escape("(32|64)"), "(32|64)")
    with pytest.raises(ValueError, match=pattern + re.escape(received)):
        read_calibration_data(data, image_model())


def test_a_missing_channel_axis_is_named_by_the_shape_received():
    with pytest.raises(ValueError, match=r"Received: float64 array of shape \(4, 4, 1\)$"):
        read_calibration_data(np.ones((4, 4, 1)), image_model((4, 4, 1)))


@pytest.mark.parametrize(
    "data",
    [IMAGES, [IMAGES], [IMAGES, VECTORS, VECTORS], ([IMAGES],), {"image": IMAGES}, {"image": IMAGES, "v": VECTORS}],
)
def test_another_number_of_inputs_is_refused(data):
    with pytest.raises(ValueError, match=r"\(image, vector\), in a dict .* or in a list .*Received: .*40, 4, 4, 3"):
        read_calibration_data(data, two_inputs())


def test_arrays_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match=r"same number of samples. Received: arrays with 30, 40 samples"):
        read_calibration_data([IMAGES, VECTORS[:30]], two_inputs())


def test_a_tuple_that_is_no_batch_is_refused():
    with pytest.raises(ValueError, match=r"must be x, .*Received: \(float32 array .*, \.\.\.\)"):
        read_calibration_data([(IMAGES,) * 5], image_model())


@pytest.mark.parametrize("data", ["images/", b"images", 3, None])
def test_what_holds_no_arrays_is_refused(data):
    with pytest.raises(TypeError, match=f"must hold inputs of the model: .*Received: calibration_data={data!r}"):
        read_calibration_data(data, image_model())


@pytest.mark.parametrize("data", [["a.png"], np.array(["a", "b"]), [object()], [3.0], {"image": None}])
def test_what_is_no_number_is_refused(data):
    with pytest.raises(TypeError, match=r"must hold arrays of numbers.*Received: "):
        read_calibration_data(data, image_model())


def test_the_data_stay_as_they_are():
    images = IMAGES.copy()
    (batch,) = read_calibration_data(images, image_model(), batch_size=40)
    batch[:] = 0
    np.testing.assert_array_equal(images, IMAGES)
