"""Makes the environment that TensorFlow Model Garden needs, which is not ours.

    python benchmarks/model_garden_environment.py DIR

It installs tf-models-official 2.20 and with it TensorFlow 2.20 and Keras of TensorFlow 2 (tf_keras) from PyPI into DIR:
3.3 GB, some minutes.
"""

import argparse
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = ("tf-models-official==2.20.0",)
_COMPLETE = "model_garden_installed.txt"


def is_complete(folder: Path) -> bool:
    """Whether `make_environment` has finished there."""
    return (folder / _COMPLETE).exists()


def interpreter(folder: Path) -> Path:
    """Its Python."""
    return folder / "bin" / "python"


def make_environment(folder: Path) -> None:
    """Makes it, or finishes one that was interrupted.

    Raises:
        FileExistsError: the folder holds something else.
        subprocess.CalledProcessError: pip failed; it has said why.
    """
    if folder.exists() and not (folder / "pyvenv.cfg").exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} holds something else than a virtual environment")
    venv.create(folder, with_pip=True, symlinks=True)
    # Its progress goes where ours does: stdout is for the table.
    subprocess.run([interpreter(folder), "-m", "pip", "install", "--quiet", *PACKAGES], check=True, stdout=sys.stderr)
    (folder / _COMPLETE).write_text("\n".join(PACKAGES) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder = parser.parse_args().folder
    try:
        make_environment(folder)
    except FileExistsError as error:
        parser.error(f"`DIR` must be new or empty. {error}")
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
