"""Chosen frames of a file are those that decoding all of it gives, and no file hangs or kills the reading."""

import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from zoo.data import video_decode
from zoo.data.video_decode import VideoError, open_video

KEY_FRAME_EVERY_12 = {"g": "12", "keyint_min": "12", "bf": "3"}


def decode_all(path: Path) -> np.ndarray:
    """Every frame as the decoder gives it, not upright."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def read(path: Path, wanted, **settings) -> np.ndarray:
    with open_video(path) as video:
        return video.read(np.asarray(wanted), **settings)


def some_wanted(count: int) -> list[np.ndarray]:
    """Clips, single frames, and frames in any order."""
    generator = np.random.default_rng(0)
    clips = [generator.integers(0, count) + np.arange(6) * stride for stride in (1, 2, 8)]
    return [
        *(clip[clip < count] for clip in clips),
        np.array([count - 1]),
        np.array([0]),
        generator.integers(0, count, 9),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "extra/arm_wrestling.mp4",
        "extra/apply_eye_makeup.avi",
        "extra/archery.avi",
        "extra/clean_and_jerk.mp4",
        "extra/flipping_pancake.mkv",
        "train/arm_wrestling_000008_000010.mp4",
    ],
)
def test_frames_are_those_of_the_whole_file(shared_data, name):
    path = shared_data / "kinetics_like" / name
    everything = decode_all(path)
    with open_video(path) as video:
        assert len(video.index) == len(everything)
        assert (np.diff(video.index.times) > 0).all()
        for wanted in some_wanted(len(everything)):
            np.testing.assert_array_equal(video.read(wanted), everything[wanted])


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", KEY_FRAME_EVERY_12),
        ("a.mp4", "libx264", KEY_FRAME_EVERY_12 | {"x264-params": "open-gop=1:b-pyramid=normal"}),
        ("a.mkv", "libx265", {"x265-params": "keyint=12:min-keyint=12:open-gop=1:log-level=none"}),
        ("a.ts", "libx264", KEY_FRAME_EVERY_12),
        ("a.flv", "libx264", KEY_FRAME_EVERY_12),
        ("a.webm", "libvpx-vp9", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "8"}),
        ("a.mp4", "libsvtav1", {"preset": "12", "svtav1-params": "keyint=12"}),
        ("a.avi", "libx264", KEY_FRAME_EVERY_12),
        ("a.avi", "mpeg4", {"g": "12", "bf": "2"}),
        ("a.avi", "mpeg4", {"g": "12", "bf": "0"}),
        ("a.mpg", "mpeg2video", {"g": "12", "bf": "2"}),
        ("a.avi", "mjpeg", {}),
    ],
)
def test_forms_and_codecs(write_video, numbers_of, name, codec, options):
    path = write_video(name, frames=60, codec=codec, options=options)
    with open_video(path) as video:
        assert len(video.index) == 60
        for wanted in some_wanted(60):
            assert numbers_of(video.read(wanted)) == list(wanted)


def test_pictures_that_are_renewed_piece_by_piece(write_video, numbers_of):
    """Decoding that begins with such a "key frame" gives nothing until all pieces are there."""
    options = {"x264-params": "intra-refresh=1:keyint=20:bframes=0"}
    path = write_video("a.mp4", frames=60, size=(96, 320), options=options)
    with open_video(path) as video:
        assert len(video.index.key_stamps) > 1
        for number in range(60):
            assert numbers_of(video.read([number])) == [number]


def test_only_what_is_needed_is_decoded(write_video, numbers_of):
    regular = KEY_FRAME_EVERY_12 | {"x264-params": "b-adapt=0:b-pyramid=none:scenecut=0"}
    path = write_video("a.mp4", frames=240, options=regular)
    with open_video(path) as video:
        assert numbers_of(video.read([200, 202])) == [200, 202]
        assert video.decoded == 4, "the key frame 192, 196 and 200, which depend on each other, and 202"
        assert numbers_of(video.read([3, 239])) == [3, 239]
        assert video.decoded < 15, "what lies between two distant frames is jumped over"
        assert numbers_of(video.read(np.arange(240))) == list(range(240))
        assert video.decoded < 255


def test_frames_may_be_wanted_in_any_order_and_several_times(write_video, numbers_of):
    path = write_video("a.mp4", frames=20)
    assert numbers_of(read(path, [7, 2, 7, 19, 2])) == [7, 2, 7, 19, 2]
    for wrong in ([-1], [20]):
        with pytest.raises(ValueError, match=r"`wanted` must be in 0 to 19\. Received: "):
            read(path, wrong)


@pytest.mark.parametrize(("size", "expected"), [((48, 64), (24, 32)), ((64, 48), (32, 24)), ((48, 70), (24, 35))])
def test_the_shorter_side_is_resized(write_video, numbers_of, size, expected):
    path = write_video("a.mp4", frames=5, size=size)
    small = read(path, [3, 4], shorter_side=24)
    assert small.shape == (2, *expected, 3)
    assert numbers_of(small) == [3, 4]
    assert read(path, [0], shorter_side=100).shape[1:] == (100 * size[0] // min(size), 100 * size[1] // min(size), 3)


@pytest.mark.parametrize("name", ["kinetics_like/extra/archery.avi", "video_decode_cases/video_0.mov"])
@pytest.mark.parametrize("shorter_side", [100, 300, 360])
def test_resizing_keeps_colours_and_places(shared_data, name, shorter_side):
    """Beside Pillow's bilinear, antialiased resizing of the frame as it is; shifted by a pixel it differs more."""
    path = shared_data / name
    native, small = read(path, [1])[0], read(path, [1], shorter_side=shorter_side)[0]
    reference = np.asarray(Image.fromarray(native).resize(small.shape[1::-1], Image.Resampling.BILINEAR), float)
    difference = abs(small - reference)
    assert difference.mean() < 2.5
    assert abs((small - reference).mean((0, 1))).max() < 0.5
    for axis in (0, 1):
        assert abs(np.roll(small, 1, axis) - reference).mean() > 1.5 * difference.mean()


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, -1), (180, 2), (270, 1)])
def test_real_rotated_videos_become_upright(shared_data, degrees, turns):
    path = shared_data / "video_decode_cases" / f"video_{degrees}.mov"
    upright = np.rot90(decode_all(path), turns, axes=(1, 2))
    np.testing.assert_array_equal(read(path, [0, 1, 2]), upright)
    assert upright.shape == ((3, 568, 320, 3) if degrees % 180 else (3, 320, 568, 3))
    small = read(path, [1], shorter_side=160)
    assert small.shape == ((1, 284, 160, 3) if degrees % 180 else (1, 160, 284, 3))
    assert abs(small[0].astype(float) - upright[1, ::2, ::2]).mean() < 8


