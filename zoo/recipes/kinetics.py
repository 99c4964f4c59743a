"""3D ResNets with GroupNorm on Kinetics, as Wu and He (arXiv 1803.08494, section 4.3) trained I3D.

    python train.py --model i3d_resnet50 --norm gn --dataset kinetics --data-dir DIR --initial-weights FILE
    python train.py --recipe kinetics_64x1 --norm gn --data-dir DIR --initial-weights FILE

The schedule is that of Non-local Neural Networks (arXiv 1711.07971, section 4.1), which the paper follows: 400,000
steps of 8 GPUs with 8 clips each, learning rate 0.01, a tenth of it after 150,000 and 300,000, momentum 0.9, weight
decay 1e-4. With Kinetics-400's 240,000 training videos that is 107 epochs; the rate falls after the same shares of
them. Batches of half the size are trained for as many epochs, at half the rate (arXiv 1706.02677, section 2.1). The
weights come from a ResNet-50 for images: `--initial-weights` inflates them.

| recipe | clips | clips a GPU, of 8 | top 1 / top 5 in the paper, GN | BN |
|---|---|---|---|---|
| kinetics | 32x2 | 8 | 73.0 / 90.6 | 73.3 / 90.7 |
| kinetics_small_batch | 32x2 | 4 | 72.8 / 90.6 | 72.1 / 90.0 |
| kinetics_64x1 | 64x1 | 4 | 74.5 / 91.7 | 73.3 / 90.8 |

By ten clips a video. This project has not run them.
"""

import dataclasses

from zoo.training.config import TrainConfig

KINETICS = TrainConfig(
    model="i3d_resnet50",
    norm="gn",
    dataset="kinetics",
    clip="32x2",
    batch_size=64,
    epochs=107,
    optimizer="sgd",
    learning_rate=0.01,
    learning_rate_batch=64,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="step",
    milestones=("37.5%", "75%"),
)
KINETICS_SMALL_BATCH = dataclasses.replace(KINETICS, batch_size=32)
KINETICS_64X1 = dataclasses.replace(KINETICS, clip="64x1", batch_size=32)
