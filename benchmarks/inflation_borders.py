"""How far a still video's features are from those of its frame, after inflation, with and without group statistics.

    python benchmarks/inflation_borders.py
    python benchmarks/inflation_borders.py --frames 8 16 32 64 --image-size 64

A resnet50 for images with random weights is inflated to an i3d_resnet50, which sees one random frame, repeated. Kernels
over several frames see the zeros beside the first and the last frame. With fixed statistics ("frozen_bn") that reaches
a few frames; with group norms ("gn") the statistics of all frames see it. Prints, for the features c2 to c5, the root
mean square of the difference from the image's features, of that of these features: in the middle frame, and the mean
over all frames.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from tables import aligned

import zoo

NORMS = ("frozen_bn", "gn")
FEATURES = ("c2", "c3", "c4", "c5")
# (of the middle frame, of the frames' mean), by feature.
Changes = Mapping[str, tuple[float, float]]


def image_model(norm: str, size: int) -> keras.Model:
    """A resnet50 whose residual branches do something, and whose norms scale and shift."""
    shape = (size, size, 3)
    model = zoo.build("resnet50", norm, num_classes=None, input_shape=shape, stem="large", zero_init_residual=False)
    random = np.random.default_rng(0)
    for variable in model.weights:
        if variable.name in ("gamma", "beta"):
            middle = 1.0 if variable.name == "gamma" else 0.0
            variable.assign(middle + random.normal(scale=0.2, size=variable.shape))
    return model


def changes(norm: str, frames: int, size: int) -> Changes:
    """Of each feature."""
    keras.utils.set_random_seed(0)
    images = image_model(norm, size)
    clips = zoo.build("i3d_resnet50", norm, num_classes=None, weights=images)
    frame = np.random.default_rng(1).normal(size=(1, size, size, 3)).astype("float32")
    expected = images.predict_on_batch(frame)
    found = clips.predict_on_batch(np.repeat(frame[:, None], frames, axis=1))
    return {name: relative_changes(found[name][0], expected[name][0]) for name in FEATURES}


def relative_changes(of_frames: np.ndarray, of_image: np.ndarray) -> tuple[float, float]:
    """Root mean squares of frames' features [T, H, W, C] less the image's [H, W, C], in units of that of the image's.

    >>> relative_changes(np.array([1.0, 2, 3]).reshape(3, 1, 1, 1), np.array([2.0]).reshape(1, 1, 1))
    (0.0, 0.0)
    """
    unit = np.sqrt(np.mean(of_image**2))
    middle, mean = of_frames[len(of_frames) // 2], of_frames.mean(axis=0)
    of_middle, of_mean = (float(np.sqrt(np.mean((each - of_image) ** 2)) / unit) for each in (middle, mean))
    return of_middle, of_mean


def table(found: Mapping[tuple[str, int], Changes]) -> str:
    """A row a norm and length of clips."""
    rows = [["middle frame / mean of frames", *FEATURES]]
    for (norm, frames), of_feature in found.items():
        cells = [f"{middle:.1e} / {mean:.1e}" for middle, mean in of_feature.values()]
        rows.append([f"{norm}, {frames} frames", *cells])
    return "\n".join(aligned(rows)) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[8, 32, 64], help="lengths of the clip")
    parser.add_argument("--image-size", type=int, default=112, help="pixels (default %(default)s)")
    given = parser.parse_args(arguments)
    found = {(norm, frames): changes(norm, frames, given.image_size) for norm in NORMS for frames in given.frames}
    sys.stdout.write(table(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
