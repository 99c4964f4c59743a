"""Environments for what ours is compared with, and that isn't a dependency of this project."""

import argparse
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PeerEnvironment:
    """A virtual environment with these packages, from PyPI.

    Args:
        name: short, for the note that it is complete.
        packages: as pip takes them.
    """

    name: str
    packages: tuple[str, ...]

    def is_complete(self, folder: Path) -> bool:
        """Whether `make` has finished there."""
        return self._note(folder).exists()

    def ensure(self, folder: Path, parser: argparse.ArgumentParser) -> None:
        """Makes it where it isn't complete; the command ends, as for a wrong `--environment`, where that fails."""
        try:
            if not self.is_complete(folder):
                self.make(folder)
        except OSError as error:
            parser.error(f"`--environment` must be a folder that is new, or that this command made. {error}")
        except subprocess.CalledProcessError:
            parser.error(f"`--environment` could not be made: see what pip said above. Received: {folder}")

    def make(self, folder: Path) -> None:
        """Makes it, or finishes one that was interrupted.

        Raises:
            FileExistsError: the folder holds something else.
            subprocess.CalledProcessError: pip failed; it has said why.
        """
        if folder.exists() and not (folder / "pyvenv.cfg").exists() and any(folder.iterdir()):
            raise FileExistsError(f"{folder} holds something else than a virtual environment")
        venv.create(folder, with_pip=True, symlinks=True)
        # Its progress goes where ours does: stdout is for the table.
        command = [interpreter(folder), "-m", "pip", "install", "--quiet", *self.packages]
        subprocess.run(command, check=True, stdout=sys.stderr)
        self._note(folder).write_text("\n".join(self.packages) + "\n", encoding="utf-8")

    def _note(self, folder: Path) -> Path:
        return folder / f"{self.name}_installed.txt"


def interpreter(folder: Path) -> Path:
    """Its Python."""
    return folder / "bin" / "python"
