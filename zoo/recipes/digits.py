"""ResNet-50 with GroupNorm on scikit-learn's digits: the default job."""

from zoo.training.config import TrainConfig

DIGITS = TrainConfig(
    model="resnet50",
    norm="gn",
    dataset="digits",
    batch_size=32,
    epochs=12,
    learning_rate=0.05,
    learning_rate_batch=32,
    warmup="1",
    clip_norm=1.0,
)
