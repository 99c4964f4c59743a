"""The options that make up a TrainConfig, as command-line arguments."""

import argparse
import json
from typing import Any

import zoo
from zoo.data import DETECTION_CATALOG, VIDEO_CATALOG, list_datasets
from zoo.models.norms import NORM_NAMES
from zoo.training import config


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds an option for every field of TrainConfig; what isn't given stays out of the namespace, so that
    the recipe decides.
    """
    for title, options in {**_model(), **_data(), **_length(), **_how_to_train()}.items():
        group = parser.add_argument_group(title)
        for name, settings in options.items():
            flag = "--" + name.replace("_", "-")
            if "action" not in settings:
                settings = {"metavar": "NAME", **settings}
            group.add_argument(flag, dest=f"config.{name}", default=argparse.SUPPRESS, **settings)


def config_overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of TrainConfig that the command line gave."""
    prefix = "config."
    given = {name.removeprefix(prefix): value for name, value in vars(arguments).items() if prefix in name}
    if "milestones" in given:
        given["milestones"] = tuple(given["milestones"].split(","))
    if "model_options" in given:
        given["model_options"] = dict(given["model_options"])
    return given


_Groups = dict[str, dict[str, dict[str, Any]]]


def _model() -> _Groups:
    return {
        "model": {
            "model": {"help": "; ".join(", ".join(zoo.list_models(task)) for task in zoo.TASKS)},
            "norm": {
                "help": f"{', '.join(NORM_NAMES)}; each with +ws for standardized weights; with "
                "arguments as gn:groups=16, gn+ws:channels_per_group=16"
            },
            "initial_weights": {
                "metavar": "FILE",
                "help": "start from a .weights.h5 or .keras file, of any number of classes; a detector also from its "
                "backbone's classifier, a model for videos from one for images",
            },
            "model_options": {
                "type": _option,
                "nargs": "+",
                "metavar": "NAME=VALUE",
                "help": "of the model, as stem=small, or box_norm=gn head=2fc masks=false of a detector",
            },
            "freeze": {
                "type": int,
                "metavar": "STAGES",
                "help": "leave the stem (1) and the stages up to the 2nd, ... 5th (2, ... 5) as they are",
            },
        },
    }


def _data() -> _Groups:
    return {
        "data": {
            "dataset": {"help": ", ".join([*list_datasets(), *DETECTION_CATALOG, *VIDEO_CATALOG])},
            "data_dir": {"metavar": "DIR", "help": "where the data lies"},
            "image_size": {
                "type": int,
                "metavar": "PIXELS",
                "help": "side of the square that the model sees",
            },
            "max_objects": {
                "type": _optional(int),
                "metavar": "N",
                "help": "of an image, in training of detection; none: as many as there are",
            },
            "clip": {"metavar": "FRAMESxSTRIDE", "help": "of videos, as 32x2, 64x1 or 8x8"},
            "clip_rate": {
                "type": _optional(float),
                "metavar": "X",
                "help": "frames a second that videos are taken to have; none: each its own",
            },
            "views": {"metavar": "CLIPSxCROPS", "help": "of a video in evaluation, as 10x1 or 10x3"},
            "validation_fraction": {
                "type": float,
                "metavar": "SHARE",
                "help": "held out of the training images",
            },
            "augmentation": {
                "help": "of training images: the data set's by default; large_scale_jitter, flip or none for detection"
            },
            "on_corrupt": {"help": "a corrupt image: refuse (stop and name it) or skip (leave it out)"},
        },
    }


def _length() -> _Groups:
    return {
        "length": {
            "batch_size": {"type": int, "metavar": "N", "help": "images a batch, of all replicas together"},
            "epochs": {"type": int, "metavar": "N", "help": "passes over the training images"},
            "steps": {"type": int, "metavar": "N", "help": "optimizer steps, instead of epochs"},
            "patience": {
                "type": _optional(int),
                "metavar": "N",
                "help": "end after N epochs without a better validation",
            },
            "seed": {"type": int, "metavar": "N", "help": "decides every random number"},
        },
    }


def _how_to_train() -> _Groups:
    return {
        "optimization": {
            "optimizer": {"help": ", ".join(config.OPTIMIZERS)},
            "learning_rate": {
                "type": float,
                "metavar": "X",
                "help": "at --learning-rate-batch images a step",
            },
            "learning_rate_batch": {
                "type": _optional(int),
                "metavar": "N",
                "help": "scale the learning rate linearly with the batch, from N images; none: don't scale",
            },
            "momentum": {"type": float, "metavar": "X", "help": "of sgd"},
            "weight_decay": {
                "type": float,
                "metavar": "X",
                "help": "sgd: part of the gradient; adamw: decoupled",
            },
            "decay_norm": {"action": argparse.BooleanOptionalAction, "help": "decay gamma and beta as well"},
            "schedule": {"help": ", ".join(config.SCHEDULES)},
            "warmup": {"metavar": "DURATION", "help": "linear warm-up, as 5 (epochs), 500steps or 10%% (of the run)"},
            "milestones": {
                "metavar": "DURATIONS",
                "help": "of schedule step, as 30,60,90 (epochs), 500steps,800steps or 67%%,89%% (of the run)",
            },
            "label_smoothing": {"type": float, "metavar": "X", "help": "share spread over all classes"},
            "clip_norm": {"type": _optional(float), "metavar": "X", "help": "largest norm of the gradient"},
            "accumulate": {"type": int, "metavar": "N", "help": "batches whose gradients make one step"},
            "ema": {
                "type": _optional(float),
                "metavar": "X",
                "help": "validate and keep an exponential moving average of the weights, as 0.999",
            },
        },
        "machine": {
            "strategy": {"help": ", ".join(config.STRATEGIES)},
            "precision": {"help": ", ".join(config.PRECISIONS)},
            "jit": {"help": f"compile the step with XLA: {', '.join(config.JIT_CHOICES)}"},
        },
    }


def _option(text: str) -> tuple[str, Any]:
    """NAME=VALUE; a value that is JSON (a number, true, false, null) is taken as that."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, received {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _optional(kind: type) -> Any:
    def parse(value: str) -> Any:
        return None if value.lower() == "none" else kind(value)

    parse.__name__ = f"{kind.__name__} or none"  # argparse names the type in its message
    return parse
