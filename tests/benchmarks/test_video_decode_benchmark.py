"""The benchmark of the video decoder: its parts that need no other package, ours beside a plain loop of PyAV."""

import json

import av
import numpy as np
import pytest
from checks import report_checks
from video_decode_measurements import CASES, OURS, REFERENCE, Case, Figures, choose_clips, find_videos
from video_decode_report import decode_checks, decode_table


def made_up(*, ours: float = 1.0, differences: tuple[float, ...] = (0.0, 1.3)) -> list[Figures]:
    """The others take 1.2 s a pass, and 2 s; one round has a hiccup."""
    seconds = {OURS: ours, REFERENCE: 2.0, "OpenCV": 1.2}
    return [
        Figures(name, case, 12, [9.0, time, time], list(differences) if name == OURS else [0.0, 99.0])
        for case in CASES
        for name, time in seconds.items()
    ]


@pytest.mark.parametrize(
    ("figures", "holds"),
    [({}, [True, True]), ({"ours": 1.21}, [False, True]), ({"differences": (0.0, 3.1)}, [True, False])],
)
def test_checks(figures, holds, capsys):
    checks = decode_checks(made_up(**figures))
    assert [check.holds for check in checks] == holds * len(CASES)
    assert report_checks(checks) == int(not all(holds))
    assert "8x8, as stored: our speed by the fastest" in capsys.readouterr().out
    assert checks[0].note == "OpenCV"


def test_table():
    lines = decode_table(made_up()).splitlines()
    assert len(lines) == 2 + 4 * len(CASES)
    assert lines[3].split() == ["keras_gn", "12.0", "6.7", "to", "12.0", "1.00", "2", "0", "0.65"]
    assert lines[5].split()[-4:] == ["1.20", "2", "1", "49.50"]


@pytest.fixture
def videos(tmp_path):
    """Two short videos of noise that moves, in folders."""
    for name, frames in (("a/x.mp4", 30), ("b.avi", 12)):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).integers(0, 256, (8, 40, 3), np.uint8)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(frames):
                picture = np.kron(noise[:6, number : number + 8], np.ones((8, 8, 1), np.uint8))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            container.mux(stream.encode(None))
    (tmp_path / "videos" / "notes.txt").touch()
    return tmp_path / "videos"


def test_clips_are_the_same_for_all_readers(videos):
    paths = find_videos(videos)
    assert [path.name for path in paths] == ["x.mp4", "b.avi"]
    clips = choose_clips(paths, Case("8x2", 24), per_video=2)
    assert clips == choose_clips(paths, Case("8x2", 24), per_video=2)
    assert [(path, len(numbers), size) for path, numbers, size in clips] == [
        *[(str(paths[0]), 8, [24, 32])] * 2,
        *[(str(paths[1]), 6, [24, 32])] * 2,  # A video that is shorter than a clip.
    ]
    assert choose_clips(paths, Case("8x2", None), per_video=1)[0][2] is None


@pytest.mark.timeout(300)
def test_a_small_run(videos, command, tmp_path, capsys):
    """Speed is not judged here: the videos are too small."""
    path = tmp_path / "figures.json"
    arguments = ["--readers", REFERENCE, "--rounds", "2", "--clips", "1", "--json", str(path)]
    assert command("video_decode.py", str(videos), *arguments) in (0, 1)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["videos"] == 2
    assert [(each["reader"], len(each["seconds"])) for each in content["figures"]] == [(OURS, 2), (REFERENCE, 2)] * 4
    assert all(min(each["seconds"]) > 0 for each in content["figures"])
    frames = [check for check in content["checks"] if "others" in check["name"]]
    assert len(frames) == 4
    assert all(check["ok"] for check in frames)
    for case, found in zip(CASES, zip(content["figures"][::2], content["figures"][1::2], strict=True), strict=True):
        assert max(found[1]["differences"]) == 0
        assert (max(found[0]["differences"]) == 0) == (case.shorter_side is None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "`--environment` is where OpenCV and decord are"),
        (("--readers", REFERENCE, "--rounds", "0"), "must be 1 or more"),
        (("--readers", "ffms2"), "invalid choice"),
    ],
)
def test_bad_arguments_end_with_2(command, videos, arguments, message, capsys):
    assert command("video_decode.py", str(videos), *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_reader_that_fails_ends_with_2(command, videos, tmp_path, capsys):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to("/bin/false")
    (tmp_path / "video_readers_installed.txt").touch()
    assert command("video_decode.py", str(videos), "--readers", "OpenCV", "--environment", str(tmp_path)) == 2
    assert "error: A worker ended with status 1" in capsys.readouterr().err


def test_a_folder_without_videos_ends_with_2(command, tmp_path, capsys):
    assert command("video_decode.py", str(tmp_path), "--readers", REFERENCE) == 2
    assert "`DIR` must hold videos" in capsys.readouterr().err
