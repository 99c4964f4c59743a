"""Calibration data from files: a folder of images, or arrays that NumPy saved."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_gn.convert.calibration_data import evenly_spread, model_inputs

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
_MOST_IMAGES = 500
_IMAGES_A_BATCH = 16
_COLOR_MODES = {1: "grayscale", 3: "rgb", 4: "rgba"}


def read_calibration_files(
    path: Path, model: keras.Model, *, preprocess: str | None = None, rescale: float | None = None
) -> Any:
    """The inputs of `model` in `path`, to be given as `calibration_data`.

    Args:
        path: An `.npy` file; an `.npz` file with the inputs by their names, or with the only input; or a folder of
            images (png, jpg, jpeg, bmp; in subfolders too). Of more than 500 images, 500 evenly spread ones are taken,
            and each is resized to the model's input, whatever its sides. Images keep their values, 0 to 255.
        preprocess: The name of a module of `keras.applications`, whose `preprocess_input` the images pass.
        rescale: A factor for the values of the images instead, as 1 / 255.

    Raises:
        ValueError: If there is nothing to read, or not for this model.
    """
    for name, value in (("preprocess", preprocess), ("rescale", rescale)):
        if value is not None and not path.is_dir():
            raise ValueError(
                f"`{name}` is for a folder of images; arrays must hold what the model takes. "
                f"Received: {name}={value}, calibrate={path}"
            )
    if preprocess is not None and rescale is not None:
        raise ValueError(
            "`rescale` goes without `preprocess`, which scales, too. "
            f"Received: rescale={rescale}, preprocess={preprocess}"
        )
    if path.is_dir():
        return _read_images(path, model, _preprocessing(preprocess) if rescale is None else _rescaling(rescale))
    if path.suffix.lower() in {".npy", ".npz"} and path.is_file():
        return _read_arrays(path)
    raise ValueError(
        f"`calibrate` must be a folder of images, an .npy file or an .npz file, that exists. Received: calibrate={path}"
    )


def _read_arrays(path: Path) -> Any:
    """The array of an .npy file, not yet in memory; of an .npz file the only array, or a dict of them."""
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"`calibrate` can't be read: {error} Received: calibrate={path}") from error
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


Preprocess = Callable[..., np.ndarray]


def _preprocessing(name: str | None) -> Preprocess | None:
    """`preprocess_input` of the module `name` of keras.applications."""
    if name is None:
        return None
    functions = {
        module: getattr(getattr(keras.applications, module), "preprocess_input", None)
        for module in dir(keras.applications)
    }
    known = sorted(module for module, function in functions.items() if function is not None)
    if name not in known:
        raise ValueError(
            f"`preprocess` must be a module of keras.applications: {', '.join(known)}. Received: preprocess={name}"
        )
    return functions[name]


def _rescaling(factor: float) -> Preprocess:
    return lambda images, data_format: images * np.float32(factor)


def _read_images(folder: Path, model: keras.Model, preprocess: Preprocess | None) -> list[np.ndarray]:
    """Batches of images as `model` takes them; bytes, a quarter of the memory, unless they are preprocessed."""
    height, width, channels, data_format = _image_format(model)
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
    if not files:
        raise ValueError(
            f"`calibrate` must hold images ({', '.join(sorted(IMAGE_SUFFIXES))}), in the folder or below it. "
            f"Received: calibrate={folder}"
        )
    chosen = [files[index] for index in evenly_spread(len(files), _MOST_IMAGES)]
    batches = []
    for start in range(0, len(chosen), _IMAGES_A_BATCH):
        names = chosen[start : start + _IMAGES_A_BATCH]
        images = np.stack([_read_image(name, (height, width), _COLOR_MODES[channels]) for name in names])
        if data_format == "channels_first":
            images = images.transpose(0, 3, 1, 2)
        batches.append(images if preprocess is None else _prepared(images, preprocess, data_format, channels))
    return batches


def _prepared(images: np.ndarray, preprocess: Preprocess, data_format: str, channels: int) -> np.ndarray:
    try:
        return preprocess(images.astype("float32"), data_format=data_format)
    except (IndexError, ValueError) as error:
        if channels == 3:
            raise
        # Most take the mean colour away.
        raise ValueError(
            f"`preprocess` must be for images of {channels} channels, as the model takes. Use `rescale`, or give the "
            f"prepared inputs as an .npy file. Received: a function that fails with: {error}"
        ) from error


def _image_format(model: keras.Model) -> tuple[int, int, int, str]:
    """Height, width, channels and data format of the only input of `model`."""
    inputs = model_inputs(model)
    tensors = [] if inputs is None else keras.tree.flatten(inputs)
    if len(tensors) == 1 and len(tensors[0].shape) == 4:
        _, first, second, third = tensors[0].shape
        formats = {"channels_last": (first, second, third), "channels_first": (second, third, first)}
        for data_format, (height, width, channels) in formats.items():
            if channels in _COLOR_MODES and height and width:
                return height, width, channels, data_format
    raise ValueError(
        "`calibrate` can be a folder of images only if the model has one input, of images with a fixed height and "
        "width and 1, 3 or 4 channels; give the inputs as an .npy or .npz file. "
        f"Received: a model with the inputs {[tensor.shape for tensor in tensors] or 'that Keras does not know'}"
    )


def _read_image(path: Path, size: tuple[int, int], color_mode: str) -> np.ndarray:
    """The image with the values of the file, `[height, width, channels]`; uint8, but for grey ones of 16 bits."""
    try:
        image = keras.utils.load_img(path, color_mode=color_mode, target_size=size, interpolation="bilinear")
        array = np.asarray(image)  # only now Pillow decodes it
    except ImportError as error:
        raise ValueError("Images are read by Pillow, which is missing: pip install pillow") from error
    except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError for a broken PNG
        reason = error if isinstance(error, OSError) and error.errno else "it isn't a whole image of a known kind"
        raise ValueError(f"An image can't be read: {reason}. Repair it, or move it away. Received: {path}") from error
    return array[..., np.newaxis] if array.ndim == 2 else array
