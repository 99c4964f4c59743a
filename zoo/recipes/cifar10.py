"""SimpleNetV2 with GroupNorm on CIFAR-10.

    python train.py --model simplenet_v2 --norm gn --dataset cifar10 --data-dir DIR --epochs 2

2 cores of an AMD EPYC (Zen 4), float32: 205 s; test accuracy 62.97 %, seed 0 (with learning rate 5e-4:
59.40 %; with batches of 64 images: 59.53 %). The 30 epochs of this recipe have not been run.
"""

from zoo.training.config import TrainConfig

CIFAR10 = TrainConfig(
    model="simplenet_v2",
    norm="gn:channels_per_group=16",
    dataset="cifar10",
    batch_size=32,
    epochs=30,
    optimizer="adamw",
    learning_rate=1e-3,
    learning_rate_batch=None,
    weight_decay=0.01,
    warmup="200steps",
)
