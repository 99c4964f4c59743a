"""ImageNet, as in the GroupNorm paper."""

from zoo.training.config import TrainConfig

IMAGENET_GN = TrainConfig(
    model="resnet50",
    norm="gn",
    dataset="imagenet2012",
    batch_size=256,
    epochs=100,
    optimizer="sgd",
    learning_rate=0.1,
    learning_rate_batch=256,
    momentum=0.9,
    weight_decay=1e-4,
    decay_norm=True,
    schedule="step",
    milestones=("30", "60", "90"),
)
