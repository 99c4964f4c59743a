"""ResNet-50 with GroupNorm on scikit-learn's digits: the default job.

    python train.py --model resnet50 --norm gn

@DIGITS_RUN@
"""

from zoo.training.config import TrainConfig

DIGITS = TrainConfig(
    model="resnet50",
    norm="gn",
    dataset="digits",
    batch_size=32,
    epochs=10,
    optimizer="adamw",
    learning_rate=1e-3,
    learning_rate_batch=None,
    weight_decay=0.05,
    warmup="1",
    clip_norm=1.0,
)
