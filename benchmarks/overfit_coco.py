"""A small Mask R-CNN with GroupNorm learns 16 images of COCO by heart: proof that every part of it learns.

    python benchmarks/overfit_coco.py DIR
    python benchmarks/overfit_coco.py DIR --quick

DIR is a folder in COCO's form. mask_rcnn_resnet18_fpn is trained from scratch, by the code that train.py runs, on the
first 16 training images (by number) that show objects, none of a crowd and none below 12 pixels after resizing to 256
(the finest map has a cell for every 4), and then finds their objects. Exits with 1 unless box AP50 is at least 0.90 and
mask AP50 at least 0.80 within 30 minutes, and every part of the loss has fallen to half of its highest epoch or less
(that of boxes rises at first, when the first regions meet objects). Leaves the run with its curves, scores and gallery
in `--output`. `--quick` is a trial of the command itself: two images, a few steps, no bounds but that the loss falls.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from checks import Check, report_checks

from zoo.data import DetectionDataset, load_detection
from zoo.errors import UserError
from zoo.tasks import Detection, Evaluation
from zoo.training.config import TrainConfig
from zoo.training.evaluation import evaluate_model, save_evaluation
from zoo.training.fit import fit, prepare
from zoo.training.native_kernel import prepare_native_kernel
from zoo.training.run_folder import RunFolder, start

BOX_AP50, MASK_AP50, MINUTES, LOSS_SHARE = 0.90, 0.80, 30, 0.5
SMALLEST_SIDE = 12  # square root of the area, pixels
# Fewer channels and regions than the papers', and anchors of half the size, for images of a third of it: the images are
# few, and two CPU cores slow.
MODEL = {
    "anchor_sizes": (16, 32, 64, 128, 256),
    "channels": 64,
    "units": 256,
    "region_sample": 64,
    "rpn_sample": 128,
    "proposals_of_level": (400, 400),
    "proposals_of_image": (300, 300),
}
CONFIG = TrainConfig(
    model="mask_rcnn_resnet18_fpn",
    norm="gn",
    dataset="coco",
    image_size=256,
    augmentation="none",
    model_options=MODEL,
    batch_size=2,
    epochs=120,
    optimizer="adamw",
    learning_rate=1e-3,
    learning_rate_batch=None,
    weight_decay=0.0,
    warmup="100steps",
    clip_norm=5.0,
)
QUICK = dataclasses.replace(CONFIG, image_size=64, batch_size=2, epochs=3, warmup="0")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path, help="a data set in COCO's form")
    parser.add_argument("--images", type=int, default=16, metavar="N", help="how many to learn (%(default)s)")
    parser.add_argument("--epochs", type=int, default=CONFIG.epochs, metavar="N", help="passes (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/overfit_coco"), help="run folder (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a trial of the command: its figures mean nothing")
    return parser.parse_args()


def few_images(folder: Path, count: int) -> DetectionDataset:
    """The first training images whose objects are neither crowds nor too small, as the only split."""
    dataset = load_detection("coco", data_dir=folder, validation_fraction=0)
    records = dataset.splits["train"]
    image_of = np.repeat(np.arange(len(records)), records.counts)
    sides = np.sqrt(records.areas) * CONFIG.image_size / np.repeat(records.sizes.max(axis=1), records.counts)
    left_out = np.unique(image_of[records.is_ignored | (sides < SMALLEST_SIDE)])
    shown = [index for index in np.argsort(records.image_ids) if records.counts[index] and index not in left_out]
    if len(shown) < count:
        raise UserError(
            f"`DIR` must hold {count} images that show objects, no crowds and no small ones. Received: {len(shown)}."
        )
    return dataclasses.replace(dataset, splits={"train": records.take(sorted(shown[:count]))})


def learn(config: TrainConfig, dataset: DetectionDataset, path: Path) -> tuple[Evaluation, pd.DataFrame]:
    """Trains, and scores on the same images; also the losses of each epoch."""
    spec = dataclasses.replace(dataset.spec, image_size=config.image_size, augmentation=config.augmentation)
    task = Detection(
        dataset=dataclasses.replace(dataset, spec=spec),
        model=config.model,
        norm=config.norm,
        model_options=config.model_options,
        seed=config.seed,
    )
    training = prepare(config, task)
    folder = start(path, config, task.metadata(), resume=False)
    fit(training, folder, checkpoint_every=f"{config.epochs}epochs")
    evaluation = evaluate_model(training.model, task, "train", batch_size=config.batch_size)
    save_evaluation(evaluation, folder.evaluation / "train")
    return evaluation, pd.read_csv(RunFolder(path).history_file)


def loss_checks(history: pd.DataFrame, share: float) -> list[Check]:
    """Of each part of the loss, what is left of it in the last epoch, as a share of the highest."""
    parts = [name for name in history if name.endswith("loss")]
    return [
        Check(f"{name}, last epoch over highest", history[name].iloc[-1] / history[name].max(), "at most", share)
        for name in parts
    ]


def main() -> int:
    arguments = parse_arguments()
    began = time.perf_counter()
    config = QUICK if arguments.quick else dataclasses.replace(CONFIG, epochs=arguments.epochs)
    prepare_native_kernel()
    try:
        dataset = few_images(arguments.folder, 2 if arguments.quick else arguments.images)
        evaluation, history = learn(config, dataset, arguments.output)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    minutes = (time.perf_counter() - began) / 60
    sys.stdout.write(evaluation.tables["per_class"].to_string(index=False, float_format="{:.3f}".format) + "\n")
    sys.stdout.writelines(f"{name}: {value:.3f}\n" for name, value in evaluation.metrics.items())
    if arguments.quick:
        total = next(check for check in loss_checks(history, 0.999) if check.name.startswith("loss,"))
        return report_checks([total])
    checks = [
        Check("box AP50", evaluation.metrics["box_AP50"], "at least", BOX_AP50),
        Check("mask AP50", evaluation.metrics["mask_AP50"], "at least", MASK_AP50),
        Check("minutes", minutes, "at most", MINUTES),
        *loss_checks(history, LOSS_SHARE),
    ]
    return report_checks(checks)


if __name__ == "__main__":
    raise SystemExit(main())
