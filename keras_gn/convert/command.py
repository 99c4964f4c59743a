"""The command line of `python -m keras_gn.convert`."""

import argparse
import sys
import zipfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import keras

from keras_gn.convert.calibration_files import read_calibration_files
from keras_gn.convert.convert_bn_to_gn import convert_bn_to_gn
from keras_gn.convert.distill import distill
from keras_gn.convert.report import conversion_report
from keras_gn.files import atomic_path

FAILED = 2
INTERRUPTED = 130  # the shell's code for a program that Ctrl-C ended

_DESCRIPTION = """Replaces the BatchNormalization layers of a trained Keras model by GroupNormalization and keeps what
the model computes."""
_EXAMPLE = "example: python -m keras_gn.convert model.keras -o model_gn.keras --calibrate images/ --preprocess resnet50"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 0 if the converted model is written, 2 if something is refused."""
    arguments = _parser().parse_args(argv)
    try:
        _check(arguments)
        _run(arguments)
    except (ValueError, TypeError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m keras_gn.convert", description=_DESCRIPTION, epilog=_EXAMPLE, allow_abbrev=False
    )
    parser.add_argument("input", type=Path, help="the trained model, a .keras or .h5 file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .keras file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument(
        "--trusted",
        action="store_true",
        help="the input is from a source you trust: its Lambda layers may run the code that they hold",
    )
    norm = parser.add_argument_group("group normalization")
    norm.add_argument(
        "--groups", type=_groups, default="auto", metavar="N", help="auto (default: chosen for each layer), or a number"
    )
    norm.add_argument("--channels-per-group", type=int, metavar="N", help="instead of --groups, as 16")
    norm.add_argument(
        "--weights",
        default="statistics",
        metavar="NAME",
        help="gamma and beta: statistics (default; keeps what the model computes), copy or reset",
    )
    data = parser.add_argument_group("data, which brings the model nearer to what it was")
    data.add_argument(
        "--calibrate", type=Path, metavar="PATH", help="a folder of images, or an .npy or .npz file with inputs"
    )
    data.add_argument(
        "--preprocess",
        metavar="NAME",
        help="the module of keras.applications that prepares the images, as resnet50; without it, and without "
        "--rescale, their values are 0 to 255",
    )
    data.add_argument(
        "--rescale",
        type=_factor,
        metavar="X",
        help="a factor for the images' values, 0 to 255, as 1/255 for a model that takes 0 to 1",
    )
    data.add_argument(
        "--calibration-steps",
        type=int,
        metavar="STEPS",
        help="of training gamma and beta after least squares (default: 200), which takes longer; 0 for none",
    )
    data.add_argument("--distill", type=int, metavar="STEPS", help="training steps towards the former outputs")
    parser.add_argument("--report", type=Path, metavar="HTML", help="write the table as a page with bars")
    return parser


def _groups(text: str) -> str | int:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be auto or a whole number. Received: {text}") from None


def _factor(text: str) -> float:
    try:
        factor = float(Fraction(text))
    except (ValueError, ArithmeticError):
        factor = 0.0
    if factor <= 0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, as 1/255 or 0.5. Received: {text}")
    return factor


def _check(arguments: argparse.Namespace) -> None:
    """Refuses, before anything takes long, what can't end well.

    Raises:
        ValueError: Naming the option.
    """
    output, report = arguments.output, arguments.report
    if output.suffix != ".keras":
        raise ValueError(f"`output` must end in .keras. Received: output={output}")
    if output.exists() and arguments.input.exists() and output.samefile(arguments.input):
        raise ValueError(f"`output` must be another file than the input, which is kept. Received: output={output}")
    for name, path in (("output", output), ("report", report)):
        if path is not None and path.exists() and not arguments.overwrite:
            raise ValueError(f"`{name}` exists; choose another name, or add --overwrite. Received: {name}={path}")
    if report is not None and report.suffix not in {".html", ".htm"}:
        raise ValueError(f"`report` must end in .html. Received: report={report}")
    for name, path in (("output", output), ("report", report)):
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"`{name}` must be in a folder that exists. Received: {name}={path}")
    if arguments.distill is not None and arguments.distill < 1:
        raise ValueError(f"`distill` must be at least 1 step. Received: distill={arguments.distill}. Leave it out")
    for name in ("preprocess", "rescale", "calibration_steps", "distill"):
        if getattr(arguments, name) is not None and arguments.calibrate is None:
            raise ValueError(f"`{name}` needs data: add --calibrate PATH. Received: {name}={getattr(arguments, name)}")


def _run(arguments: argparse.Namespace) -> None:
    model = _load(arguments.input, trusted=arguments.trusted)
    data = None
    if arguments.calibrate is not None:
        data = read_calibration_files(
            arguments.calibrate, model, preprocess=arguments.preprocess, rescale=arguments.rescale
        )
    converted = convert_bn_to_gn(
        model,
        groups=arguments.groups,
        channels_per_group=arguments.channels_per_group,
        weights=arguments.weights,
        calibration_data=data,
        calibration_steps=200 if arguments.calibration_steps is None else arguments.calibration_steps,
        verbose=True,
    )
    report = conversion_report(converted)
    if not report.converted:
        raise ValueError(
            f"`input` has nothing to convert, and nothing is written. Received: {arguments.input}\n{report}"
        )
    if arguments.distill is not None:
        distill(model, converted, data, steps=arguments.distill, verbose=True)
        report = conversion_report(converted)
    with atomic_path(arguments.output) as temporary:
        converted.save(temporary)
    if arguments.report is not None:
        report.save_html(arguments.report)
    sys.stdout.write(f"{report}\n")


def _load(path: Path, *, trusted: bool) -> keras.Model:
    """The model in `path`, whatever is wrong with the file in one kind of error."""
    if path.is_dir():
        raise ValueError(
            "`input` must be a .keras or .h5 file. A SavedModel holds graphs, without the layers that would be "
            f"converted. Received: input={path}, a folder"
        )
    if path.suffix not in {".keras", ".h5"} or not path.is_file():
        raise ValueError(f"`input` must be a .keras or .h5 file that exists. Received: input={path}")
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ValueError(f"`input` must be a whole file that Keras wrote. Received: input={path}")
    try:
        return keras.models.load_model(path, safe_mode=not trusted)
    except (ValueError, TypeError, OSError, KeyError, ImportError, zipfile.BadZipFile) as error:
        raise ValueError(f"`input` can't be read: {error} Received: input={path}") from error
