"""Results in a bucket are those of a folder, after any death; what is there already and what cannot be is refused."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from dying_runs import ENDS, Killed, die
from isotherm.cli.main import main
from isotherm.core.errors import ForbiddenError, OutputError, UnreachableError, UsageError
from isotherm.core.scene import SceneEdit
from isotherm.core.scratch import PREFIX
from isotherm.scaleout import ledger as ledger_module
from isotherm.scaleout.ledger import Held
from isotherm.store.objects_s3 import BucketObjects
from isotherm.workflows import remote_inputs, scaled_inspect
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.inspect_pictures import PictureWork
from isotherm.workflows.remote_inputs import path_of
from isotherm.workflows.run_folder import JOURNAL, LEDGER
from isotherm.workflows.run_place import RunPlace, open_place, state_folder
from isotherm.workflows.scaled import ScaleSettings
from isotherm.workflows.scaled_inspect import inspect_in_chunks
from s3_servers import Bucket, S3Server, read_only_server
from small_pictures import write

HERE = ScaleSettings(executor="in-process", chunk=2)
PLAIN = InspectSettings(panels=False, reports=("csv",))
AGAIN = InspectSettings(panels=False, reports=("csv",), existing="resume")
ANEW = InspectSettings(panels=False, reports=("csv",), existing="overwrite")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what belongs to runs that go on in a folder of the test; and no bucket of another test is open."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    remote_inputs._opened.cache_clear()
    scaled_inspect._work.cache_clear()
    return state_folder()


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    folder = tmp_path / "shots"
    (folder / "site ß").mkdir(parents=True)
    write(folder, "joint", range(3))
    write(folder / "site ß", "plain", range(2))
    (folder / "broken.jpg").write_bytes(b"")
    return folder


@pytest.fixture
def out(bucket: Bucket) -> Path:
    return Path(f"{bucket.url}/results/one")


def below(bucket: Bucket, prefix: str = "results/one/") -> dict[str, bytes]:
    """Return what lies in a bucket; fetched by another client."""
    s3 = bucket.server.client()
    names = [name for name in bucket.names() if name.startswith(prefix)]
    return {name.removeprefix(prefix): s3.get_object(Bucket=bucket.name, Key=name)["Body"].read() for name in names}


def in_folder(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def timeless(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return files without what tells their time; pages hold it in too many forms."""
    found = {name: data for name, data in files.items() if name != "report.html"}
    for name in {"run.json", JOURNAL} & set(found):
        text = found[name].decode()
        for key in ("started_at", "inspect", "total", "images", "images_per_s", "report.html"):
            text = re.sub(rf'"{key}": [^,}}\n]+', f'"{key}": 0', text)
        found[name] = text.encode()
    return found


