"""Mask R-CNN with GroupNorm on COCO, as Wu and He (arXiv 1803.08494, section 4.2) trained it.

    python train.py --model mask_rcnn_resnet50_fpn --norm gn --dataset coco --data-dir DIR
    python train.py --recipe coco_6x --norm gn --data-dir DIR

SGD with momentum 0.9, learning rate 0.02 at 16 images, scaled linearly, after a warm-up of 1,000 steps; weight decay
1e-4 but 0 on gamma and beta. The schedules are known by their steps of 16 images; here they are the nearest whole
epochs of COCO's 118,287 training images (7,392 steps each), and the rate falls after the same shares of them, so that
`--epochs` scales the schedule as a whole:

| recipe | steps | tenth of the rate after | epochs | for |
|---|---|---|---|---|
| coco | 90,000 | 60,000 and 80,000 | 12 | "1x" |
| coco_2x | 180,000 | 120,000 and 160,000 | 24 | the paper's from an ImageNet backbone (`--initial-weights`) |
| coco_3x | 270,000 | 210,000 and 250,000 | 37 | its "long", and from scratch |
| coco_6x | 540,000 | 480,000 and 520,000 | 73 | from scratch (arXiv 1811.08883, section 3) |

The paper reports box AP 40.3 and mask AP 35.7 for 2x, 40.8 and 36.1 for 3x, 39.5 and 35.2 from scratch; this project
has not run them. "BN* backbone, GN heads" is `--norm frozen_bn --model-options fpn_norm=gn box_norm=gn mask_norm=gn`.
"""

import dataclasses

from zoo.training.config import TrainConfig

COCO = TrainConfig(
    model="mask_rcnn_resnet50_fpn",
    norm="gn",
    dataset="coco",
    batch_size=16,
    epochs=12,
    optimizer="sgd",
    learning_rate=0.02,
    learning_rate_batch=16,
    momentum=0.9,
    weight_decay=1e-4,
    decay_norm=False,
    schedule="step",
    milestones=("66.67%", "88.89%"),
    warmup="1000steps",
)
COCO_2X = dataclasses.replace(COCO, epochs=24)
COCO_3X = dataclasses.replace(COCO, epochs=37, milestones=("77.78%", "92.59%"))
COCO_6X = dataclasses.replace(COCO, epochs=73, milestones=("88.89%", "96.3%"))
