"""How fast the input pipeline is alone, and how long training waits for it.

    python benchmarks/input_pipeline.py --dataset cifar10 --data-dir DIR
    python benchmarks/input_pipeline.py --dataset cifar10 --data-dir DIR --model none

Prints images/s of the training pipeline alone (median and range over several passes, after a warm-up), and the share
of a training loop's time that goes into getting the next batch; exits with 1 if that is over `--max-wait-share`.
Model, norm and batch size are those of the data set's recipe; `--model none` measures the pipeline alone.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

import zoo
from zoo import data
from zoo.data.corrupt import translated_errors
from zoo.errors import UserError
from zoo.files import write_json
from zoo.recipes import get_recipe


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="name of the data set")
    parser.add_argument("--data-dir", type=Path, help="where its files are")
    parser.add_argument("--image-size", type=int, help="instead of the data set's own")
    parser.add_argument("--on-corrupt", choices=data.ON_CORRUPT, default="refuse", help="what to do about bad images")
    parser.add_argument("--batch-size", type=int, help="instead of the recipe's")
    parser.add_argument("--steps", type=int, default=100, help="batches a pass, and training steps")
    parser.add_argument("--passes", type=int, default=5, help="passes of the pipeline alone")
    parser.add_argument("--model", help="train this model instead of the recipe's, or none")
    parser.add_argument("--norm", help="instead of the recipe's")
    parser.add_argument("--max-wait-share", type=float, default=0.1, help="of the training time; more is a failure")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def images_per_second(batches: Iterator[Any], *, batch_size: int, steps: int, passes: int) -> list[float]:
    """One figure a pass, after one pass that is not counted."""
    figures = []
    for _ in range(passes + 1):
        start = time.perf_counter()
        for _ in range(steps):
            next(batches)
        figures.append(steps * batch_size / (time.perf_counter() - start))
    return figures[1:]


def training_times(batches: Iterator[Any], model: keras.Model, *, steps: int) -> tuple[float, float]:
    """Seconds spent in `next(batches)` and in training steps, after three steps that are not counted."""
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(model.trainable_variables)
    loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(image: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_function(label, model(image, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    waiting = training = 0.0
    for number in range(-3, steps):
        start = time.perf_counter()
        image, label = next(batches)
        middle = time.perf_counter()
        step(image, label).numpy()  # The value, so that the step is over when the clock is read.
        if number >= 0:
            waiting += middle - start
            training += time.perf_counter() - middle
    return waiting, training


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    dataset = data.load(arguments.dataset, data_dir=arguments.data_dir, on_corrupt=arguments.on_corrupt)
    spec = replace(dataset.spec, image_size=arguments.image_size or dataset.spec.image_size)
    if "train" not in dataset.splits:
        raise UserError(
            f"`--data-dir` must hold training images. Received: {arguments.data_dir}, with {', '.join(dataset.splits)}."
        )
    records, recipe = dataset.splits["train"], get_recipe(arguments.dataset)
    batch_size = recipe.batch_size if arguments.batch_size is None else arguments.batch_size
    result: dict[str, Any] = {
        "dataset": arguments.dataset,
        "records": len(records),
        "image_size": spec.image_size,
        "batch_size": batch_size,
        "cpus": os.cpu_count(),
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
    }
    alone = images_per_second(
        iter(data.training_batches(records, spec, batch_size=batch_size, seed=0)),
        batch_size=batch_size,
        steps=arguments.steps,
        passes=arguments.passes,
    )
    result["images_per_second"] = {"median": statistics.median(alone), "min": min(alone), "max": max(alone)}
    name, norm = arguments.model or recipe.model, arguments.norm or recipe.norm
    if name != "none":
        shape = (spec.image_size, spec.image_size, spec.channels)
        model = zoo.build(name, norm=norm, num_classes=len(dataset.class_names), input_shape=shape)
        batches = iter(data.training_batches(records, spec, batch_size=batch_size, seed=0))
        waiting, training = training_times(batches, model, steps=arguments.steps)
        result |= {
            "model": name,
            "norm": norm,
            "training_images_per_second": arguments.steps * batch_size / (waiting + training),
            "wait_share": waiting / (waiting + training),
        }
    return result


def report(result: dict[str, Any], *, max_wait_share: float) -> str:
    alone = result["images_per_second"]
    lines = [
        f"{result['dataset']}, {result['image_size']} px, batch size {result['batch_size']}:",
        f"  pipeline alone: {alone['median']:,.0f} images/s ({alone['min']:,.0f} to {alone['max']:,.0f})",
    ]
    if "model" in result:
        lines += [
            f"  training {result['model']} ({result['norm']}): {result['training_images_per_second']:,.0f} images/s, "
            f"{result['wait_share']:.1%} of the time waiting for data (at most {max_wait_share:.0%} is good)",
        ]
    return "\n".join(lines)


def main() -> int:
    arguments = parse_arguments()
    try:
        with translated_errors():
            result = measure(arguments)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(report(result, max_wait_share=arguments.max_wait_share) + "\n")
    if arguments.json:
        write_json(arguments.json, result)
    return int(result.get("wait_share", 0.0) > arguments.max_wait_share)


if __name__ == "__main__":
    raise SystemExit(main())