@pytest.mark.parametrize(("bucket", "chunks"), [("moto", False), ("juicefs", True)], indirect=["bucket"])
def test_what_is_written_is_that_of_a_folder(
    shots: Path, tmp_path: Path, bucket: Bucket, out: Path, state: Path, chunks: bool
) -> None:
    settings = InspectSettings(maps=True, reports=("html", "csv"))
    inspect(shots, tmp_path / "folder", settings=settings)
    if chunks:
        inspect_in_chunks(shots, out, settings=settings, scale=HERE)
    else:
        inspect(shots, out, settings=settings)
    local, there = in_folder(tmp_path / "folder"), below(bucket)
    assert there.keys() == local.keys()
    assert timeless(there) == timeless(local)
    assert b"data:image/jpeg" in there["report.html"]
    assert list(state.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("bucket", ["moto"], indirect=True)
def test_workers_write_into_the_bucket_themselves(
    shots: Path, bucket: Bucket, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The driver could not do it: it has no such method.
    monkeypatch.delattr(PictureWork, "finished")
    flags = ["--executor", "pool", "--workers", "1", "--chunk", "2"]
    assert main(["hotspots", str(shots), "-o", f"{bucket.url}/results/one", *flags]) == 3
    found = below(bucket)
    assert len([name for name in found if name.startswith("panels/")]) == 5
    with Image.open(io.BytesIO(found["masks/site ß__plain 1.png"])) as mask:
        assert mask.mode == "L"
    assert f"written   {bucket.url}/results/one/report.html" in capsys.readouterr().out


CLAIMING = {"before the place is claimed": (scaled_inspect, "claim")}


@pytest.mark.parametrize("where", ENDS | CLAIMING)
def test_a_run_in_chunks_that_dies_is_completed_by_the_same_command(
    shots: Path, tmp_path: Path, moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    out = Path(f"{moto_bucket.url}/results/one")
    with monkeypatch.context() as patch:
        patch.setattr(*(ENDS | CLAIMING)[where], die)
        # The dead cannot give their lease back, nor clean up behind them.
        patch.setattr(Held, "release", lambda held: None)
        patch.setattr(Held, "remove", lambda held: None)
        patch.setattr(ledger_module, "has_died", lambda owner: True)
        with pytest.raises(Killed):
            inspect_in_chunks(shots, out, settings=PLAIN, scale=HERE)
    with monkeypatch.context() as patch:
        patch.setattr(ledger_module, "has_died", lambda owner: True)
        inspect_in_chunks(shots, out, settings=PLAIN, scale=HERE)
    inspect(shots, tmp_path / "folder", settings=PLAIN)
    assert timeless(below(moto_bucket)) == timeless(in_folder(tmp_path / "folder"))
    assert list(state_folder().iterdir()) == []


@pytest.fixture
def moto_bucket(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    return Bucket.fresh(moto)


def dying_after(batches: int) -> Callable[..., None]:
    done = []

    def write(place: RunPlace, name: str, data: bytes) -> None:
        done.append(name)
        if len(done) > batches:
            raise Killed
        BucketObjects.write(place.objects, name, data)  # type: ignore[attr-defined]

    return write


@pytest.fixture
def half_done(shots: Path, moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the place of a run that has ended with 2 of 5 masks written, and a journal of this machine."""
    out = Path(f"{moto_bucket.url}/results/one")
    with monkeypatch.context() as patch:
        patch.setattr("isotherm.workflows.inspect_pictures.BATCH", 1)
        patch.setattr("isotherm.workflows.run_place.BucketPlace.write", dying_after(2))
        with pytest.raises(Killed):
            inspect(shots, out, settings=PLAIN)
    return out


def test_an_ordinary_run_that_dies_goes_on_where_it_was(
    shots: Path, tmp_path: Path, half_done: Path, moto_bucket: Bucket, state: Path
) -> None:
    assert [path.name.partition("-")[2] for path in state.iterdir()] == [JOURNAL]
    before = below(moto_bucket)
    assert before[JOURNAL].count(b"\n") == 1
    told: list[tuple[int, int, str]] = []
    inspect(shots, half_done, settings=AGAIN, progress=lambda *said: told.append(said))
    assert min(done for done, _, stage in told if stage == "inspecting") > 1
    inspect(shots, tmp_path / "folder", settings=PLAIN)
    assert timeless(below(moto_bucket)) == timeless(in_folder(tmp_path / "folder"))
    assert json.loads(below(moto_bucket)[JOURNAL].splitlines()[0])["started_at"] in before[JOURNAL].decode()
    assert list(state.iterdir()) == []


def test_a_damaged_journal_in_a_bucket_is_mended_there(
    shots: Path, tmp_path: Path, moto_bucket: Bucket, state: Path
) -> None:
    out = Path(f"{moto_bucket.url}/one")
    inspect(shots, out, settings=PLAIN)
    lines = below(moto_bucket, "one/")[JOURNAL].splitlines(keepends=True)
    moto_bucket.put(f"one/{JOURNAL}", b"".join([*lines[:2], b"{]\n", *lines[3:]]))
    for _ in range(2):
        with pytest.raises(OutputError, match=rf"^{moto_bucket.url}/one/{JOURNAL} is damaged in line 3 .*head -n 2"):
            inspect(shots, out, settings=AGAIN)
    moto_bucket.put(f"one/{JOURNAL}", b"".join(lines[:2]))
    inspect(shots, out, settings=AGAIN)
    inspect(shots, tmp_path / "folder", settings=PLAIN)
    assert timeless(below(moto_bucket, "one/")) == timeless(in_folder(tmp_path / "folder"))
    assert list(state.iterdir()) == []


def test_on_another_machine_it_begins_with_the_first_picture(
    shots: Path, tmp_path: Path, half_done: Path, moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(OutputError, match="holds an inspection already"):
        inspect(shots, half_done, settings=PLAIN)
    with pytest.raises(OutputError, match="holds an inspection already, finished or begun without --executor"):
        inspect_in_chunks(shots, half_done, settings=PLAIN, scale=HERE)
    told: list[tuple[int, int, str]] = []
    inspect(shots, half_done, settings=AGAIN, progress=lambda *said: told.append(said))
    assert (6, 6, "inspecting") in told
    assert "reading what is done" not in {stage for *_, stage in told}
    inspect(shots, tmp_path / "folder", settings=PLAIN)
    assert timeless(below(moto_bucket)) == timeless(in_folder(tmp_path / "folder"))


def test_with_a_ledger_elsewhere_another_machine_goes_on(
    shots: Path, tmp_path: Path, moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(f"{moto_bucket.url}/results/one")
    scale = ScaleSettings(executor="in-process", chunk=2, ledger=f"sqlite:///{tmp_path}/shared.sqlite")
    with monkeypatch.context() as patch:
        patch.setattr(scaled_inspect, "write_journal", die)
        with pytest.raises(Killed):
            inspect_in_chunks(shots, out, settings=PLAIN, scale=scale)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.delattr(PictureWork, "finished")
    inspect_in_chunks(shots, out, settings=PLAIN, scale=scale)
    assert below(moto_bucket)["results.csv"].count(b"\n") == 7


def test_a_finished_run_is_refused_and_may_be_reported_again(
    shots: Path, moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(f"{moto_bucket.url}/one")
    inspect(shots, out, settings=PLAIN)
    before = below(moto_bucket, "one/")
    for refused in (
        lambda: inspect(shots, out, settings=PLAIN),
        lambda: inspect_in_chunks(shots, out, settings=PLAIN, scale=HERE),
    ):
        with pytest.raises(OutputError, match=f"^{moto_bucket.url}/one holds an inspection already"):
            refused()
    assert below(moto_bucket, "one/") == before
    monkeypatch.delattr(PictureWork, "finished")
    assert len(inspect(shots, out, settings=AGAIN).results) == 6


def test_a_mask_that_has_gone_is_made_again(shots: Path, moto_bucket: Bucket) -> None:
    out = Path(f"{moto_bucket.url}/one")
    inspect(shots, out, settings=PLAIN)
    before = below(moto_bucket, "one/")
    moto_bucket.server.client().delete_object(Bucket=moto_bucket.name, Key="one/masks/joint 1.png")
    inspect(shots, out, settings=AGAIN)
    assert timeless(below(moto_bucket, "one/")) == timeless(before)


def test_overwriting_removes_what_a_run_wrote_and_nothing_else(shots: Path, bucket: Bucket, out: Path) -> None:
    inspect(shots, out, settings=InspectSettings(maps=True))
    mine = ("notes.txt", "masks/notes.txt", "masks/deeper/x.png", "../one-more/results.csv")
    for name in mine:
        bucket.put(os.path.normpath(f"results/one/{name}"), b"mine")
    inspect_in_chunks(shots, out, settings=ANEW, scale=HERE)
    names = below(bucket)
    assert {"notes.txt", "masks/notes.txt", "masks/deeper/x.png"} < set(names)
    assert not any(name.startswith(("panels/", "maps/")) for name in names)
    assert "report.html" not in names
    assert "results/one-more/results.csv" in bucket.names()


@pytest.mark.parametrize("bucket", ["moto"], indirect=True)
@pytest.mark.parametrize("name", ["results.csv", "masks/x.png", "run.json/x"])
def test_what_no_inspection_has_written_is_left_alone(shots: Path, bucket: Bucket, out: Path, name: str) -> None:
    bucket.put(f"results/one/{name}", b"mine")
    for settings in (PLAIN, AGAIN, ANEW):
        with pytest.raises(OutputError, match=f"holds {name.partition('/')[0]} of something else"):
            inspect(shots, out, settings=settings)
        with pytest.raises(OutputError, match="of something else"):
            inspect_in_chunks(shots, out, settings=settings, scale=HERE)
    assert below(bucket) == {name: b"mine"}


def test_who_empties_the_bucket_begins_anew(
    shots: Path, tmp_path: Path, moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the ledger would say of pictures that have gone that they are there."""
    out = died_before_its_journal(shots, moto_bucket, monkeypatch)
    empty(moto_bucket)
    inspect_in_chunks(shots, out, settings=PLAIN, scale=HERE)
    inspect(shots, tmp_path / "folder", settings=PLAIN)
    assert timeless(below(moto_bucket)) == timeless(in_folder(tmp_path / "folder"))


def died_before_its_journal(shots: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the place of a run in chunks that has drawn all pictures and then died."""
    out = Path(f"{bucket.url}/results/one")
    with monkeypatch.context() as patch:
        patch.setattr(scaled_inspect, "write_journal", die)
        with pytest.raises(Killed):
            inspect_in_chunks(shots, out, settings=PLAIN, scale=HERE)
    return out


def empty(bucket: Bucket) -> None:
    for name in bucket.names():
        bucket.server.client().delete_object(Bucket=bucket.name, Key=name)


def test_who_empties_the_bucket_may_begin_an_ordinary_run(
    shots: Path, moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = died_before_its_journal(shots, moto_bucket, monkeypatch)
    empty(moto_bucket)
    with monkeypatch.context() as patch:
        patch.setattr("isotherm.workflows.run_place.BucketPlace.write", dying_after(0))
        with pytest.raises(Killed):
            inspect(shots, out, settings=PLAIN)
    assert [path.name.partition("-")[2] for path in state_folder().iterdir()] == [JOURNAL]
    assert len(inspect(shots, out, settings=AGAIN).results) == 6


def test_what_another_machine_has_put_there_meanwhile_is_not_gone_on_with(
    shots: Path, tmp_path: Path, moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = died_before_its_journal(shots, moto_bucket, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
        other = replace(ANEW, edit=SceneEdit(emissivity=0.5))
        inspect_in_chunks(shots, out, settings=other, scale=HERE)
    before = below(moto_bucket)
    with pytest.raises(OutputError, match="finished or begun without --executor or elsewhere"):
        inspect_in_chunks(shots, out, settings=PLAIN, scale=HERE)
    assert below(moto_bucket) == before
    inspect_in_chunks(shots, out, settings=ANEW, scale=HERE)
    assert list(state_folder().iterdir()) == []


def test_a_ledger_that_was_left_does_not_make_others_files_ours(
    shots: Path, moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = died_before_its_journal(shots, moto_bucket, monkeypatch)
    empty(moto_bucket)
    moto_bucket.put("results/one/masks/x.png", b"mine")
    for settings in (PLAIN, ANEW):
        with pytest.raises(OutputError, match="holds masks of something else"):
            inspect_in_chunks(shots, out, settings=settings, scale=HERE)
    assert below(moto_bucket) == {"masks/x.png": b"mine"}


def test_without_a_folder_for_state_it_is_said_how_to_name_one(
    shots: Path, tmp_path: Path, moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="set XDG_STATE_HOME to a folder of this machine"):
        inspect(shots, Path(f"{moto_bucket.url}/one"), settings=PLAIN)
    assert moto_bucket.names() == []


def test_how_an_object_begins_is_told_without_the_rest(bucket: Bucket) -> None:
    bucket.put("one", b"first\nsecond")
    bucket.put("none", b"")
    place = open_place(Path(bucket.url))
    assert place.claimed("one", b"first\n")
    assert not any(
        place.claimed(name, data)
        for name, data in (("one", b"first\nthird"), ("one", b"first\nsecond\n"), ("none", b"x"), ("gone", b"x"))
    )


def test_of_two_runs_that_begin_at_once_one_goes_on(moto_bucket: Bucket) -> None:
    place, results = open_place(Path(f"{moto_bucket.url}/one")), list[str]()

    def take(number: int) -> None:
        try:
            place.claim(JOURNAL, f"{number}".encode())
        except OutputError as error:
            results.append(str(error))

    threads = [Thread(target=take, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert all("was taken by another run at this moment" in found for found in results)


def test_the_same_address_on_another_server_is_another_run(
    moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = open_place(Path(moto_bucket.url))
    before = place.local(LEDGER), place.known_as
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert (place.local(LEDGER), place.known_as) != before


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with read_only_server("forbidden", {}) as reader:
        for name, value in reader.environment().items():
            monkeypatch.setenv(name, value)
        yield "s3://forbidden/out"


def test_a_bucket_that_forbids_writing_is_told_before_any_work(
    shots: Path, read_only: str, monkeypatch: pytest.MonkeyPatch, state: Path
) -> None:
    monkeypatch.delattr(PictureWork, "finished")
    for run in (inspect, lambda *given, **named: inspect_in_chunks(*given, **named, scale=HERE)):
        with pytest.raises(ForbiddenError, match="do not allow to write here; they need s3:PutObject"):
            run(shots, Path(read_only), settings=PLAIN)
    assert list(state.iterdir()) == []


def test_missing_credentials_are_told_before_any_work(
    shots: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SKIP_SIGNATURE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delattr(PictureWork, "finished")
    assert main(["hotspots", str(shots), "-o", "s3://bucket/out"]) == 2
    assert "s3://bucket/out needs credentials: set AWS_ACCESS_KEY_ID" in capsys.readouterr().err


def test_a_server_that_does_not_answer_is_told_before_any_work(shots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for name, value in S3Server(address).environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delattr(PictureWork, "finished")
    begun = time.monotonic()
    with pytest.raises(UnreachableError, match=f"s3://bucket/out: {address} does not answer"):
        inspect(shots, Path("s3://bucket/out"), settings=PLAIN)
    assert time.monotonic() - begun < 15


def test_an_address_of_this_machine_is_a_folder(shots: Path, tmp_path: Path) -> None:
    assert main(["hotspots", f"file://{shots}", "-o", f"file://{tmp_path}/a%20b", "--no-panels"]) == 3
    assert (tmp_path / "a b" / "results.csv").is_file()


@pytest.mark.parametrize("text", ["gs://bucket/x", "https://host/x", "file://elsewhere/x"])
def test_an_address_of_another_kind_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):
        path_of(text)
    assert main(["hotspots", "x", "-o", text]) == 2
    assert "file:///folder" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_command_goes_on(shots: Path, tmp_path: Path, moto_bucket: Bucket) -> None:
    """SIGKILL of the real command, in chunks, while it works; at last every picture has its row and its mask."""
    command = [sys.executable, "-m", "isotherm", "hotspots", str(shots), "-o", f"{moto_bucket.url}/results/one"]
    command += ["--no-panels", "--report", "csv", "--executor", "in-process", "--chunk", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and not any("/masks/" in name for name in moto_bucket.names()):
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert subprocess.run(command, check=False, capture_output=True).returncode == 3
    inspect(shots, tmp_path / "folder", settings=PLAIN)
    assert timeless(below(moto_bucket)) == timeless(in_folder(tmp_path / "folder"))


def test_what_becomes_an_object_lies_where_the_next_process_sweeps(bucket: Bucket) -> None:
    place = open_place(path_of(f"{bucket.url}/out"))
    with place.opened("run.json") as stream:
        stream.write(b"{}")
        waiting = Path(stream.name)
        assert waiting.parent.name.startswith(PREFIX)

    assert not waiting.parent.exists()
    assert place.read("run.json") == b"{}"
