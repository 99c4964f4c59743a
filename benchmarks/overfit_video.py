"""A small 3D ResNet with GroupNorm learns real clips: proof that the whole path of videos works.

    python benchmarks/overfit_video.py DIR
    python benchmarks/overfit_video.py DIR --quick

DIR is a folder in Kinetics' form, whose training and validation clips are cut from the same scenes: this is no proof
of generalisation. resnet3d18 is trained from scratch by train.py and scored by evaluate.py, with ten clips a video, on
both splits; then its SavedModel, on the validation clips. Exits with 1 unless all training clips are right, all but one
of the validation clips, the SavedModel's scores are the run's, and all of it takes 15 minutes at most. Leaves the run
in `--output`. `--quick` is a trial of the command itself: two epochs, and no bounds but that the SavedModel agrees.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from checks import Check, report_checks

MINUTES = 15
_ROOT = Path(__file__).resolve().parents[1]
# Small frames and short clips: the clips are few, and two CPU cores slow.
SETTINGS = {
    "model": "resnet3d18",
    "norm": "gn",
    "dataset": "kinetics",
    "image-size": "56",
    "clip": "8x4",
    "batch-size": "7",
    "model-options": "dropout=0",  # no generalisation is asked for
    "epochs": "50",
    "optimizer": "adamw",
    "learning-rate": "5e-4",
    "learning-rate-batch": "none",
    "weight-decay": "0.05",
    "warmup": "5",
    "schedule": "cosine",
    "clip-norm": "1.0",
}
QUICK = {**SETTINGS, "image-size": "28", "epochs": "2", "warmup": "0"}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path, help="a data set in Kinetics' form")
    parser.add_argument("--output", type=Path, default=Path("runs/overfit_video"), help="run folder (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a trial of the command: its figures mean nothing")
    return parser.parse_args()


def run(script: str, *arguments: str) -> None:
    """Runs a command of the project, whose bar and results are shown.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    subprocess.run([sys.executable, str(_ROOT / script), *arguments], check=True)


def scores(folder: Path, data: Path, *, of: str, split: str) -> dict[str, float]:
    """What evaluate.py finds for the run, or for its SavedModel."""
    found = folder / f"scores-{of}-{split}"
    source = ["--run", str(folder)] if of == "run" else ["--saved-model", str(folder / "export")]
    run("evaluate.py", *source, "--data-dir", str(data), "--split", split, "--output", str(found))
    return json.loads((found / "metrics.json").read_text(encoding="utf-8"))


def main() -> int:
    arguments = parse_arguments()
    began = time.perf_counter()
    settings = QUICK if arguments.quick else SETTINGS
    options = [text for name, value in settings.items() for text in (f"--{name}", value)]
    folder, data = arguments.output, arguments.folder
    try:
        run("train.py", *options, "--data-dir", str(data), "--output", str(folder))
        training = {} if arguments.quick else scores(folder, data, of="run", split="train")
        validation = scores(folder, data, of="run", split="validation")
        served = scores(folder, data, of="saved-model", split="validation")
    except subprocess.CalledProcessError as error:
        return error.returncode
    minutes = (time.perf_counter() - began) / 60
    checks = [Check("SavedModel: difference of the loss", abs(served["loss"] - validation["loss"]), "at most", 1e-3)]
    if not arguments.quick:
        right = round(validation["accuracy"] * validation["examples"])
        checks += [
            Check("training accuracy", training["accuracy"], "at least", 1.0),
            Check(f"validation clips of {validation['examples']}", right, "at least", validation["examples"] - 1),
            Check("minutes", minutes, "at most", MINUTES),
        ]
    return report_checks(checks)


if __name__ == "__main__":
    raise SystemExit(main())
