"""Sequences: frames on demand, from files that are never read as a whole."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flir_files import JpegLsFrame, hcc_frame, jpeg_ls
from hypothesis import given, settings
from hypothesis import strategies as st
from other_maker_files import InfraTecFile

import isotherm
from isotherm.core.errors import DataError, FormatError, TooLargeError
from isotherm.formats import SEQUENCES, ReadHints, open_sequence, read_bytes
from isotherm.formats import jpeg_ls as jpeg_ls_reader
from isotherm.formats.cursor import Cursor
from isotherm.formats.frames import position_of
from isotherm.formats.mapped import MappedFile
from isotherm.testing.sequences import check_sequence_reader
from thermal_files import FlirFile, encoded, ramp

FRAMES = [replace(FlirFile(counts=ramp(low=17_000 + 500 * index)), seconds=1_600_000_000 + index) for index in range(3)]
SEQ = b"".join(frame.fff() for frame in FRAMES)
CSQ = b"".join(JpegLsFrame(counts=frame.counts, directory_order="<").fff() for frame in FRAMES)
HCC = b"".join(hcc_frame(ramp() + np.uint16(index), number=7 + 2 * index) for index in range(3))
IRB = InfraTecFile(positions=[ramp(), ramp(low=18_000)], sequence=True).data()
SAMPLES = [("flir", SEQ), ("flir", CSQ), ("telops", HCC), ("infratec", IRB)]


@pytest.fixture
def seq(tmp_path: Path) -> Path:
    path = tmp_path / "recording.bin"
    path.write_bytes(SEQ)
    return path


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=[f"{name}-{len(sample)}" for name, sample in SAMPLES])
def test_conformance(name: str, sample: bytes) -> None:
    check_sequence_reader(SEQUENCES.get(name), sample)


def test_every_row_has_been_checked() -> None:
    assert {name for name, _ in SAMPLES} == set(SEQUENCES.names())


@pytest.mark.parametrize("data", [SEQ, CSQ], ids=["seq", "csq"])
def test_frames_hold_what_was_recorded(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any name"
    path.write_bytes(data)
    with open_sequence(path) as sequence:
        assert len(sequence) == 3
        assert sequence.size == (12, 16)
        for index, frame in enumerate(FRAMES):
            np.testing.assert_array_equal(sequence.frame(index).counts, frame.counts)
        np.testing.assert_array_equal(sequence.frame(-1).counts, FRAMES[-1].counts)


def test_times_are_seconds_since_the_first_frame(seq: Path) -> None:
    with open_sequence(seq) as sequence:
        np.testing.assert_allclose(sequence.times_s, [0, 1, 2])
    timeless = b"".join(replace(frame, seconds=0).fff() for frame in FRAMES)
    with SEQUENCES.get("flir").open(timeless, ReadHints()) as sequence:
        assert sequence.times_s is None


def test_read_takes_the_frame_that_is_asked_for(seq: Path) -> None:
    for index in (0, 2, -1):
        thermogram = isotherm.read(seq, ReadHints(frame=index))
        np.testing.assert_array_equal(thermogram.counts, FRAMES[index].counts)
        assert f"frame {index % 3} of 3 is read, counted from 0 (choose with --frame)" in thermogram.notes
        assert thermogram.digest == read_bytes(SEQ, ReadHints(frame=index)).digest
    with pytest.raises(FormatError, match=r"recording.bin: there is no frame 3; the sequence has 3, numbered from 0"):
        isotherm.read(seq, ReadHints(frame=3))


def test_a_file_of_one_picture_says_that_it_has_no_other_frame() -> None:
    notes = read_bytes(encoded(np.zeros((8, 8), np.uint8), "PNG"), ReadHints(frame=3)).notes
    assert "frame 3 was asked for: this file holds one picture" in notes


def test_the_formula_reaches_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "far.seq"
    path.write_bytes(replace(FRAMES[0], distance_m=20.0).fff() * 2)
    half = open_sequence(path, ReadHints(formula="thermimage")).frame(1).celsius()
    assert 0.1 < (half - open_sequence(path).frame(1).celsius()).max() < 2


def test_the_magic_inside_pixels_starts_no_frame() -> None:
    pixels = np.frombuffer(b"FFF\0" * 96, np.uint16).reshape(12, 16)
    with SEQUENCES.get("flir").open(FlirFile(counts=pixels).fff() + SEQ, ReadHints()) as sequence:
        assert len(sequence) == 4
        np.testing.assert_array_equal(sequence.frame(0).counts, pixels)


def test_a_recording_that_stopped_early_keeps_its_whole_frames() -> None:
    for cut in (1, 300, len(FRAMES[2].fff()) - 10):
        with SEQUENCES.get("flir").open(SEQ[:-cut], ReadHints()) as sequence:
            # The camera data lie behind the pixels: one byte less of them is nothing that is used.
            assert len(sequence) == (3 if cut < 400 else 2)
            np.testing.assert_array_equal(sequence.frame(1).counts, FRAMES[1].counts)


def test_a_packed_frame_without_its_last_filling_bytes_is_whole() -> None:
    # Seen in a real CSQ file: the last record declares four bytes more than the file has.
    class Padded(JpegLsFrame):
        def raw_record(self) -> bytes:
            return super().raw_record() + bytes(6)

    whole = Padded().fff()
    raw_at = struct.unpack(">I", whole[76:80])[0]
    camera_at = struct.unpack(">I", whole[108:112])[0]
    # Camera data first, pixels last, as cameras write them.
    pixels, camera = whole[raw_at:camera_at], whole[camera_at:]
    table = bytearray(whole[:raw_at])
    struct.pack_into(">I", table, 108, raw_at)
    struct.pack_into(">I", table, 76, raw_at + len(camera))
    data = SEQ + (bytes(table) + camera + pixels)[:-4]
    with SEQUENCES.get("flir").open(data, ReadHints()) as sequence:
        assert len(sequence) == 4
        np.testing.assert_array_equal(sequence.frame(3).counts, ramp())
    with SEQUENCES.get("flir").open(data[:-20], ReadHints()) as sequence:
        assert len(sequence) == 3


def test_what_follows_the_last_frame_is_no_frame() -> None:
    for rest in (b"\0" * 500, b"FFF\0" + b"\0" * 500, b"FFF\0"):
        with SEQUENCES.get("flir").open(SEQ + rest, ReadHints()) as sequence:
            assert len(sequence) == 3


def test_a_damaged_frame_spoils_no_other() -> None:
    size = len(FRAMES[0].fff())
    data = bytearray(SEQ)
    raw_at = struct.unpack(">I", SEQ[size + 76 : size + 80])[0]
    struct.pack_into("<H", data, size + raw_at, 77)
    with SEQUENCES.get("flir").open(bytes(data), ReadHints()) as sequence:
        assert len(sequence) == 3
        with pytest.raises(FormatError, match="not with 2 in either byte order") as caught:
            sequence.frame(1)
        assert caught.value.offset == size + raw_at
        np.testing.assert_array_equal(sequence.frame(2).counts, FRAMES[2].counts)


@settings(deadline=None, max_examples=80)
@given(
    sample=st.sampled_from([SEQ, CSQ, HCC]),
    edits=st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=8)), max_size=5),
    cut=st.integers(0, 20_000),
)
def test_damaged_sequences_read_or_fail_as_format_errors(
    sample: bytes, edits: list[tuple[int, bytes]], cut: int
) -> None:
    data = bytearray(sample)
    for place, patch in edits:
        start = place % len(data)
        data[start : start + len(patch)] = patch
    damaged = bytes(data[: max(1, cut % (len(data) + 1))])
    for name in SEQUENCES.names():
        try:
            with SEQUENCES.get(name).open(damaged, ReadHints()) as sequence:
                assert len(sequence) >= 1
                sequence.frame(0).values()
                sequence.frame(-1).values()
                assert sequence.times_s is None or len(sequence.times_s) == len(sequence)
        except FormatError:
            continue


@pytest.mark.parametrize("cut", [len(FRAMES[2].fff()) - size for size in (10, 200, 400)])
def test_a_frame_that_is_left_out_is_said(cut: int) -> None:
    kept = len(SEQ) - len(FRAMES[2].fff())
    notes = read_bytes(SEQ[:-cut]).notes
    rest = len(SEQ) - cut - kept
    assert f"frame 2 is cut short or damaged: left out, with the file's last {rest} bytes from byte {kept}" in notes
    assert "frame 0 of 2 is read, counted from 0 (choose with --frame)" in notes


@pytest.mark.parametrize("padding", [b"", bytes(5), bytes(5000)])
def test_whole_frames_and_padding_are_not_said_to_be_cut(padding: bytes) -> None:
    for sample in (SEQ, FRAMES[0].fff()):
        assert not any("left out" in note for note in read_bytes(sample + padding).notes)


def test_what_is_no_sequence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing here.*cannot be read"):
        open_sequence(tmp_path / "nothing here")
    text = tmp_path / "text"
    text.write_text("no sequence")
    with pytest.raises(FormatError, match="no sequence of a known format; known: flir, "):
        open_sequence(text)
    text.write_bytes(b"")
    with pytest.raises(FormatError):
        open_sequence(text)


def test_positions_count_from_both_ends() -> None:
    assert [position_of(index, 3) for index in (0, 2, -1, -3)] == [0, 2, 2, 0]
    with pytest.raises(FormatError, match="there is no frame -4"):
        position_of(-4, 3)


def test_a_file_that_shrinks_while_it_is_open_is_a_format_error(seq: Path) -> None:
    with open_sequence(seq) as sequence:
        assert len(sequence) == 3
        os.truncate(seq, 100)
        with pytest.raises(FormatError, match="became shorter while it was read"):
            sequence.frame(2)


def test_frames_outlive_their_file(seq: Path) -> None:
    with open_sequence(seq) as sequence:
        frame = sequence.frame(1)
    np.testing.assert_array_equal(frame.counts, FRAMES[1].counts)
    with pytest.raises(FormatError):
        sequence.frame(1)


def test_a_mapped_file_gives_the_bytes_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(200)))
    for source in (path, path.read_bytes()):
        with closing(MappedFile(source)) as file:
            assert len(file) == 200
            assert file.read(10, 5) == bytes(range(10, 15))
            for offset, length in ((-1, 2), (199, 2), (0, -1), (1 << 70, 1)):
                with pytest.raises(FormatError):
                    file.read(offset, length)
        file.close()


OPEN_AND_LOOK = """
import sys
from isotherm.formats import open_sequence
import isotherm, isotherm.formats.flir_sequence, PIL.PngImagePlugin
def held(): return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
before = held()
with open_sequence(sys.argv[1]) as sequence:
    first = sequence.frame(0)
    opened = held() - before
    print(len(sequence), first.counts.max(), sequence.frame(-1).counts.max(), len(sequence.times_s))
    isotherm.read(sys.argv[1], isotherm.formats.ReadHints(frame=-1))
    print(opened, held() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_opening_two_gigabytes_costs_little_memory(tmp_path: Path) -> None:
    path, frame = tmp_path / "huge.seq", FlirFile(counts=ramp(480, 640))
    whole = frame.fff()
    count, head, camera_at = 3300, 64 + 64, struct.unpack(">I", whole[108:112])[0]
    with path.open("wb") as stream:
        # A sparse file: of most frames only the directory and the camera data are written, the pixels are a hole.
        for index in range(count):
            stream.seek(index * len(whole))
            if index in (0, count - 1):
                stream.write(whole)
                continue
            stream.write(whole[:head])
            stream.seek(index * len(whole) + camera_at)
            stream.write(whole[camera_at:])
    assert path.stat().st_size > 2_000_000_000
    # pytest's own copy of isotherm is instrumented: a process of its own measures the real one.
    found = subprocess.run(
        [sys.executable, "-c", OPEN_AND_LOOK, str(path)], capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()
    assert found[0].split() == [str(count), "24000", "24000", str(count)]
    opened_mb, walked_mb = map(float, found[1].split())
    assert opened_mb < 20
    # And `read` takes one frame of a file that is larger than what is read as a whole.
    assert walked_mb < 50


def test_jpeg_ls_gives_back_any_counts() -> None:
    counts = np.random.default_rng(1).integers(0, 65536, (9, 13)).astype(np.uint16)
    np.testing.assert_array_equal(jpeg_ls_reader.decode(Cursor(jpeg_ls(counts), ">", "picture")), counts)


def test_jpeg_ls_is_checked_before_it_is_decoded() -> None:
    whole = jpeg_ls(ramp())
    assert whole[:4] == b"\xff\xd8\xff\xf7"

    def changed(place: int, patch: bytes) -> Cursor:
        return Cursor(whole[:place] + patch + whole[place + len(patch) :], ">", "picture")

    for cursor, reason in (
        (changed(6, b"\x08"), "1 channels of 8 bits"),
        (changed(11, b"\x03"), "3 channels of 16 bits"),
        (changed(7, b"\0\0"), "16 x 0 pixels hold nothing"),
        (changed(0, b"GIF8"), "does not begin like a JPEG-LS picture"),
        (changed(3, b"\xc0"), "where the frame header"),
        (Cursor(whole[:9], ">", "picture"), "needs"),
        (Cursor(whole[:60], ">", "picture"), "picture: damaged"),
    ):
        with pytest.raises(FormatError, match=reason):
            jpeg_ls_reader.decode(cursor)
    with pytest.raises(TooLargeError, match="65535 x 65535"):
        jpeg_ls_reader.declared_size(changed(7, b"\xff\xff\xff\xff"))


def test_a_stream_that_stops_is_no_endless_work() -> None:
    # CharLS counted zeros for seconds behind streams of a few bytes that had no end marker.
    whole, started = jpeg_ls(ramp()), time.process_time()
    for length in range(43, len(whole)):
        with suppress(FormatError):
            jpeg_ls_reader.decode(Cursor(whole[:length], ">", "picture"))
    assert time.process_time() - started < 2


def test_a_packed_frame_of_another_size_than_declared_is_refused() -> None:
    whole = JpegLsFrame().fff()
    raw_at = struct.unpack(">I", whole[76:80])[0]
    with pytest.raises(FormatError, match="16 x 12 pixels; 17 x 12 declared"):
        read_bytes(whole[: raw_at + 2] + struct.pack("<H", 17) + whole[raw_at + 4 :])


def test_telops_recordings_hold_kelvin() -> None:
    kelvin = np.linspace(290, 340, 192).reshape(12, 16)
    counts = np.rint((kelvin - 273.15) * 256).astype(np.uint16)
    thermogram = read_bytes(hcc_frame(counts))
    assert thermogram.format == "telops"
    np.testing.assert_allclose(thermogram.kelvin(), kelvin, atol=1 / 256)
    assert thermogram.notes == ("experimental: this layout was never checked against a real file",)
    with SEQUENCES.get("telops").open(HCC, ReadHints()) as sequence:
        # Frames 7, 9 and 11 of a recording of 50 Hz.
        np.testing.assert_allclose(sequence.times_s, [0, 0.04, 0.08])


def test_telops_counts_without_calibration_are_no_temperatures() -> None:
    thermogram = read_bytes(hcc_frame(ramp(), mode=1))
    assert not thermogram.radiometric
    assert "recorded as counts after non-uniformity correction: it holds no temperatures" in thermogram.notes


def test_our_telops_frames_are_those_of_fasthcc(tmp_path: Path) -> None:
    write_hcc = pytest.importorskip("fasthcc").write_hcc
    frames = np.stack([ramp(), ramp(low=18_000)])
    write_hcc(tmp_path / "theirs.hcc", frames, frame_rate=25.0)
    with open_sequence(tmp_path / "theirs.hcc") as sequence:
        assert len(sequence) == 2
        np.testing.assert_array_equal(sequence.frame(1).counts, frames[1])
        np.testing.assert_allclose(sequence.times_s, [0, 0.04])
        assert sequence.frame(0).kelvin()[0, 0] == pytest.approx(17_000 / 256 + 273.15, abs=1e-3)


def test_without_fasthcc_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fasthcc.header", None)
    with pytest.raises(FormatError, match=r"pip install 'isotherm\[formats\]'"):
        read_bytes(HCC)


# Frame by frame: lowest and highest temperature, mean [°C]; lowest and highest count.
REAL_SEQ = [(18.605, 38.230, 22.451, 17220, 20817), (18.617, 37.348, 22.304, 17222, 20640)]


@pytest.mark.real_data
def test_real_seq_frames_are_those_of_the_reference(data: Path) -> None:
    with open_sequence(data / "camera_files/thermimage/SampleSEQ.seq") as sequence:
        assert len(sequence) == 2
        for index, expected in enumerate(REAL_SEQ):
            frame = sequence.frame(index)
            celsius = frame.celsius()
            found = (celsius.min(), celsius.max(), celsius.mean(dtype=np.float64), *minmax(frame.counts))
            np.testing.assert_allclose(found, expected, atol=0.002)
        np.testing.assert_allclose(sequence.times_s, [0, 3.967], atol=1e-3)


def minmax(counts: np.ndarray) -> tuple[int, int]:
    return int(counts.min()), int(counts.max())


@pytest.mark.real_data
def test_real_csq_frames_are_those_of_the_reference(data: Path) -> None:
    with open_sequence(data / "camera_files/thermimage/SampleCSQ.csq") as sequence:
        assert len(sequence) == 8
        assert sequence.size == (768, 1024)
        frames = [sequence.frame(index) for index in range(8)]
        # A camera of 30 frames a second.
        np.testing.assert_allclose(np.diff(sequence.times_s), 1 / 30, atol=0.001)
    celsius = [frame.celsius() for frame in frames]
    lows, highs, means = zip(*((t.min(), t.max(), t.mean(dtype=np.float64)) for t in celsius), strict=True)
    # The reference: lowest 15.69 to 16.76, highest 35.19 to 35.41, mean 22.49 to 22.60; counts 13595 to 16319.
    np.testing.assert_allclose((min(lows), max(lows)), (15.69, 16.76), atol=0.006)
    np.testing.assert_allclose((min(highs), max(highs)), (35.19, 35.41), atol=0.006)
    np.testing.assert_allclose((min(means), max(means)), (22.49, 22.60), atol=0.006)
    assert min(frame.counts.min() for frame in frames) == 13595
    assert max(frame.counts.max() for frame in frames) == 16319
