"""CIFAR-10."""

from zoo.training.config import TrainConfig

CIFAR10 = TrainConfig(
    model="simplenet_v2",
    norm="gn:channels_per_group=16",
    dataset="cifar10",
    batch_size=32,
    epochs=30,
    optimizer="adamw",
    learning_rate=5e-4,
    learning_rate_batch=None,
    weight_decay=0.01,
    warmup="200steps",
)
