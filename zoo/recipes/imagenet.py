"""ResNet with GroupNorm on ImageNet, as Wu and He (arXiv 1803.08494, section 4.1) trained it.

    python train.py --model resnet50 --norm gn --dataset imagenet2012 --data-dir DIR

He initialization, the last gamma of a block at 0, SGD with momentum 0.9, weight decay 1e-4 on everything, learning
rate 0.1 at 256 images, divided by 10 at epochs 30, 60 and 90 of 100. The paper reports a top-1 error of 24.1 % on 8
GPUs; this project has not run it.
"""

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
    milestones=("30%", "60%", "90%"),
)
