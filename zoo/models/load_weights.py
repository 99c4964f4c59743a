"""Weights from a file into a model, layer by layer, by name."""

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

# How many of the layers that differ an error names.
SHOWN = 5
# How the names of a detector's backbone begin, whichever of its parts they are in, and what a classifier adds.
BACKBONE = ("stem_", "stage")
LOGITS = "logits"


@dataclass(frozen=True)
class _Saved:
    """The variables of one layer in a file: their HDF5 group, and what kind of layer wrote them."""

    kind: str
    variables: h5py.Group

    def shapes(self) -> list[tuple[int, ...]]:
        return [self.variables[str(index)].shape for index in range(len(self.variables))]

    def arrays(self) -> dict[str, Any]:
        return {key: dataset[...] for key, dataset in self.variables.items()}


def load_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Loads the weights of `model` from `path`; the names, kinds and shapes of all layers must agree.

    Keras itself matches layers by their order, ignores what the file has too much of, and loads a part
    before it finds a difference; here a file of another architecture is refused before anything is loaded.

    A detector takes a detector's weights, or a classifier's for its backbone; the rest of it then stays as it is.

    Args:
        model: Built, of uniquely named layers.
        path: A `.weights.h5` or `.keras` file written by Keras.

    Raises:
        UserError: If the file is missing, is not such a file, or is of another architecture.
    """
    path = Path(path)
    with _open_weights(path) as file:
        saved = _saved_layers(file, parts_too=hasattr(model, "rpn"))
        layers = _layers(model)
        if _is_of_a_classifier(saved, model):
            layers = {name: layer for name, layer in layers.items() if name.startswith(BACKBONE)}
            saved = {name: layer for name, layer in saved.items() if name != LOGITS}
        _load(layers, saved, model, path)


def _load(layers: Mapping[str, keras.Layer], saved: Mapping[str, _Saved], model: keras.Model, path: Path) -> None:
    """All of the layers' weights, or none where a layer differs."""
    differences = [
        difference
        for name in [*layers, *(name for name in saved if name not in layers)]
        if (difference := _difference(name, layers.get(name), saved.get(name)))
    ]
    if differences:
        more = len(differences) - SHOWN
        raise UserError(
            f"`weights` must be of the same architecture as the model '{model.name}'. "
            f"Received: weights={str(path)!r}, which differs in {len(differences)} layers: "
            + "; ".join(differences[:SHOWN])
            + (f"; and {more} more" if more > 0 else "")
            + ". Build the model with the name, norm, num_classes, input_shape and options of the file."
        )
    for name, layer in layers.items():
        layer.load_own_variables(saved[name].arrays())


def _layers(model: keras.Model) -> dict[str, keras.Layer]:
    """The layers that hold variables, by their names; those of a detector's parts."""
    parts = [part for part in model.layers if isinstance(part, keras.Model)] if hasattr(model, "rpn") else [model]
    return {layer.name: layer for part in parts for layer in part.layers if layer.variables}


def _is_of_a_classifier(saved: Mapping[str, _Saved], model: keras.Model) -> bool:
    """Whether `model` is a detector and the file is not."""
    proposals = getattr(model, "rpn", None)
    return proposals is not None and not {layer.name for layer in proposals.layers} & saved.keys()


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


def _saved_layers(file: h5py.Group, *, parts_too: bool) -> dict[str, _Saved]:
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
            saved[str(variables.attrs.get("name", group_name))] = _Saved(kind, variables)
    if parts_too:
        inner = [*file.values(), *groups.values()]
        for group in (group for group in inner if isinstance(group, h5py.Group) and "layers" in group):
            saved.update(_saved_layers(group, parts_too=True))
    return saved


def _difference(name: str, layer: keras.Layer | None, saved: _Saved | None) -> str | None:
    """How the layer called `name` differs between model and file, or None."""
    if layer is None:
        return f"'{name}' is in the file only"
    own: dict[str, keras.Variable] = {}
    layer.save_own_variables(own)
    if len(own) < len(layer.variables):
        return f"'{name}' keeps variables in inner layers, which only Model.load_weights can load"
    if saved is None:
        return f"'{name}' is in the model only"
    kind = type(layer).__name__
    if saved.kind != kind.lower():
        return f"'{name}' is a {kind} in the model, a {saved.kind} in the file"
    shapes = [tuple(variable.shape) for variable in own.values()]
    if saved.shapes() != shapes:
        return f"'{name}' has variables of shapes {shapes} in the model, {saved.shapes()} in the file"
    return None
