"""Bad input, through the command: one clear line, no traceback, nothing lost, the right exit status."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tifffile import imwrite

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.cli.main import main
from isotherm.core.registry import Registry
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.reports import REPORT_WRITERS

DONE, FAILED, USAGE, SOME_FAILED = 0, 1, 2, 3


def grey(height: int = 24, width: int = 32) -> np.ndarray:
    pixels = np.full((height, width), 60, dtype=np.uint8)
    pixels[5:9, 5:9] = 200
    return pixels


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, pixels: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def tiff(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    imwrite(stream, values)
    return stream.getvalue()


def temperatures(*odd: float) -> np.ndarray:
    values = np.full((24, 32), 22, dtype=np.float32)
    values[5:9, 5:9] = 60
    values[0, : len(odd)] = odd
    return values


GREY, RGB = Image.fromarray(grey()), Image.fromarray(np.stack([grey()] * 3, axis=-1))
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8))
RGB16 = png(
    32,
    24,
    16,
    b"".join(b"\0" + row.astype(">u2").tobytes() for row in np.stack([grey().astype(np.uint16) * 256] * 3, -1)),
)
FLIPPED = Image.fromarray(grey()[::-1].copy())

READABLE = {
    "wrong suffix.tiff": encoded(RGB, "JPEG"),
    "rgb16.png": RGB16,
    "animated.gif": encoded(GREY, "GIF", save_all=True, append_images=[FLIPPED]),
    "animated.png": encoded(GREY, "PNG", save_all=True, append_images=[FLIPPED]),
    "cmyk.jpg": encoded(RGB.convert("CMYK"), "JPEG"),
    "palette.png": encoded(RGB.quantize(8), "PNG"),
    "Schaltschrank №7 – 温度.png": encoded(GREY, "PNG"),
    "x" * 196 + ".png": encoded(GREY, "PNG"),
    "-o.png": encoded(GREY, "PNG"),
    "two\nlines.png": encoded(GREY, "PNG"),
}
UNREADABLE = {
    "truncated.jpg": (encoded(NOISE, "JPEG")[:2000], "truncated"),
    "zero.png": (b"", "the file is empty (0 bytes)"),
    "text.jpg": (b"hello, this is no picture\n", "of no known format"),
    "bomb.png": (png(30_000, 30_000, 8, bytes(1000)), "too many pixels"),
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str]]]:
    """Run a command and return its status and its messages, after checking that each is one plain line."""

    def command(*arguments: str | Path) -> tuple[int, list[str]]:
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse
            status = int(error.code or 0)
        err = capsys.readouterr().err
        assert "Traceback" not in err
        return status, [line for line in err.splitlines() if line.startswith("isotherm")]

    return command


Run = Callable[..., tuple[int, list[str]]]


def folder(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as stream:
        return {row["image"]: row for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(0)
    normals = folder(
        root / "normals", {f"{n}.tiff": tiff(rng.normal(22, 0.1, (24, 32)).astype(np.float32)) for n in range(5)}
    )
    assert main(["train", str(normals), "-o", str(root / "model"), "--image-size", "64"]) == DONE
    return root / "model"


# Pictures


def test_odd_but_readable_pictures_are_read(tmp_path: Path, run: Run) -> None:
    shots = folder(tmp_path / "shots", READABLE)
    status, messages = run("hotspots", shots, "-o", tmp_path / "out")
    found = rows(tmp_path / "out")

    assert (status, messages) == (DONE, [])
    assert set(found) == set(READABLE)
    assert {(row["status"], row["radiometric"], row["max_c"]) for row in found.values()} == {("ok", "false", "")}
    assert len(list((tmp_path / "out" / "masks").iterdir())) == len(READABLE)
    # The square is seen in each of them, in the first frame of the animated ones.
    assert {row["hotspot_count"] for row in found.values()} == {"1"}
    assert {row["hottest_y"] in "5678" for row in found.values()} == {True}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_picture_is_a_row_with_its_reason(tmp_path: Path, run: Run, name: str) -> None:
    data, words = UNREADABLE[name]
    shots = folder(tmp_path / "shots", {name: data, "good.png": encoded(GREY, "PNG")})
    start = time.perf_counter()
    status, (message,) = run("hotspots", shots, "-o", tmp_path / "out")
    found = rows(tmp_path / "out")

    assert time.perf_counter() - start < 20  # no flood of pixels
    assert status == SOME_FAILED
    assert message.startswith(f"isotherm: {name}: ")
    assert words in message
    assert words in found[name]["error"]
    assert found[name]["status"] == "failed"
    assert found["good.png"]["status"] == "ok"
    assert (shots / name).read_bytes() == data


def test_nothing_readable_at_all(tmp_path: Path, run: Run) -> None:
    shots = folder(tmp_path / "shots", {name: data for name, (data, _) in UNREADABLE.items()})
    status, messages = run("inspect", shots, "-o", tmp_path / "out")

    assert status == FAILED
    assert len(messages) == len(UNREADABLE)
    assert {row["status"] for row in rows(tmp_path / "out").values()} == {"failed"}
    assert "None of the files could be inspected" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_many_unreadable_files_do_not_flood_the_terminal(tmp_path: Path, run: Run) -> None:
    shots = folder(tmp_path / "shots", {f"{number}.jpg": b"" for number in range(50)})
    status, messages = run("hotspots", shots, "-o", tmp_path / "out")

    assert status == FAILED
    assert len(messages) == 11
    assert "40 more files failed" in messages[-1]
    assert len(rows(tmp_path / "out")) == 50


def test_pixels_without_a_temperature(tmp_path: Path, run: Run, model: Path) -> None:
    odd = temperatures(np.nan, np.inf, -np.inf)
    shots = folder(tmp_path / "shots", {"odd.tiff": tiff(odd), "none.tiff": tiff(np.full_like(odd, np.nan))})
    status, (message,) = run("hotspots", shots, "-o", tmp_path / "out")
    assert status == SOME_FAILED
    assert message.startswith("isotherm: none.tiff: no pixel of this image has a temperature")
    found = rows(tmp_path / "out")

    assert (found["odd.tiff"]["max_c"], found["odd.tiff"]["hotspot_area_px"]) == ("60.000", "16")
    assert float(found["odd.tiff"]["mean_c"]) == pytest.approx(float(odd[np.isfinite(odd)].mean()), abs=0.001)
    assert (found["none.tiff"]["status"], found["none.tiff"]["max_c"]) == ("failed", "")
    status, (message,) = run("inspect", shots, "-o", tmp_path / "judged", "--model", model)
    assert status == SOME_FAILED
    assert message.startswith("isotherm: none.tiff: no pixel of this image has a temperature")
    assert rows(tmp_path / "judged")["odd.tiff"]["prediction"] == "Anomaly"


def test_mixed_sizes(tmp_path: Path, run: Run, model: Path) -> None:
    sizes = [(24, 32), (1, 1), (240, 320), (200, 7), (40, 24)]
    files = {f"{h}x{w}.tiff": tiff(np.full((h, w), 22, dtype=np.float32)) for h, w in sizes}
    shots = folder(tmp_path / "shots", files)
    assert run("inspect", shots, "-o", tmp_path / "out", "--model", model) == (DONE, [])

    for height, width in sizes:
        with Image.open(tmp_path / "out" / "masks" / f"{height}x{width}.png") as mask:
            assert mask.size == (width, height)
    noise = np.random.default_rng(1)
    varied = {
        name: tiff(noise.normal(22, 0.1, (h, w)).astype(np.float32)) for (h, w), name in zip(sizes, files, strict=True)
    }
    command = ("train", folder(tmp_path / "normals", varied), "-o", tmp_path / "model", "--image-size", 64)
    assert run(*command) == (DONE, [])


def test_one_image(tmp_path: Path, run: Run) -> None:
    shots = folder(tmp_path / "shots", {"only.png": encoded(GREY, "PNG")})

    assert run("hotspots", shots / "only.png", "-o", tmp_path / "out") == (DONE, [])
    status, (message,) = run("train", shots, "-o", tmp_path / "model")
    assert status == FAILED
    assert "at least 2 are needed" in message
    assert not (tmp_path / "model").exists()


# Folders


@pytest.mark.parametrize("command", ["hotspots", "inspect", "train"])
@pytest.mark.parametrize(("name", "words"), [("empty", "holds no file"), ("missing", "no such file or folder")])
def test_an_empty_or_missing_folder(tmp_path: Path, run: Run, command: str, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    status, (message,) = run(command, tmp_path / name, "-o", tmp_path / "out")

    assert status == FAILED
    assert message.startswith(f"isotherm: {tmp_path / name}: ")
    assert words in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "words"), [("empty", "of no known layout"), ("missing", "no such folder")])
def test_an_empty_or_missing_folder_to_evaluate(tmp_path: Path, run: Run, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    status, (message,) = run("evaluate", tmp_path / name, "-o", tmp_path / "out", "--method", "patchcore")

    assert status == FAILED
    assert f"{tmp_path / name}: {words}" in message


def test_no_normal_images(tmp_path: Path, run: Run) -> None:
    shots = folder(tmp_path / "shots", {"text.jpg": b"no picture", "zero.png": b""})
    status, (message,) = run("train", shots, "-o", tmp_path / "model")

    assert status == FAILED
    assert "none of 2 images can be used" in message
    assert "text.jpg" in message
    assert not (tmp_path / "model").exists()


def test_no_normal_images_to_evaluate_with(tmp_path: Path, run: Run) -> None:
    (tmp_path / "data" / "faulty").mkdir(parents=True)
    folder(tmp_path / "data" / "normal", {})
    (tmp_path / "data" / "faulty" / "a.png").write_bytes(encoded(GREY, "PNG"))
    status, (message,) = run("evaluate", tmp_path / "data", "-o", tmp_path / "out", "--method", "patchcore")

    assert status == FAILED
    assert "normal" in message


# Output


def test_output_that_cannot_be_written(tmp_path: Path, run: Run) -> None:
    shots = folder(tmp_path / "shots", {"a.png": encoded(GREY, "PNG")})
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "read-only").mkdir(mode=0o555)
    # A file in the way, and a file system that takes nothing, stop root as well; a mode stops everybody else.
    places = [tmp_path / "file", tmp_path / "file" / "below", Path("/proc/isotherm")]
    if os.geteuid() != 0:
        places.append(tmp_path / "read-only")
    for out in places:
        for command in ("hotspots", "inspect"):
            status, (message,) = run(command, shots, "-o", out)
            assert status == FAILED
            assert str(out) in message
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_full_disk_stops_the_run_with_one_line_and_loses_nothing(tmp_path: Path, run: Run) -> None:
    files = {f"{number}.png": encoded(GREY, "PNG") for number in range(40)}
    shots = folder(tmp_path / "shots", files)
    command = [sys.executable, "-m", "isotherm", "hotspots", str(shots), "-o", str(tmp_path / "out")]

    def little_space() -> None:
        # No file may grow beyond this: the journal does so after a batch or two.
        resource.setrlimit(resource.RLIMIT_FSIZE, (18_000, 18_000))

    # The measurement of coverage would fail on the full disk as well, and say so with a traceback.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [*command, "--no-panels"],
        capture_output=True,
        text=True,
        preexec_fn=little_space,
        env=unmeasured,
        check=False,
    )
    assert done.returncode == FAILED
    assert [line for line in done.stderr.splitlines() if line.startswith("isotherm: cannot write ")]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "results.csv").exists()
    assert run("hotspots", shots, "-o", tmp_path / "out", "--no-panels", "--resume") == (DONE, [])
    assert len(rows(tmp_path / "out")) == 40


def test_results_of_something_else_are_not_touched(tmp_path: Path, run: Run) -> None:
    shots = folder(tmp_path / "shots", {"a.png": encoded(GREY, "PNG")})
    out = folder(tmp_path / "out", {"results.csv": b"mine"})
    for flags in ((), ("--resume",), ("--overwrite",)):
        status, (message,) = run("hotspots", shots, "-o", out, *flags)
        assert status == FAILED
        assert "results.csv of something else" in message
    assert [path.name for path in out.iterdir()] == ["results.csv"]
    status, (message,) = run("train", shots, "-o", out)
    assert status == FAILED
    assert "name a new or empty folder" in message


# Models


@pytest.fixture
def damaged(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "damaged"))


def inspect_with(run: Run, tmp_path: Path, model: Path) -> str:
    shots = folder(tmp_path / "shots", {"a.tiff": tiff(temperatures())})
    status, (message,) = run("inspect", shots, "-o", tmp_path / "out", "--model", model)
    assert status == FAILED
    assert str(model) in message
    assert not (tmp_path / "out").exists()
    return message


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors"])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.99])
def test_a_model_with_a_flipped_byte(run: Run, tmp_path: Path, damaged: Path, name: str, place: float) -> None:
    data = bytearray((damaged / name).read_bytes())
    data[int(place * len(data))] ^= 1
    (damaged / name).write_bytes(data)

    message = inspect_with(run, tmp_path, damaged)
    assert name in message or "format version" in message


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors"])
def test_a_model_with_a_missing_file(run: Run, tmp_path: Path, damaged: Path, name: str) -> None:
    (damaged / name).unlink()

    assert f"{name} is missing" in inspect_with(run, tmp_path, damaged)


def test_a_model_of_another_version(run: Run, tmp_path: Path, damaged: Path) -> None:
    manifest = json.loads((damaged / "manifest.json").read_bytes())
    (damaged / "manifest.json").write_text(json.dumps({**manifest, "format_version": 99}), encoding="utf-8")

    assert "format version 99; this isotherm reads version" in inspect_with(run, tmp_path, damaged)


def test_a_folder_that_is_no_model(run: Run, tmp_path: Path) -> None:
    assert "manifest.json is missing" in inspect_with(run, tmp_path, folder(tmp_path / "other", {}))


def test_a_model_of_temperatures_and_pictures_without(run: Run, tmp_path: Path, model: Path) -> None:
    shots = folder(tmp_path / "shots", {"a.tiff": tiff(temperatures()), "b.png": encoded(GREY, "PNG")})
    status, (message,) = run("inspect", shots, "-o", tmp_path / "out", "--model", model)

    assert status == SOME_FAILED
    assert message.startswith("isotherm: b.png: the model has learnt from temperature images")
    assert rows(tmp_path / "out")["a.tiff"]["prediction"] == "Anomaly"


# Names and values on the command line


def known(registry: Registry[Any]) -> str:
    names = sorted(registry.names())
    assert len(names) >= 3
    return f"known: {', '.join(names)}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("hotspots", "--method", "otzu"), known(HOTSPOT_METHODS)),
        (("inspect", "--method", "otzu"), "did you mean 'otsu'"),
        (("train", "--method", "patchcor"), known(ANOMALY_METHODS)),
        (("evaluate", "--method", "patchcor"), known(ANOMALY_METHODS)),
        (("hotspots", "--severity", "nfpa"), "neta-ambient, neta-similar"),
        (("hotspots", "--report", "pdg"), known(REPORT_WRITERS)),
        (("hotspots", "--emissivity", "1.2"), "isotherm: --emissivity must be at most 1"),
        (("hotspots", "--emissivity", "nan"), "must be a finite number"),
        (("hotspots", "--jobs", "0"), "jobs must be from 1"),
        (("hotspots", "--reference-box", "1,2"), "x,y,width,height"),
        (("frobnicate",), "there is no command 'frobnicate'"),
        (("hotspots", "--resume", "--overwrite"), "not allowed with"),
    ],
)
def test_wrong_usage_exits_2_and_names_what_would_be_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    shots = folder(tmp_path / "shots", {"a.png": encoded(GREY, "PNG")})
    command, *flags = arguments
    try:
        status = main([command, str(shots), "-o", str(tmp_path / "out"), *flags])
    except SystemExit as error:
        status = int(error.code or 0)
    err = capsys.readouterr().err

    assert status == USAGE
    assert words in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_no_traceback_in_a_process_of_its_own_unless_asked_for(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "isotherm", "hotspots", str(tmp_path / "missing"), "-o", str(tmp_path / "out")]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    debug = subprocess.run([*command, "--debug"], capture_output=True, text=True, check=False)

    assert (plain.returncode, plain.stdout) == (FAILED, "")
    assert plain.stderr == f"isotherm: {tmp_path / 'missing'}: no such file or folder\n"
    assert "Traceback" in debug.stderr
