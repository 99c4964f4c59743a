"""Reads CIFAR-10 in its official form for Python: pickled batches, in a folder or in the published archive."""

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from zoo.data.records import Records
from zoo.errors import UserError

FOLDER, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_TRAIN, _TEST = tuple(f"data_batch_{number}" for number in range(1, 6)), "test_batch"


def find(data_dir: Path) -> Path | None:
    """The folder of batches or the archive in `data_dir`, or `data_dir` itself, or None."""
    for folder in (data_dir, data_dir / FOLDER):
        if any((folder / name).is_file() for name in (*_TRAIN, _TEST)):
            return folder
    return data_dir / ARCHIVE if (data_dir / ARCHIVE).is_file() else None


def read(source: Path) -> tuple[tuple[str, ...], dict[str, Records]]:
    """Reads what `find` found: as many of the five training batches as there are, and the test batch.

    Source: https://www.cs.toronto.edu/~kriz/cifar.html, "CIFAR-10 python version".
    """
    batches = dict(_from_folder(source) if source.is_dir() else _from_archive(source))
    splits = {}
    for split, names in (("train", _TRAIN), ("test", (_TEST,))):
        found = [batches[name] for name in names if name in batches]
        if found:
            images, labels = zip(*found, strict=True)
            splits[split] = Records(np.concatenate(labels), np.concatenate(images))
    return CLASS_NAMES, splits


_Batch = tuple[np.ndarray, np.ndarray]


def _from_folder(folder: Path) -> Iterator[tuple[str, _Batch]]:
    for name in (*_TRAIN, _TEST):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                yield name, _read_batch(file, str(folder / name))


def _from_archive(archive: Path) -> Iterator[tuple[str, _Batch]]:
    """Reads the members of the archive by name; nothing is unpacked to the disk."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                if name in (*_TRAIN, _TEST) and (file := tar.extractfile(member)):
                    yield name, _read_batch(io.BytesIO(file.read()), f"{archive}:{name}")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"Can't read {archive}: {error}. Download it again.") from error


def _read_batch(file: BinaryIO, name: str) -> _Batch:
    """Images uint8 [N, 32, 32, 3] and labels int32 [N]; stored as rows of 1024 red, 1024 green and 1024 blue."""
    try:
        batch = _Unpickler(file, encoding="bytes").load()
        data, labels = batch[b"data"], np.asarray(batch[b"labels"], "int32")
        images = data.reshape(len(labels), 3, 32, 32).transpose(0, 2, 3, 1)
        if data.dtype != np.uint8 or not np.isin(labels, range(10)).all():
            raise ValueError(f"its data are {data.dtype} and its labels {labels.min()} to {labels.max()}")
    except UserError as error:
        raise UserError(f"Refused to read {name}: {error}") from error
    except Exception as error:
        raise UserError(
            f"{name} is not a whole CIFAR-10 batch: {error}. Download {ARCHIVE} again from "
            "https://www.cs.toronto.edu/~kriz/cifar.html."
        ) from error
    return np.ascontiguousarray(images), labels


class _Unpickler(pickle.Unpickler):
    """Reads NumPy arrays and plain containers; a pickle that names anything else could run code, and is refused."""

    def find_class(self, module: str, name: str) -> Any:
        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
            ("_codecs", "encode"): _encode,
        }
        if (module, name) not in allowed:
            raise UserError(
                f"it is a pickle that wants to use {module}.{name}, which a CIFAR-10 batch never does and which "
                "could run foreign code. Download it again from https://www.cs.toronto.edu/~kriz/cifar.html."
            )
        return allowed[module, name]


def _reconstruct(*_: Any) -> np.ndarray:
    """An empty array, which the pickle then fills."""
    return np.ndarray((0,), "uint8")


def _encode(text: str, encoding: str) -> bytes:
    return text.encode("latin1" if encoding == "latin1" else "ascii")
