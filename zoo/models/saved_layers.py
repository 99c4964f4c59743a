"""The layers whose weights a model takes: those of a file, or of another model."""

import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras

from zoo.errors import UserError

Weights = str | os.PathLike[str] | keras.Model


@dataclass(frozen=True)
class SavedLayer:
    """The class of a layer in lower case, and its variables by the names "0", "1", ...: arrays or datasets."""

    kind: str
    variables: Mapping[str, Any]

    def shapes(self) -> list[tuple[int, ...]]:
        """Those of the variables, in order."""
        return [tuple(self.variables[str(index)].shape) for index in range(len(self.variables))]

    def arrays(self) -> dict[str, Any]:
        """The variables in memory."""
        return {key: dataset[...] for key, dataset in self.variables.items()}


@contextmanager
def saved_layers(weights: Weights, *, parts_too: bool) -> Iterator[dict[str, SavedLayer]]:
    """The layers that hold weights, by their names.

    Args:
        weights: A `.weights.h5` or `.keras` file written by Keras, or a built model of uniquely named layers.
        parts_too: Whether those of models within the model count, too.

    Raises:
        UserError: If the file is missing, or is not such a file.
    """
    if isinstance(weights, keras.Model):
        yield {name: _of_layer(layer) for name, layer in layers_with_weights(weights).items()}
        return
    with _open_weights(Path(weights)) as file:
        yield _in_group(file, parts_too=parts_too)


def layers_with_weights(model: keras.Model) -> dict[str, keras.Layer]:
    """The layers of `model` that hold weights, by their names; those of a detector's parts."""
    parts = [part for part in model.layers if isinstance(part, keras.Model)] if is_detector(model) else [model]
    return {layer.name: layer for part in parts for layer in part.layers if layer.weights}


def is_detector(model: keras.Model) -> bool:
    """Whether `model` finds objects, and so consists of models."""
    return hasattr(model, "rpn")


def own_variables(layer: keras.Layer) -> dict[str, keras.Variable]:
    """What `layer` writes to a file itself, without the layers in it."""
    own: dict[str, keras.Variable] = {}
    layer.save_own_variables(own)
    return own


def _of_layer(layer: keras.Layer) -> SavedLayer:
    arrays = {key: keras.ops.convert_to_numpy(variable) for key, variable in own_variables(layer).items()}
    return SavedLayer(type(layer).__name__.lower(), arrays)


@contextmanager
def _open_weights(path: Path) -> Iterator[h5py.File]:
    if not path.name.endswith((".weights.h5", ".keras")):
        raise UserError(f"`weights` must end in .weights.h5 or .keras. Received: weights={str(path)!r}")
    if not path.is_file():
        raise UserError(f"`weights` must be a file that exists. Received: weights={str(path)!r}")
    try:
        source: Any = path
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                source = io.BytesIO(archive.read("model.weights.h5"))
        file = h5py.File(source, "r")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"`weights` must be a whole file that Keras wrote. Received: weights={str(path)!r}: {error}"
        ) from error
    with file:
        yield file


def _in_group(file: h5py.Group, *, parts_too: bool) -> dict[str, SavedLayer]:
    """Layer name -> its variables, each kind of layer in the order of the model.

    Keras names a group by the layer's class and a counter ("conv2d_3"), and notes the layer's own name as
    an attribute. HDF5 lists groups by name; the shorter first puts conv2d_10 after conv2d_9. The layers of a model
    are in its group "layers"; of a model that is an attribute or a layer of a model, in a group in that one's.
    """
    saved = {}
    groups = file.get("layers", {})
    for group_name in sorted(groups, key=lambda group_name: (len(group_name), group_name)):
        variables = groups[group_name].get("vars", {})
        if len(variables):
            kind = re.sub(r"_\d+$", "", group_name).replace("_", "")
            saved[str(variables.attrs.get("name", group_name))] = SavedLayer(kind, variables)
    if parts_too:
        inner = [*file.values(), *groups.values()]
        for group in (group for group in inner if isinstance(group, h5py.Group) and "layers" in group):
            saved.update(_in_group(group, parts_too=True))
    return saved
