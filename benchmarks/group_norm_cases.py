"""What benchmarks/group_norm.py measures: the shapes, the contenders and the scale of a run, as literal tables."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

Shape = tuple[int, ...]
Mode = Literal["plain", "xla"]

GROUPS = 32
EPSILON = 1e-5


@dataclass(frozen=True)
class Case:
    """Work that all contenders do alike: forward, or forward and backward, on a channels-last tensor."""

    shape: Shape
    dtype: str
    backward: bool

    @property
    def work(self) -> str:
        return work_name(backward=self.backward)


@dataclass(frozen=True)
class Contender:
    """Args: name: in `LABELS`. mode: "plain" or "xla". backend: the library that computes."""

    name: str
    mode: Mode
    backend: str = "tensorflow"


LABELS = {
    "copy": "copy (x + 1)",
    "copies": "two copies",
    "keras_gn": "Keras GN",
    "keras_bn": "Keras BN",
    "portable": "portable",
    "native": "native",
    "jax": "JAX",
    "torch": "torch GN",
}
CONTENDERS = (
    Contender("copy", "plain"),
    Contender("keras_gn", "plain"),
    Contender("keras_bn", "plain"),
    Contender("portable", "plain"),
    Contender("native", "plain"),
    Contender("torch", "plain", backend="torch"),
    Contender("copy", "xla"),
    Contender("keras_gn", "xla"),
    Contender("keras_bn", "xla"),
    Contender("portable", "xla"),
    Contender("jax", "xla", backend="jax"),
)

SHAPES: tuple[Shape, ...] = (
    # ResNet-50 at 224 px, a layer of each stage: one image,
    (1, 112, 112, 64),
    (1, 56, 56, 256),
    (1, 28, 28, 512),
    (1, 14, 14, 1024),
    (1, 7, 7, 2048),
    # two,
    (2, 112, 112, 64),
    (2, 56, 56, 64),
    (2, 28, 28, 128),
    (2, 14, 14, 256),
    # eight,
    (8, 56, 56, 256),
    (8, 28, 28, 512),
    (8, 14, 14, 1024),
    (8, 7, 7, 2048),
    # and 32.
    (32, 112, 112, 64),
    (32, 56, 56, 64),
    (32, 28, 28, 128),
    (32, 14, 14, 256),
    (32, 7, 7, 512),
    # The levels p2 to p6 of a feature pyramid over an image of 800x1344.
    (1, 200, 336, 256),
    (1, 100, 168, 256),
    (1, 50, 84, 256),
    (1, 25, 42, 256),
    (1, 13, 21, 256),
    # A clip of 8 frames in a 3D ResNet.
    (1, 8, 14, 14, 512),
)


@dataclass(frozen=True)
class Scale:
    """How much a run measures.

    Args:
        shapes: of the tensors.
        rounds: samples of each contender.
        sample_seconds: what a sample lasts at least.
        memory_shape: of the tensor whose forward and backward pass is watched for its peak memory.
        memory_contenders: whose; "copies" are two copies, what y and dx take by themselves.
    """

    shapes: tuple[Shape, ...]
    rounds: int
    sample_seconds: float
    memory_shape: Shape
    memory_contenders: tuple[str, ...]


FULL = Scale(SHAPES, 9, 0.01, (32, 56, 56, 256), ("copies", "keras_gn", "keras_bn", "portable", "native"))
QUICK = Scale(((1, 14, 14, 64), (2, 7, 7, 64)), 2, 0.001, (2, 28, 28, 64), ("copies", "native"))

DTYPES = ("float32", "bfloat16")


def cases(shapes: tuple[Shape, ...]) -> list[Case]:
    """Every work on every shape in both types."""
    return [Case(shape, dtype, backward) for shape, dtype, backward in product(shapes, DTYPES, (False, True))]


def core_cases(shapes: tuple[Shape, ...]) -> list[Case]:
    """Those that compare two cores with one: a single sample, float32."""
    return [case for case in cases(shapes) if case.shape[0] == 1 and case.dtype == "float32"]


def shape_name(shape: Shape) -> str:
    """
    >>> shape_name((8, 7, 7, 2048))
    '8x7x7x2048'
    """
    return "x".join(str(size) for size in shape)


def work_name(*, backward: bool) -> str:
    return "forward + backward" if backward else "forward"


def with_options(scale: Scale, *, shapes: tuple[Shape, ...] | None, rounds: int | None) -> Scale:
    """The scale with what the user chose instead of its own."""
    return replace(scale, shapes=shapes or scale.shapes, rounds=rounds or scale.rounds)
