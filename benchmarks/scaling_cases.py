"""What benchmarks/scaling.py measures and counts, as literal tables."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A model that one worker and two workers train on the digits.

    Args:
        model: a name of `zoo.list_models()`.
        norm: a norm name.
        image_size: pixels.
        batch: images a worker and step.
    """

    model: str
    norm: str
    image_size: int
    batch: int

    @property
    def label(self) -> str:
        return f"{self.model}, {self.norm}, {self.image_size} px"


@dataclass(frozen=True)
class Scale:
    """How much a run measures.

    Args:
        cases: in turn; the checks are about the first.
        steps: samples of each figure in a round.
        rounds: one worker and two workers are started anew in each, so that a drift of the machine hits both.
        agreement_seconds: for how long the workers train to see what their agreement costs.
        traced: models whose training step is traced, to count its collective operations.
        planned: models that the plan is made for; none for all of `zoo.list_models()`.
    """

    cases: tuple[Case, ...]
    steps: int
    rounds: int
    agreement_seconds: float
    traced: tuple[str, ...]
    planned: tuple[str, ...] = ()


FULL = Scale(
    cases=(
        Case("resnet18", "gn", image_size=16, batch=32),
        Case("simplenet_v2", "gn", image_size=32, batch=32),
    ),
    steps=8,
    rounds=2,
    agreement_seconds=6.0,
    traced=("simplenet", "resnet18"),
)
QUICK = Scale(
    cases=(Case("simplenet", "gn:groups=4", image_size=8, batch=8),),
    steps=2,
    rounds=1,
    agreement_seconds=0.5,
    traced=("simplenet",),
    planned=("resnet18", "simplenet"),
)
