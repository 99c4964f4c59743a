"""`python -m keras_gn.convert` as a user runs it: in this process where it is enough, else in one of its own."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras.layers import BatchNormalization, Conv2D, GlobalAveragePooling2D, Lambda

from keras_gn.convert import convert_bn_to_gn
from keras_gn.convert.calibration_files import read_calibration_files
from keras_gn.convert.command import main
from keras_gn.layers import GroupNormalization

ROOT = Path(__file__).resolve().parents[2]
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (24, 8, 10, 3), "uint8")


def trained_model(shape=(8, 10, 3), **settings):
    """A classifier with the moving statistics of random images, as after training."""
    inputs = keras.Input(shape, name="image")
    x = Conv2D(16, 3, padding="same", **settings)(inputs)
    norm = BatchNormalization(name="norm", momentum=0, axis=1 if settings else -1)
    model = keras.Model(inputs, keras.layers.Dense(4)(GlobalAveragePooling2D(**settings)(keras.layers.ReLU()(norm(x)))))
    if shape == (8, 10, 3):
        model(IMAGES, training=True)
    return model


@pytest.fixture(scope="module")
def model():
    return trained_model()


@pytest.fixture(scope="module")
def inputs(model, tmp_path_factory):
    """A folder with the model in `model.keras`, images in `images/`, and arrays."""
    folder = tmp_path_factory.mktemp("inputs")
    model.save(folder / "model.keras")
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(folder / "dense.keras")
    keras.Sequential([keras.Input((4, 4, 8)), GroupNormalization(2)]).save(folder / "group_norm.keras")
    trained_model((8, 10, 1)).save(folder / "grey.keras")
    (folder / "broken.keras").write_bytes((folder / "model.keras").read_bytes()[:500])
    (folder / "images" / "more").mkdir(parents=True)
    for index, image in enumerate(IMAGES):
        suffix = ("png", "PNG", "bmp")[index % 3]
        path = folder / "images" / ("more" if index >= 20 else "") / f"{index:02}.{suffix}"
        keras.utils.save_img(path, image, scale=False, file_format="png" if suffix != "bmp" else "bmp")
    (folder / "images" / "readme.txt").write_text("no image")
    np.save(folder / "images.npy", IMAGES)
    np.savez(folder / "images.npz", x=IMAGES)
    np.savez(folder / "named.npz", image=IMAGES, label=np.arange(24))
    np.save(folder / "object.npy", np.array([{}]), allow_pickle=True)
    return folder


def test_converts_a_file(inputs, model, tmp_path, capsys):
    output = tmp_path / "out.keras"
    assert main([str(inputs / "model.keras"), "-o", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "norm         16" in printed
    assert "1 layer converted, 0 kept." in printed
    converted = keras.models.load_model(output)
    assert isinstance(converted.get_layer("norm"), GroupNormalization)
    np.testing.assert_allclose(
        converted.predict(IMAGES, verbose=0), convert_bn_to_gn(model).predict(IMAGES, verbose=0), atol=1e-6
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out.keras"]


def test_groups_and_weights_are_those_that_are_asked_for(inputs, model, tmp_path):
    for options, groups in (
        (["--groups", "4"], 4),
        (["--channels-per-group", "2"], 8),
        (["--groups", "4", "--weights", "copy"], 4),
        (["--groups", "auto", "--weights", "reset"], None),
    ):
        output = tmp_path / "out.keras"
        assert main([str(inputs / "model.keras"), "-o", str(output), "--overwrite", *options]) == 0
        norm = keras.models.load_model(output).get_layer("norm")
        assert groups in (None, norm.groups)
        same = np.allclose(norm.gamma, model.get_layer("norm").gamma)
        assert same == ("--weights" in options)


@pytest.mark.parametrize("name", ["images", "images.npy", "images.npz", "named.npz"])
def test_calibration_by_files(inputs, name, tmp_path, capsys):
    output, page = tmp_path / "out.keras", tmp_path / "report.html"
    options = ["--calibrate", str(inputs / name), "--calibration-steps", "0", "--report", str(page)]
    assert main([str(inputs / "model.keras"), "-o", str(output), *options]) == 0
    assert "calibrated" in capsys.readouterr().out
    text = page.read_text()
    assert '<th scope="row">norm</th>' in text
    assert 'style="width: 100.0%"' in text


def test_distillation_trains_all_weights(inputs, model, tmp_path):
    kernels = []
    for options in ([], ["--distill", "5"]):
        output = tmp_path / f"{len(options)}.keras"
        options = ["--groups", "8", "--calibrate", str(inputs / "images.npy"), "--calibration-steps", "0", *options]
        assert main([str(inputs / "model.keras"), "-o", str(output), *options]) == 0
        kernels.append(keras.models.load_model(output).trainable_weights[0].numpy())
    before = model.trainable_weights[0].numpy()
    assert np.array_equal(kernels[0], before)
    assert 0 < np.abs(kernels[1] - before).max() < 0.01


def test_images_are_read_in_order_with_their_values(inputs, model):
    batches = read_calibration_files(inputs / "images", model)
    assert all(batch.dtype == "uint8" for batch in batches)
    np.testing.assert_array_equal(np.concatenate(batches), IMAGES)


def test_images_are_preprocessed_as_the_application_does(inputs, model):
    batches = read_calibration_files(inputs / "images", model, preprocess="resnet50")
    expected = keras.applications.resnet50.preprocess_input(IMAGES.astype("float32"))
    np.testing.assert_allclose(np.concatenate(batches), expected)


def test_images_get_the_size_channels_and_axes_of_the_model(inputs):
    for shape, settings, preprocess in (
        ((4, 6, 3), {}, None),
        ((5, 4, 1), {}, None),
        ((5, 4, 4), {}, None),
        ((3, 8, 10), {"data_format": "channels_first"}, None),
        ((3, 8, 10), {"data_format": "channels_first"}, "resnet50"),
    ):
        batches = read_calibration_files(inputs / "images", trained_model(shape, **settings), preprocess=preprocess)
        images = np.concatenate(batches)
        assert images.shape == (24, *shape)
        if settings and preprocess:
            last = keras.applications.resnet50.preprocess_input(IMAGES.astype("float32"))
            np.testing.assert_allclose(images, last.transpose(0, 3, 1, 2))
        elif settings:
            np.testing.assert_array_equal(images, IMAGES.transpose(0, 3, 1, 2))


def test_values_may_be_scaled(inputs, model, tmp_path, capsys):
    batches = read_calibration_files(inputs / "images", model, rescale=1 / 255)
    np.testing.assert_allclose(np.concatenate(batches), IMAGES / 255, rtol=1e-6)
    doubt = "On the calibration data the outputs of BatchNormalization vary"
    for options, is_doubted in (([], False), (["--rescale", "1/255"], True)):
        options = ["--calibrate", str(inputs / "images"), "--calibration-steps", "0", *options]
        assert main([str(inputs / "model.keras"), "-o", str(tmp_path / f"{is_doubted}.keras"), *options]) == 0
        assert (doubt in capsys.readouterr().out) == is_doubted


def test_options_that_are_no_numbers(capsys):
    for option, value, rule in (
        ("--groups", "many", "must be auto or a whole number"),
        ("--rescale", "many", "must be a number above 0, as 1/255"),
        ("--rescale", "0", "must be a number above 0"),
        ("--rescale", "1e400", "must be a number above 0"),
    ):
        with pytest.raises(SystemExit):
            main(["model.keras", "-o", "out.keras", option, value])
        assert f"argument {option}: {rule}" in capsys.readouterr().err


def test_of_many_images_evenly_spread_ones_are_taken(inputs, model, monkeypatch):
    monkeypatch.setattr("keras_gn.convert.calibration_files._MOST_IMAGES", 6)
    np.testing.assert_array_equal(np.concatenate(read_calibration_files(inputs / "images", model)), IMAGES[::4])


def test_grey_images_of_16_bits_keep_their_values(tmp_path):
    image = pytest.importorskip("PIL.Image")
    values = RANDOM.integers(0, 65536, (8, 10), "uint16")
    image.fromarray(values).save(tmp_path / "grey.png")
    (batch,) = read_calibration_files(tmp_path, trained_model((8, 10, 1)))
    np.testing.assert_array_equal(batch[0, ..., 0], values)


def test_a_missing_pillow_is_said(inputs, model, monkeypatch):
    # As Keras does where Pillow is missing.
    monkeypatch.setattr("keras.src.utils.image_utils.pil_image", None)
    with pytest.raises(ValueError, match="pip install pillow"):
        read_calibration_files(inputs / "images", model)


REFUSED = {
    "no input": (["none.keras"], "`input` must be a .keras or .h5 file that exists"),
    "input suffix": (["images.npy"], "`input` must be a .keras or .h5 file that exists"),
    "broken input": (["broken.keras"], "`input` must be a whole file that Keras wrote"),
    "input folder": (["images"], "A SavedModel holds graphs"),
    "nothing to convert": (["dense.keras"], "nothing to convert"),
    "converted before": (["group_norm.keras"], "nothing to convert, and nothing is written"),
    "groups": (["model.keras", "--groups", "-3"], "`groups`"),
    "no groups": (["model.keras", "--groups", "0"], "`groups`"),
    "channels per group": (["model.keras", "--channels-per-group", "0"], "`channels_per_group`"),
    "weights": (["model.keras", "--weights", "statistic"], "`weights` must be one of"),
    "no data": (["model.keras", "--calibrate", "{inputs}/none"], "`calibrate` must be a folder of images, an .npy"),
    "data suffix": (["model.keras", "--calibrate", "{inputs}/dense.keras"], "`calibrate` must be a folder of images"),
    "no images": (["model.keras", "--calibrate", "{output}"], "`calibrate` must hold images (.bmp, .jpeg, .jpg, .png)"),
    "pickled data": (["model.keras", "--calibrate", "{inputs}/object.npy"], "`calibrate` can't be read: "),
    "images for vectors": (
        ["dense.keras", "--calibrate", "{inputs}/images"],
        "Received: a model with the inputs [(None, 3)]",
    ),
    "preprocess": (
        ["model.keras", "--calibrate", "{inputs}/images", "--preprocess", "resnet5"],
        "`preprocess` must be a module of keras.applications: convnext, densenet",
    ),
    "preprocessed arrays": (
        ["model.keras", "--calibrate", "{inputs}/images.npy", "--preprocess", "resnet50"],
        "`preprocess` is for a folder of images",
    ),
    "preprocess alone": (["model.keras", "--preprocess", "resnet50"], "`preprocess` needs data: add --calibrate"),
    "distill alone": (["model.keras", "--distill", "5"], "`distill` needs data: add --calibrate"),
    "distill": (
        ["model.keras", "--calibrate", "{inputs}/images.npy", "--distill", "0"],
        "`distill` must be at least 1",
    ),
    "rescale alone": (["model.keras", "--rescale", "1/255"], "`rescale` needs data: add --calibrate"),
    "rescaled arrays": (
        ["model.keras", "--calibrate", "{inputs}/images.npy", "--rescale", "2"],
        "`rescale` is for a folder of images",
    ),
    "both scales": (
        ["model.keras", "--calibrate", "{inputs}/images", "--rescale", "2", "--preprocess", "resnet50"],
        "`rescale` goes without `preprocess`",
    ),
    "grey images": (
        ["grey.keras", "--calibrate", "{inputs}/images", "--preprocess", "resnet50"],
        "`preprocess` must be for images of 1 channels, as the model takes. Use `rescale`",
    ),
    "report": (["model.keras", "--report", "report.keras"], "`report` must end in .html"),
    "report folder": (
        ["model.keras", "--report", "{inputs}/none/report.html"],
        "`report` must be in a folder that exists",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_ends_in_one_message_and_nothing_is_written(case, inputs, tmp_path, capsys):
    (name, *options), message = REFUSED[case]
    options = [option.format(inputs=inputs, output=tmp_path) for option in options]
    assert main([str(inputs / name), "-o", str(tmp_path / "out.keras"), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("error: ") == 1
    assert message in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_are_refused(inputs, tmp_path, capsys):
    before = (inputs / "model.keras").read_bytes()
    (tmp_path / "old.keras").write_text("old")
    (tmp_path / "link.keras").symlink_to(inputs / "model.keras")
    for name, message in (
        ("out.h5", "`output` must end in .keras"),
        ("none/out.keras", "`output` must be in a folder that exists"),
        ("old.keras", "`output` exists; choose another name, or add --overwrite"),
    ):
        assert main([str(inputs / "model.keras"), "-o", str(tmp_path / name)]) == 2
        assert message in capsys.readouterr().err
    report = tmp_path / "old.html"
    report.write_text("old")
    assert main([str(inputs / "model.keras"), "-o", str(tmp_path / "new.keras"), "--report", str(report)]) == 2
    assert "`report` exists; choose another name, or add --overwrite" in capsys.readouterr().err
    assert report.read_text() == "old"
    for name in (inputs / "model.keras", tmp_path / "link.keras"):
        assert main([str(inputs / "model.keras"), "-o", str(name), "--overwrite"]) == 2
        assert "`output` must be another file than the input" in capsys.readouterr().err
    assert (tmp_path / "old.keras").read_text() == "old"
    assert (inputs / "model.keras").read_bytes() == before


def test_a_broken_image_is_named(inputs, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes((inputs / "images" / "00.png").read_bytes()[:60])
    options = ["-o", str(tmp_path / "out.keras"), "--calibrate", str(tmp_path)]
    assert main([str(inputs / "model.keras"), *options]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "bad.png") in error
    assert "An image can't be read: " in error
    assert " object at 0x" not in error


def test_images_need_a_fixed_size(inputs):
    with pytest.raises(ValueError, match=r"only if the model has one input.*Received: .*\(None, None, None, 3\)"):
        read_calibration_files(inputs / "images", trained_model((None, None, 3)))


def test_the_code_of_a_lambda_runs_only_if_trusted(tmp_path, monkeypatch, capsys):
    model = keras.Sequential([keras.Input((8, 8, 3)), Conv2D(16, 3), BatchNormalization(), Lambda(lambda x: x * 2)])
    model.save(tmp_path / "model.keras")
    arguments = [str(tmp_path / "model.keras"), "-o", str(tmp_path / "out.keras")]
    assert main(arguments) == 2
    assert "`input` can't be read" in capsys.readouterr().err
    assert main([*arguments, "--trusted"]) == 0


def test_a_failure_to_write_leaves_the_former_output(inputs, tmp_path, monkeypatch, capsys):
    def full(self, *args, **kwargs):
        Path(args[0]).write_text("half")
        raise OSError(28, "No space left on device")

    (tmp_path / "out.keras").write_text("old")
    monkeypatch.setattr(keras.Model, "save", full)
    assert main([str(inputs / "model.keras"), "-o", str(tmp_path / "out.keras"), "--overwrite"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_ctrl_c_ends_quietly(inputs, tmp_path, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.models, "load_model", interrupted)
    assert main([str(inputs / "model.keras"), "-o", str(tmp_path / "out.keras")]) == 130
    assert capsys.readouterr().err == ""


def test_a_process_of_its_own_converts_a_legacy_file(inputs, model, tmp_path):
    model.save(tmp_path / "model.h5")
    command = [sys.executable, "-m", "keras_gn.convert", "model.h5", "-o", "out.keras", "--calibrate"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, str(inputs / "images")], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "1 layer converted, 0 kept." in done.stdout
    assert keras.models.load_model(tmp_path / "out.keras")(IMAGES).shape == (24, 4)
