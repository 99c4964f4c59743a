"""Norm names, as users write them, to norm factories: `gn`, `bn:momentum=0.9`, `gn+ws:groups=16`."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
from keras.layers import BatchNormalization

from keras_gn.layers import GroupNormalization, InstanceNormalization
from zoo.errors import UserError, unknown_name

NormFactory = Callable[[str], keras.Layer]


@dataclass(frozen=True)
class Norm:
    """A factory of normalization layers, and the convolutions that go with it.

    Args:
        spec: What the user asked for, for messages.
        factory: Takes a layer name, returns a new layer of that name.
        standardized: Whether the convolutions standardize their weights (`+ws`).
        conv_bias: Whether the convolutions have a bias; False where a norm's beta does its work.
    """

    spec: str
    factory: NormFactory
    standardized: bool = False
    conv_bias: bool = False

    def __call__(self, x: keras.KerasTensor, *, name: str, zero_gamma: bool = False) -> keras.KerasTensor:
        """Normalizes `x` with a new layer called `name`; `zero_gamma` starts its gamma at zero.

        Raises:
            UserError: If the layer refuses its arguments or the shape of `x`.
        """
        try:
            layer = self.factory(name)
            _check_layer(layer, name=name, spec=self.spec)
            if zero_gamma:
                start_gamma_at_zero(layer)
            return layer(x)
        except UserError:
            raise
        except ValueError as error:
            raise UserError(
                f"`norm` does not fit layer '{name}', whose input has shape {tuple(x.shape)}. "
                f"Received: norm={self.spec!r}. {error}"
            ) from error

    def channels(self, at_least: int, *, name: str) -> int:
        """The smallest number of channels from `at_least` on that the layer called `name` can divide into its groups.

        >>> parse_norm("gn").channels(144, name="norm1"), parse_norm("bn").channels(144, name="norm1")
        (160, 144)
        """
        layer = self.factory(name)
        multiple = getattr(layer, "channels_per_group", None) or max(getattr(layer, "groups", 1), 1)
        return -(-at_least // multiple) * multiple


def start_gamma_at_zero(layer: keras.Layer) -> None:
    """Makes an unbuilt norm layer start with gamma = 0, so that it puts out beta (zero) at first.

    A residual block whose last norm starts so is the identity at first (Goyal et al., arXiv 1706.02677,
    section 5.1; Wu & He, arXiv 1803.08494, section 4.1). Layers without a gamma are left as they are,
    and so are frozen ones: their gamma could never leave zero.
    """
    if layer.trainable and hasattr(layer, "gamma_initializer"):
        layer.gamma_initializer = keras.initializers.Zeros()


def channel_axis() -> int:
    """The axis of the channels under keras.config.image_data_format()."""
    return 1 if keras.config.image_data_format() == "channels_first" else -1


def _batch_renorm(name: str, *, momentum: float, epsilon: float, rmax: float, dmax: float) -> keras.Layer:
    # Keras keeps two moving averages; the paper's one average serves training and inference.
    return BatchNormalization(
        axis=channel_axis(),
        momentum=momentum,
        epsilon=epsilon,
        renorm=True,
        renorm_clipping={"rmax": rmax, "rmin": 1.0 / rmax, "dmax": dmax},
        renorm_momentum=momentum,
        name=name,
    )


def _batch_norm(name: str, **arguments: Any) -> keras.Layer:
    return BatchNormalization(axis=channel_axis(), name=name, **arguments)


def _group_norm(name: str, **arguments: Any) -> keras.Layer:
    return GroupNormalization(axis=channel_axis(), name=name, **arguments)


def _instance_norm(name: str, **arguments: Any) -> keras.Layer:
    return InstanceNormalization(axis=channel_axis(), name=name, **arguments)


def _identity(name: str) -> keras.Layer:
    return keras.layers.Identity(name=name)


@dataclass(frozen=True)
class _Row:
    make: Callable[..., keras.Layer]
    arguments: Mapping[str, Any]
    conv_bias: bool = False


# The batch norms' momentum and every epsilon are those of the ResNet literature, not Keras' defaults;
# rmax and dmax are those of the Group Normalization paper's comparison (section 4.1).
_BN = {"momentum": 0.9, "epsilon": 1e-5}
_NORMS: Mapping[str, _Row] = {
    "bn": _Row(_batch_norm, _BN),
    "sync_bn": _Row(partial(_batch_norm, synchronized=True), _BN),
    "frozen_bn": _Row(partial(_batch_norm, trainable=False), _BN),
    "brn": _Row(_batch_renorm, {**_BN, "rmax": 1.5, "dmax": 0.5}),
    "gn": _Row(_group_norm, {"groups": 32, "channels_per_group": None, "epsilon": 1e-5}),
    "ln": _Row(partial(_group_norm, groups=1), {"epsilon": 1e-5}),
    "in": _Row(_instance_norm, {"epsilon": 1e-5}),
    "none": _Row(_identity, {}, conv_bias=True),
}
NORM_NAMES: tuple[str, ...] = tuple(_NORMS)

# argument: (type, test, rule)
_RULES: Mapping[str, tuple[type[int] | type[float], Callable[[Any], bool], str]] = {
    "momentum": (float, lambda value: 0 <= value < 1, "a number of at least 0 and below 1"),
    "epsilon": (float, lambda value: 0 <= value < 1, "a number of at least 0 and below 1"),
    "rmax": (float, lambda value: value >= 1, "a number of at least 1"),
    "dmax": (float, lambda value: value >= 0, "a number of at least 0"),
    "groups": (int, lambda value: value == -1 or value > 0, "an integer above 0, or -1 for one a channel"),
    "channels_per_group": (int, lambda value: value > 0, "an integer above 0"),
}


def parse_norm(spec: str | NormFactory | Norm) -> Norm:
    """The norm that `spec` names.

    A name is one of `NORM_NAMES`, then `+ws` for convolutions with standardized weights, then arguments:
    `name[+ws][:argument=value[,argument=value]...]`.

    | name | layer | arguments and defaults |
    |---|---|---|
    | bn | BatchNormalization | momentum=0.9, epsilon=1e-5 |
    | sync_bn | the same, statistics over all replicas (TensorFlow only) | as bn |
    | frozen_bn | the same, not trained: always the moving statistics | as bn |
    | brn | batch renormalization (arXiv 1702.03275) | as bn, rmax=1.5, dmax=0.5 |
    | gn | GroupNormalization | groups=32, channels_per_group, epsilon=1e-5 |
    | ln | the Group Normalization paper's LayerNorm: one group over the sample | epsilon=1e-5 |
    | in | InstanceNormalization: one group a channel | epsilon=1e-5 |
    | none | no normalization; the convolutions have a bias | |

    Args:
        spec: A name as above; or a callable that takes a layer name and returns a new layer of that name
            (no weight standardization, no bias); or a `Norm`, which is returned as it is.

    Raises:
        UserError: If the name, an argument or a value is unknown or malformed.

    >>> norm = parse_norm("gn+ws:groups=16")
    >>> norm.standardized, norm.factory("norm1").groups
    (True, 16)
    >>> parse_norm(lambda name: keras.layers.RMSNormalization(name=name)).factory("norm1").name
    'norm1'
    """
    if isinstance(spec, Norm):
        return spec
    if isinstance(spec, str):
        return _parse_name(spec)
    if callable(spec) and not isinstance(spec, type | keras.Layer):
        return Norm(spec=getattr(spec, "__name__", repr(spec)), factory=spec)
    raise UserError(
        "`norm` must be a name such as 'gn' or 'none', or a callable that takes a layer name and returns a new layer, "
        "such as `lambda name: keras.layers.BatchNormalization(name=name)`. "
        f"Received: norm={spec!r}"
    )


def _parse_name(spec: str) -> Norm:
    full_name, colon, text = spec.partition(":")
    name, plus, suffix = full_name.partition("+")
    if name not in _NORMS or (plus and suffix != "ws"):
        raise unknown_name("norm", full_name, [*NORM_NAMES, *(f"{base}+ws" for base in NORM_NAMES)])
    row = _NORMS[name]
    given = _parse_arguments(text, spec=spec, name=name, valid=row.arguments) if colon else {}
    return Norm(
        spec=spec,
        factory=partial(row.make, **{**row.arguments, **given}),
        standardized=bool(plus),
        conv_bias=row.conv_bias,
    )


def _parse_arguments(text: str, *, spec: str, name: str, valid: Mapping[str, Any]) -> dict[str, Any]:
    if not valid:
        raise UserError(f"`norm` {name} takes no arguments. Received: norm={spec!r}")
    arguments = {}
    for item in text.split(","):
        argument, _, value = item.partition("=")
        if argument not in valid:
            raise unknown_name(f"{name} argument", argument, valid)
        arguments[argument] = _parse_value(argument, value, spec=spec)
    return arguments


def _parse_value(argument: str, text: str, *, spec: str) -> int | float:
    kind, test, rule = _RULES[argument]
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError):
        value = None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or (kind is int and not isinstance(value, int)) or not test(value):
        raise UserError(
            f"`{argument}` must be {rule}. Received: norm={spec!r}. "
            "The form is name[+ws][:argument=value,...], as in gn:groups=16 or gn+ws:groups=16."
        )
    return kind(value)


def _check_layer(layer: Any, *, name: str, spec: str) -> None:
    if not isinstance(layer, keras.Layer) or layer.name != name:
        raise UserError(
            f"`norm` must return a new keras.Layer called '{name}' when it is called with '{name}'. "
            f"Received: norm={spec} returned {layer!r}"
        )
