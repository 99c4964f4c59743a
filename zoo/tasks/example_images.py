"""Images of noise, for the check of a SavedModel after its export."""

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image


def noise(*shape: int, seed: int) -> np.ndarray:
    """uint8 pixels of this shape, the same ones for the same seed."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def png_files(images: Iterable[np.ndarray]) -> np.ndarray:
    """Images [H, W, C], C of 1 or 3, as the bytes of PNG files `[B]`."""
    files = []
    for pixels in images:
        buffer = io.BytesIO()
        Image.fromarray(pixels.squeeze()).save(buffer, "PNG")
        files.append(buffer.getvalue())
    return np.array(files)
