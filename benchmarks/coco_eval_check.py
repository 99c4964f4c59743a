"""COCO's published check of an evaluator: 100 images' annotations and made-up results, whose AP is known.

    python benchmarks/coco_eval_check.py DIR

DIR holds instances_val2014_100.json (the annotations of the 100 images), the made-up results
instances_val2014_fake{bbox,segm}100_results.json, and the published numbers val2014_fake_eval_res.txt; results and
numbers are in github cocodataset/cocoapi, `results/`. Prints `zoo.metrics.coco_scores` beside the published numbers
and exits with 1 unless all twelve of boxes and all twelve of masks agree to the three decimals that were published.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from checks import Check, report_checks
from tables import aligned

from zoo.errors import UserError
from zoo.metrics.coco_ap import NUMBERS, Kind, coco_scores

PUBLISHED = "val2014_fake_eval_res.txt"
_COCOS_NAME: dict[Kind, str] = {"box": "bbox", "mask": "segm"}


def published_numbers(text: str, kind: Kind) -> dict[str, str]:
    """The twelve numbers of a kind, with the decimals that were printed."""
    section = re.search(rf"^type={_COCOS_NAME[kind]}$(.*?)(?:^type=|\Z)", text, re.MULTILINE | re.DOTALL)
    values = re.findall(r"= (-?\d\.\d{3})$", section[1], re.MULTILINE) if section else []
    if len(values) != len(NUMBERS):
        raise UserError(
            f"{PUBLISHED} must have {len(NUMBERS)} numbers for type={_COCOS_NAME[kind]}. Received: {len(values)}."
        )
    return dict(zip(NUMBERS, values, strict=True))


def read(folder: Path, name: str) -> str:
    path = folder / name
    if not path.is_file():
        raise UserError(f"`DIR` must hold {name}. Received: DIR={str(folder)!r}. See --help for where it comes from.")
    return path.read_text(encoding="utf-8")


def compare(folder: Path, kind: Kind, ground_truth: dict[str, Any]) -> Check:
    """Prints the numbers of a kind beside the published ones, and counts those that agree."""
    published = published_numbers(read(folder, PUBLISHED), kind)
    results = json.loads(read(folder, f"instances_val2014_fake{_COCOS_NAME[kind]}100_results.json"))
    numbers = coco_scores(ground_truth, results, kinds=[kind]).numbers[kind]
    rows = [[kind, "ours", "published"], *([name, f"{numbers[name]:.3f}", published[name]] for name in NUMBERS)]
    sys.stdout.write("\n" + "".join(f"{line}\n" for line in aligned(rows)))
    equal = sum(ours == theirs for _, ours, theirs in rows[1:])
    return Check(f"{kind}: numbers that agree to three decimals", equal, "at least", len(NUMBERS))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path, help="where COCO's annotations, results and numbers are")
    arguments = parser.parse_args()
    try:
        ground_truth = json.loads(read(arguments.folder, "instances_val2014_100.json"))
        return report_checks([compare(arguments.folder, kind, ground_truth) for kind in _COCOS_NAME])
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
