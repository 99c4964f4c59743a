"""Makes the environment that TensorFlow Model Garden needs, which is not ours.

    python benchmarks/model_garden_environment.py DIR

It installs tf-models-official 2.20 and with it TensorFlow 2.20 and Keras of TensorFlow 2 (tf_keras) from PyPI into DIR:
3.3 GB, some minutes.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from peer_environment import PeerEnvironment

PACKAGES = ("tf-models-official==2.20.0",)
MODEL_GARDEN = PeerEnvironment("model_garden", PACKAGES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder = parser.parse_args().folder
    try:
        MODEL_GARDEN.make(folder)
    except FileExistsError as error:
        parser.error(f"`DIR` must be new or empty. {error}")
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
