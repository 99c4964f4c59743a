"""Reads a data set by name through the package tensorflow-datasets, which downloads and keeps it."""

import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.data.catalog import DatasetSpec
from zoo.data.records import Records
from zoo.errors import UserError

_SECONDS_TO_ANSWER = 15


def read(spec: DatasetSpec, data_dir: Path | None = None) -> tuple[tuple[str, ...], dict[str, Records]]:
    """The class names and the train and test records, in memory.

    Args:
        spec: its `tfds` is the name there.
        data_dir: where tensorflow-datasets keeps its data, by default ~/tensorflow_datasets.

    Raises:
        UserError: it can't be downloaded, or the package is missing.
    """
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder(spec.tfds, data_dir=data_dir)
        if not builder.is_prepared():
            _check_reachable(builder)
            builder.download_and_prepare()
        splits = builder.as_dataset(batch_size=-1)
    except Exception as error:  # What a failed download raises depends on how it fails.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(
            f"The data set {spec.name} can't be had through tensorflow-datasets ({reason}). To get it by hand and read "
            f"it with `data_dir` (`--data-dir`): {spec.how_to_get}"
        ) from error
    records = {
        split: Records(examples["label"].numpy(), examples["image"].numpy()) for split, examples in splits.items()
    }
    return tuple(builder.info.features["label"].names), records


def _check_reachable(builder: Any) -> None:
    """Fails within seconds where there is no network; the download itself would try again for minutes."""
    url = next(iter(builder.url_infos or ()), None)
    if url:
        # An error from the server is an answer; what it makes of the real request is for the download to find out.
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(url, timeout=_SECONDS_TO_ANSWER).close()
