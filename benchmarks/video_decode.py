"""Clips a second of our video decoder, beside PyAV alone, OpenCV and decord.

    python benchmarks/video_decode.py DIR --environment DIR [--json FILE]
    python benchmarks/video_decode.py DIR --readers "PyAV, all frames"

Reads random clips, 8x8 and 32x2, of every video in DIR and below, as stored and with a shorter side of 288 pixels, with
each reader in a process of its own, in turn. All readers use one thread a video, and read as many videos at a time as
there are CPUs, as training does. Prints clips/s, and exits with 1 where ours is slower than the fastest of the others,
or where a frame of ours isn't that of decoding the whole file; with 2 where the command is wrong.

OpenCV (opencv-python-headless) and decord have an environment of their own in --environment, made where there is none
from PyPI.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from checks import report_checks
from machine import describe_machine
from peer_environment import PeerEnvironment, interpreter
from video_decode_measurements import OURS, REFERENCE, find_videos, measure, our_python
from video_decode_report import decode_checks, decode_table
from worker import WorkerError

from zoo.files import write_json

PEERS = PeerEnvironment("video_readers", ("opencv-python-headless==5.0.0.93", "decord==0.6.0", "numpy>=2"))
_OTHERS = ("OpenCV", "decord")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="videos, in any folders")
    parser.add_argument("--environment", type=Path, metavar="DIR", help="OpenCV's and decord's; made if absent")
    parser.add_argument("--readers", nargs="+", choices=(REFERENCE, *_OTHERS), help="compare with these only")
    parser.add_argument("--rounds", type=int, default=9, help="timed passes of each (default 9)")
    parser.add_argument("--clips", type=int, default=2, help="of every video (default 2)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.clips < 1:
        parser.error(f"`--rounds` and `--clips` must be 1 or more. Received: {arguments.rounds}, {arguments.clips}")
    arguments.readers = [OURS, REFERENCE, *(name for name in _OTHERS if name in (arguments.readers or _OTHERS))]
    if len(arguments.readers) > 2:
        if arguments.environment is None:
            parser.error(f"`--environment` is where {' and '.join(_OTHERS)} are; or leave them out with --readers.")
        PEERS.ensure(arguments.environment, parser)
    arguments.videos = find_videos(arguments.folder)
    if not arguments.videos:
        parser.error(f"`DIR` must hold videos. Received: none in {arguments.folder}")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    pythons = {
        name: interpreter(arguments.environment) if name in _OTHERS else our_python() for name in arguments.readers
    }
    try:
        figures = measure(arguments.videos, pythons, rounds=arguments.rounds, per_video=arguments.clips)
    except WorkerError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(decode_table(figures))
    checks = decode_checks(figures)
    status = report_checks(checks)
    if arguments.json:
        content = {
            "machine": describe_machine(),
            "others": PEERS.packages,
            "videos": len(arguments.videos),
            "figures": [asdict(each) for each in figures],
            "checks": [check.as_json() for check in checks],
        }
        write_json(arguments.json, content)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
