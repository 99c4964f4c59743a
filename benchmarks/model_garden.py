"""Our Mask R-CNN R50-FPN beside that of TensorFlow Model Garden, on a CPU: inference and training.

    python benchmarks/model_garden.py --environment DIR --json FILE
    python benchmarks/model_garden.py --environment DIR --rounds 1

Model Garden (tf-models-official) has an environment of its own in DIR, made by model_garden_environment.py; where there
is none it is made first. Ours has Group Normalization in backbone, pyramid and heads, theirs is the experiment
maskrcnn_resnetfpn_coco as published, with batch normalization. Each side is a process of its own for each case, and
they take one step each in turn. Prints times, images/s and peak memory beyond the imports, and exits with 1 if ours is
not 1.2 times as fast or needs more memory; with 2 where the command is wrong or a process fails.

Both: 512 pixels, float32, no XLA, 90 classes, box head of four convolutions and one fully connected layer, mask head of
four convolutions, 1000 proposals of 2000 (training) or 1000 a level, 512 regions and 128 masks in training, 100
detections, weight decay 4e-5, SGD with momentum; 8 objects an image in 100 slots, masks of 112 x 112. Set to Model
Garden's number on our side: one sample a cell in ROIAlign (ours is 2 x 2), and the losses' smooth L1. Left as they are:
theirs looks at the 5000 best regions of each class before suppression, ours at the 2000 best pairs of region and class;
theirs finds the anchors' targets in its input pipeline, whose time is not counted, ours in the step.
"""

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path

from checks import report_checks
from machine import describe_machine
from model_garden_cases import CASES, FULL, Scale
from model_garden_environment import MODEL_GARDEN, PACKAGES
from model_garden_measurements import OURS, Side, measure
from model_garden_report import garden_checks, garden_table
from peer_environment import interpreter
from worker import WorkerError

from zoo.files import write_json


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environment", type=Path, required=True, metavar="DIR", help="Model Garden's; made if absent")
    parser.add_argument("--rounds", type=int, default=FULL.rounds, help=f"samples of each (default {FULL.rounds})")
    parser.add_argument("--work", choices=("inference", "training"), help="only this")
    parser.add_argument("--batch-size", type=int, choices=(1, 2), help="only this")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"`--rounds` must be 1 or more. Received: {arguments.rounds}")
    MODEL_GARDEN.ensure(arguments.environment, parser)
    return arguments


def chosen_scale(arguments: argparse.Namespace) -> Scale:
    wanted = (arguments.work, arguments.batch_size)
    cases = [case for case in CASES if wanted[0] in (None, case.work) and wanted[1] in (None, case.batch_size)]
    return replace(FULL, rounds=arguments.rounds, cases=tuple(cases))


def main() -> int:
    arguments = parse_arguments()
    scale = chosen_scale(arguments)
    theirs = Side("Model Garden, BN", "model_garden_peer.py", interpreter(arguments.environment))
    try:
        figures = measure(scale, (OURS, theirs))
    except WorkerError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(garden_table(figures))
    checks = garden_checks(figures)
    status = report_checks(checks)
    if arguments.json:
        content = {
            "machine": describe_machine(),
            "theirs": PACKAGES,
            "scale": asdict(scale),
            "figures": [asdict(each) for each in figures],
            "checks": [check.as_json() for check in checks],
        }
        write_json(arguments.json, content)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
