"""What benchmarks/train_step.py measures: the contenders and the scale of a run, as literal tables."""

from dataclasses import dataclass
from typing import Literal

Compile = Literal["default", "plain", "xla"]


@dataclass(frozen=True)
class Contender:
    """A model with one norm, compiled in one way.

    Args:
        norm: "gn" is keras_gn's, "keras_gn" and "bn" are Keras' own.
        compile: "default" is `model.compile(...)` without `jit_compile`, which in Keras 3.15 means plain where there
            is no GPU; "plain" and "xla" are False and True.
        kernel: of keras_gn; "auto" is what a user gets.
    """

    norm: Literal["gn", "keras_gn", "bn"]
    compile: Compile
    kernel: Literal["auto", "portable", "native"] = "auto"

    @property
    def label(self) -> str:
        kernel = "" if self.kernel == "auto" else f", {self.kernel} kernel"
        compiled = "default compile" if self.compile == "default" else self.compile
        return f"{NORM_LABELS[self.norm]}{kernel}, {compiled}"


NORM_LABELS = {"gn": "GN", "keras_gn": "Keras' GN", "bn": "Keras' BN"}

# Two groups, since each contender keeps 2 to 3 GB. Those of a group are measured in turn; the second begins with one
# of the first, so that a drift of the machine between them shows.
_OURS = Contender("gn", "default")
GROUPS: tuple[tuple[Contender, ...], ...] = (
    (
        _OURS,
        Contender("bn", "default"),
        Contender("keras_gn", "default"),
        Contender("bn", "xla"),
        Contender("keras_gn", "xla"),
    ),
    (
        _OURS,
        Contender("gn", "plain", kernel="native"),
        Contender("gn", "plain", kernel="portable"),
        Contender("gn", "xla"),
    ),
)


@dataclass(frozen=True)
class Scale:
    """How much a run measures.

    Args:
        model: a name of `zoo.list_models()`.
        image_size: pixels.
        batch_size: images a step.
        steps: samples of each contender.
        groups: contenders, those of a group in turn.
    """

    model: str
    image_size: int
    batch_size: int
    steps: int
    groups: tuple[tuple[Contender, ...], ...]


FULL = Scale("resnet50", image_size=224, batch_size=8, steps=8, groups=GROUPS)
QUICK = Scale("simplenet", image_size=32, batch_size=2, steps=2, groups=((_OURS, Contender("bn", "default")), (_OURS,)))
