"""Sizes of image files from their first bytes, without decoding them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image
from tqdm import tqdm

from zoo.data.defects import ABSENT_FILE, UNREADABLE_FILE

# What TensorFlow decodes; MPO is a JPEG with more images behind the first.
_FORMATS = frozenset({"JPEG", "MPO", "PNG", "BMP", "GIF"})
_THREADS = 16


@dataclass(frozen=True)
class ImageHeader:
    """What the first bytes of an image file tell.

    Attributes:
        size: (height, width) in pixels, as stored, without regard to EXIF's orientation; None where there is a defect.
        defect: `ABSENT_FILE`, `UNREADABLE_FILE`, or None.
        reason: what is wrong, in a few words.
    """

    size: tuple[int, int] | None = None
    defect: str | None = None
    reason: str = ""


def read_header(path: str) -> ImageHeader:
    """The header of the image file at `path`; that the rest is whole only decoding tells.

    >>> read_header("no such file.jpg").defect
    'image file that is absent'
    """
    try:
        with Image.open(path) as image:
            if image.format not in _FORMATS:
                return ImageHeader(None, UNREADABLE_FILE, f"it is {image.format}, and not JPEG, PNG, BMP or GIF")
            return ImageHeader((image.height, image.width))
    except (FileNotFoundError, IsADirectoryError):
        return ImageHeader(None, ABSENT_FILE, "there is no such file")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return ImageHeader(None, UNREADABLE_FILE, getattr(error, "strerror", None) or "it is no image")


def read_headers(paths: Sequence[str], *, description: str) -> list[ImageHeader]:
    """The headers of many files, several at a time, in their order; `description` is what the progress bar says."""
    with ThreadPoolExecutor(_THREADS) as threads:
        # `disable=None`: no bar where the output is no terminal.
        headers = tqdm(threads.map(read_header, paths), desc=description, total=len(paths), leave=False, disable=None)
        return list(headers)