@pytest.mark.parametrize(
    ("rotation", "upright"),
    [
        ({"degrees": 90.0}, lambda picture: np.rot90(picture)),  # FFmpeg's angle is counterclockwise.
        ({"degrees": 0.0, "hflip": True}, lambda picture: picture[:, ::-1]),
        ({"degrees": 0.0, "vflip": True}, lambda picture: picture[::-1]),
        ({"degrees": 180.0, "hflip": True}, lambda picture: picture[::-1]),
    ],
)
def test_turned_and_mirrored_videos(write_video, rotation, upright):
    path = write_video("a.mp4", frames=4, rotation=rotation)
    np.testing.assert_array_equal(read(path, [2])[0], upright(decode_all(path)[2]))


def test_unordered_packets(shared_data):
    """All of its frames are white: that packets in another order are put right is tested in `test_forms_and_codecs`."""
    path = shared_data / "video_decode_cases" / "unordered.mov"
    everything = decode_all(path)
    with open_video(path) as video:
        np.testing.assert_allclose(video.index.times, np.arange(4) / 32, atol=1e-6)
        assert list(video.index.places) == [0, 2, 3, 1], "the file has the last frame second"
        np.testing.assert_array_equal(video.read(np.arange(4)), everything)


def test_a_corrupted_file_is_an_error_where_it_is_damaged(shared_data):
    path = shared_data / "video_decode_cases" / "corrupted.mp4"
    with open_video(path) as video:
        assert len(video.index) == 50
        with pytest.raises(VideoError, match=r"^invalid data found when processing input$"):
            video.read(np.arange(50), shorter_side=64)
        assert video.read(np.arange(8), shorter_side=64).shape == (8, 64, 113, 3)


def test_stamps_that_avi_lacks_are_not_believed(shared_data):
    """Their order is not that in which the frames were filmed: motion is smoother in the decoder's."""
    path = shared_data / "kinetics_like" / "extra" / "apply_eye_makeup.avi"
    with open_video(path) as video:
        assert video.index.stamps is None
        frames = video.read(np.arange(60)).astype(float)
    with av.open(str(path)) as container:
        stamps = [frame.pts for frame in container.decode(video=0)][:60]

    def roughness(order) -> float:
        return float(np.mean([abs(frames[one] - frames[next_one]).mean() for one, next_one in pairwise(order)]))

    assert roughness(np.arange(60)) < 0.8 * roughness(np.argsort(stamps))


def test_missing_stamps(write_video, numbers_of, tmp_path):
    path = write_video("a.h264", frames=30)
    with av.open(str(path)) as container:
        assert all(packet.pts is None for packet in container.demux(video=0))
    with open_video(path) as video:
        assert len(video.index) == 30
        np.testing.assert_allclose(np.diff(video.index.times), 1 / 25)
        assert numbers_of(video.read([29, 5, 17])) == [29, 5, 17]
        assert numbers_of(video.read([1, 2])) == [1, 2], "a second time, from the beginning again"


def test_stamps_that_mislead(write_video, numbers_of, monkeypatch):
    """Frames that come in another order than their stamps are counted instead."""
    path = write_video("a.mp4", frames=30)
    with open_video(path) as video:
        index = video.index
        swapped = index.stamps.copy()
        swapped[[10, 11]] = swapped[[11, 10]]
        object.__setattr__(index, "stamps", swapped)
        assert numbers_of(video.read([9, 10, 11, 12])) == [9, 10, 11, 12]
        assert video.decoded > 13


