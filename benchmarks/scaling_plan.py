"""What workers send each other in a training step, counted from the models, and the network that it needs.

With a ring all-reduce each of N GPUs sends, and receives, 2 (N - 1) / N times what is summed: here the gradients, four
bytes a trainable parameter. `sync_bn` adds collective operations of a few values each, whose number matters: in each
layer the sums of x, of x^2 and of 1 on the way forward, and the gradients of the first two on the way back, all of them
one value a channel. Each takes at least log2 N times the latency of a message: with a message, what a GPU knows reaches
at most as many more as know it already. Norms within the sample add nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
from tables import aligned

import zoo

SYNC_BN_FORWARD = 3
SYNC_BN_BACKWARD = 2
BYTES = 4  # of a float32


@dataclass(frozen=True)
class ModelCount:
    """What is summed over the GPUs for a model.

    Args:
        name: of the model.
        parameters: trainable ones, with the norm gn or bn.
        layers: its norm layers.
        channels: of all norm layers together.
    """

    name: str
    parameters: int
    layers: int
    channels: int

    @property
    def checkpoint_bytes(self) -> int:
        """With SGD and momentum: the weights and one value more for each of them."""
        return 2 * BYTES * self.parameters

    @property
    def sync_bn_collectives(self) -> int:
        return (SYNC_BN_FORWARD + SYNC_BN_BACKWARD) * self.layers

    @property
    def sync_bn_values(self) -> int:
        return (SYNC_BN_FORWARD + SYNC_BN_BACKWARD) * self.channels


@dataclass(frozen=True)
class Assumptions:
    """What the plan takes for granted; not measured.

    Args:
        step_seconds: of a GPU, without communication.
        share: of the step that the all-reduce may take.
        latency_seconds: of a message between two GPUs.
        gpus: how many; a column each.
        images: of a step on one GPU.
    """

    step_seconds: float
    share: float
    latency_seconds: float
    gpus: tuple[int, ...] = (8, 64, 512)
    images: int = 32


def count_model(name: str) -> ModelCount:
    """Builds the model with sync_bn, without values, and counts: for 1,000 classes at 224 pixels, simplenets 10 at 32.

    With gn it has as many trainable parameters: both norms have a gamma and a beta for each channel.
    """
    small = name.startswith("simplenet")
    form = {"num_classes": 10 if small else 1000, "input_shape": (32, 32, 3) if small else (224, 224, 3)}
    with keras.StatelessScope(initialize_variables=False):  # random values would take most of the time
        model = zoo.build(name, "sync_bn", **form)
    parameters = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    return ModelCount(name, parameters, len(norms), sum(norm.gamma.shape[0] for norm in norms))


def ring_bytes(values: int, gpus: int) -> float:
    """What each GPU sends, and receives, for the sum of so many float32.

    >>> ring_bytes(1000, 2), ring_bytes(1000, 8)
    (4000.0, 7000.0)
    """
    return 2 * (gpus - 1) / gpus * BYTES * values


def bandwidth(model: ModelCount, gpus: int, assumed: Assumptions) -> float:
    """Bytes a second in each direction of a GPU, with which the gradients' sum takes the given share of a step."""
    return ring_bytes(model.parameters, gpus) / (assumed.share * assumed.step_seconds)


def sync_bn_seconds(model: ModelCount, gpus: int, assumed: Assumptions) -> float:
    """What the latency of sync_bn's collective operations takes of a step, at least."""
    return model.sync_bn_collectives * math.ceil(math.log2(gpus)) * assumed.latency_seconds


def plan_table(models: Sequence[ModelCount], assumed: Assumptions) -> str:
    """The gradients' sum, and what sync_bn adds."""
    gpus = assumed.gpus
    columns = [*(f"MB, {n} GPUs" for n in gpus), *(f"GB/s, {n} GPUs" for n in gpus)]
    gradients = [["model", "parameters", *columns, "checkpoint, MB"]]
    extra = [["model", "layers", "sync_bn, sums", "sync_bn, MB", "gn", *(f"sync_bn, ms, {n} GPUs" for n in gpus)]]
    for model in models:
        sent = [f"{ring_bytes(model.parameters, n) / 1e6:.1f}" for n in gpus]
        needed = [f"{bandwidth(model, n, assumed) / 1e9:.2f}" for n in gpus]
        stored = f"{model.checkpoint_bytes / 1e6:.0f}"
        gradients.append([model.name, f"{model.parameters:,}", *sent, *needed, stored])
        late = [f"{1e3 * sync_bn_seconds(model, n, assumed):.1f}" for n in gpus]
        values = f"{ring_bytes(model.sync_bn_values, gpus[-1]) / 1e6:.2f}"
        extra.append([model.name, str(model.layers), str(model.sync_bn_collectives), values, "0", *late])
    first = (
        "\nSum of the gradients, any norm: bytes that a GPU sends in a step, and the bandwidth with which this takes "
        f"{assumed.share:.0%} of a step of {1e3 * assumed.step_seconds:g} ms (assumed; 1 GB/s is 8 Gbit/s); and the "
        "size of a checkpoint, with SGD and momentum"
    )
    second = (
        f"\nWhat the norm adds: collective operations a step, bytes at {gpus[-1]} GPUs, and the least time at a "
        f"latency of {1e6 * assumed.latency_seconds:g} us (assumed)"
    )
    images = assumed.images / assumed.step_seconds
    third = f"\nInput, of any model, at {assumed.images} images a GPU and step (assumed): " + ", ".join(
        f"{n * images:,.0f} images/s on {n} GPUs" for n in gpus
    )
    return "\n".join([first, *aligned(gradients), second, *aligned(extra), third]) + "\n"