def test_variable_frame_rate(write_video, numbers_of):
    stamps = [0, 40, 80, 500, 520, 540, 1000, 1400, 1440, 1460]
    for name in ("a.mp4", "a.mkv"):
        with open_video(write_video(name, frames=10, stamps=stamps, options={"bf": "2"})) as video:
            np.testing.assert_allclose(video.index.times, np.array(stamps) / 1000, atol=1e-3)
            assert numbers_of(video.read([1, 3, 6, 8])) == [1, 3, 6, 8]


def test_frames_that_an_edit_list_hides(write_video, numbers_of, tmp_path):
    """A cut without encoding begins with the key frame before it, which isn't shown."""
    path = tmp_path / "cut.mp4"
    options = {"avoid_negative_ts": "disabled", "use_editlist": "1"}
    with av.open(str(write_video("a.mp4"))) as whole, av.open(str(path), "w", options=options) as cut:
        source = whole.streams.video[0]
        target = cut.add_stream_from_template(source)
        for packet in whole.demux(source):
            if packet.size:
                packet.pts, packet.dts = (stamp - int(5 / 25 / source.time_base) for stamp in (packet.pts, packet.dts))
                packet.stream = target
                cut.mux(packet)
    with open_video(path) as video:
        assert len(video.index) == 35
        assert video.index.times[0] == 0
        assert numbers_of(video.read([0, 3, 20, 34])) == [5, 8, 25, 39]


def test_a_video_cut_off_ends_with_its_last_frame(write_video, numbers_of):
    whole = write_video("a.ts", frames=60)
    path = whole.with_name("cut.ts")
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with open_video(path) as video:
        count = len(video.index)
        assert 20 < count < 60
        numbers = numbers_of(video.read(np.arange(count)))
    assert numbers[:20] == list(range(20))
    assert numbers == sorted(numbers)


def sound(path: Path, *, picture: bool = False) -> Path:
    """A file of sound, with a picture for its cover."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        stream.codec_context.layout = "mono"
        cover = container.add_stream("mjpeg", rate=1) if picture else None
        if cover is not None:
            cover.width = cover.height = 16
            cover.pix_fmt, cover.disposition = "yuvj420p", av.stream.Disposition.attached_pic
            container.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
            container.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("picture", [False, True])
def test_sound_alone_is_no_video(tmp_path, picture):
    path = sound(tmp_path / "a.mp4", picture=picture)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == picture
    with pytest.raises(VideoError, match=r"^it has no video$"), open_video(path):
        pass


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"", "invalid data found when processing input"),
        (b"no video" * 999, "invalid data found when processing input"),
    ],
)
def test_files_that_are_no_videos(tmp_path, content, reason):
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=rf"^{reason}$"), open_video(path):
        pass


def test_a_codec_that_nobody_knows(write_video):
    path = write_video("a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"none"))
    with pytest.raises(VideoError, match=r"^FFmpeg doesn't know its codec$"), open_video(path):
        pass


def test_frames_too_narrow_to_be_resized(write_video, monkeypatch):
    monkeypatch.setattr(video_decode, "_LARGEST", 48 * 320)
    path = write_video("a.mp4", frames=3, size=(16, 160))
    assert read(path, [0], shorter_side=32).shape == (1, 32, 320, 3)
    with pytest.raises(VideoError, match="its frames of 160 x 16 pixels are too narrow"):
        read(path, [0], shorter_side=64)


def test_errors_of_pyav_itself_are_the_files(write_video, monkeypatch):
    """Such as the IndexError of a damaged MPEG transport stream in whose middle another stream appears."""
    monkeypatch.setattr(video_decode, "index_packets", lambda packets, **_: [][0])
    with (
        pytest.raises(VideoError, match=r"^it is damaged \(list index out of range\)$"),
        open_video(write_video("a.mp4")),
    ):
        pass


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    for path in (tmp_path, tmp_path / "a.mp4"):
        with pytest.raises(VideoError, match=r"^it is no file$"), open_video(path):
            pass


def test_time_is_bounded(write_video, monkeypatch):
    path = write_video("a.mp4")
    with open_video(path, time_limit=100.0) as video:
        now = video_decode.time.monotonic()
        monkeypatch.setattr(video_decode.time, "monotonic", lambda: now + 101.0)
        with pytest.raises(VideoError, match=r"^it takes longer than 100 s$"):
            video.read([3])


def test_a_frame_too_large_for_any_video(write_video, monkeypatch):
    monkeypatch.setattr(video_decode, "_LARGEST", 1000)
    with pytest.raises(VideoError), open_video(write_video("a.mp4")) as video:
        video.read([3])


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", range(12))
def test_damaged_bytes_give_frames_or_an_error(write_video, seed):
    path = write_video("a.mp4", frames=24)
    content = bytearray(path.read_bytes())
    generator = np.random.default_rng(seed)
    for place in generator.integers(0, len(content), 1 + seed % 6):
        content[place] = generator.integers(256)
    path.write_bytes(content)
    with suppress(VideoError), open_video(path) as video:
        assert min(video.read(np.arange(0, len(video.index), 2), shorter_side=24).shape[1:3]) == 24
