"""Stored files against a mapping, with every call of the system failing once, and with a process that is killed."""

from __future__ import annotations

import errno
import gc
import hashlib
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from store_rows import MOST, keep, lines_until_killed

from isotherm.core.errors import DataError, NotFoundError, OutputError, StorageFullError, TooLargeError
from isotherm.store.blobs import Blobs, Flaw, Stored

ABSENT = "0" * 64


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def files(blobs: Blobs) -> list[Path]:
    return [path for path in blobs.folder.rglob("*") if path.is_file() and path.name != "lock"]


@pytest.mark.parametrize("content", [b"", b"a", bytes(3 << 20)])
@pytest.mark.parametrize("wrap", [bytes, io.BytesIO])
def test_content_comes_back(blobs: Blobs, content: bytes, wrap: Callable[[bytes], object]) -> None:
    stored = blobs.put(wrap(content), most_bytes=len(content))
    assert stored == Stored(hashlib.sha256(content).hexdigest(), len(content))
    assert blobs.read(stored.digest) == content
    with blobs.open(stored.digest) as stream:
        assert stream.read() == content
    assert blobs.path(stored.digest).relative_to(blobs.folder).parts[:3] == (
        "sha256",
        stored.digest[:2],
        stored.digest[2:4],
    )
    assert files(blobs) == [blobs.path(stored.digest)]


@pytest.mark.parametrize("wrap", [bytes, io.BytesIO])
def test_too_long_content_is_refused(blobs: Blobs, wrap: Callable[[bytes], object]) -> None:
    with pytest.raises(TooLargeError, match="longer than 3 bytes"):
        blobs.put(wrap(b"four"), most_bytes=3)
    assert files(blobs) == []


def test_an_endless_stream_is_read_no_further_than_the_limit(blobs: Blobs) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            Endless.given += size
            return bytes(size)

    with pytest.raises(TooLargeError):
        blobs.put(Endless(), most_bytes=5 << 20)
    assert Endless.given <= 6 << 20


def test_content_that_is_not_what_was_announced_is_refused(blobs: Blobs) -> None:
    with pytest.raises(DataError, match=f"not {ABSENT} as announced"):
        blobs.put(b"content", most_bytes=MOST, digest=ABSENT)
    assert files(blobs) == []


@pytest.mark.parametrize(
    "digest", ["", "abc", "../" * 20 + "etc/passwd", "A" * 64, "0" * 63 + "\n", "\u0660" * 64, "0" * 65]
)
def test_what_is_no_digest_is_no_path(blobs: Blobs, digest: str) -> None:
    for use in (blobs.path, blobs.has, blobs.open, blobs.read, blobs.discard):
        with pytest.raises(NotFoundError):
            use(digest)


def test_absent_content(blobs: Blobs) -> None:
    assert not blobs.has(ABSENT)
    for use in (blobs.open, blobs.read):
        with pytest.raises(NotFoundError, match=ABSENT):
            use(ABSENT)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damage_is_found_and_mended_by_sending_again(blobs: Blobs) -> None:
    good, bad = keep(blobs, b"good"), keep(blobs, b"bad content")
    damage(blobs.path(bad.digest))
    with pytest.raises(DataError, match="damaged"):
        blobs.read(bad.digest)
    steps: list[tuple[int, int]] = []
    flaws = blobs.verify(lambda done, total, message: steps.append((done, total)))
    assert [flaw.subject for flaw in flaws] == [f"file {bad.digest}"]
    assert steps == [(1, 2), (2, 2)]
    keep(blobs, b"bad content")
    assert blobs.verify() == []
    assert blobs.read(good.digest) == b"good"


def test_a_file_with_a_false_name_is_found(blobs: Blobs) -> None:
    stored = keep(blobs, b"content")
    false = blobs.path("ab" * 32)
    false.parent.mkdir(parents=True)
    shutil.copy(blobs.path(stored.digest), false)
    assert blobs.verify() == [Flaw(f"file {'ab' * 32}", f"is damaged: its sha256 is {stored.digest}")]


def test_threads_that_store_the_same(blobs: Blobs) -> None:
    found: list[Stored] = []

    def work() -> None:
        found.extend(keep(blobs, bytes([number]) * 1000) for number in range(20))

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert len(set(found)) == 20
    assert len(files(blobs)) == 20
    assert blobs.verify() == []


def test_what_is_remembered_of_folders_does_not_grow(blobs: Blobs) -> None:
    def paths() -> int:
        gc.collect()
        return sum(issubclass(type(each), Path) for each in gc.get_objects())

    keep(blobs, b"first")
    before = paths()
    stored = [keep(blobs, b"%d" % number) for number in range(60)]
    assert len({each.digest[:4] for each in stored}) > 50
    assert paths() - before < 5


class BlobsAgainstMapping(RuleBasedStateMachine):
    """Whatever is put, discarded, damaged and reopened, the store holds what a mapping holds."""

    contents = Bundle("contents")

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = Path(tempfile.mkdtemp())
        self.blobs = Blobs(self.folder)
        self.mapping: dict[str, bytes] = {}

    @rule(target=contents, content=st.binary(max_size=40), streamed=st.booleans())
    def put(self, content: bytes, streamed: bool) -> bytes:
        stored = self.blobs.put(io.BytesIO(content) if streamed else content, most_bytes=40)
        assert stored == Stored(hashlib.sha256(content).hexdigest(), len(content))
        self.mapping[stored.digest] = content
        return content

    @rule(content=contents, longer=st.binary(min_size=1, max_size=9))
    def put_too_much(self, content: bytes, longer: bytes) -> None:
        with pytest.raises(TooLargeError):
            self.blobs.put(content + longer, most_bytes=len(content))

    @rule(content=contents, young=st.booleans())
    def discard(self, content: bytes, young: bool) -> None:
        digest = hashlib.sha256(content).hexdigest()
        gone = self.blobs.discard(digest, 60 if young else 0)
        assert gone == (not young or digest not in self.mapping)
        if gone:
            self.mapping.pop(digest, None)

    @rule()
    def reopen(self) -> None:
        self.blobs = Blobs(self.folder)

    @invariant()
    def same(self) -> None:
        assert list(self.blobs.digests()) == sorted(self.mapping)
        assert {digest: self.blobs.read(digest) for digest in self.blobs.digests()} == self.mapping
        assert self.blobs.verify() == []
        assert list(self.folder.rglob("*.part")) == []

    def teardown(self) -> None:
        shutil.rmtree(getattr(self, "folder", Path("absent")), ignore_errors=True)


TestBlobsAgainstMapping = BlobsAgainstMapping.TestCase
TestBlobsAgainstMapping.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


class FailingSystem:
    """Lets the nth call of the system fail, of those that storing a file makes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
        self.calls: list[str] = []
        self._number, self._code = number, code
        for owner, name in [(os, "open"), (os, "fsync"), (os, "mkdir"), (os, "rename"), (os, "replace"), (io, "open")]:
            monkeypatch.setattr(owner, name, self._failing(name, getattr(owner, name)))

    def _failing(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            self.calls.append(name)
            if len(self.calls) == self._number:
                raise OSError(self._code, os.strerror(self._code))
            return real(*args, **kwargs)

        return call


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_file_is_stored_whole_or_not_at_all_whatever_call_fails(tmp_path: Path, code: int) -> None:
    content = b"content" * 1000
    kind = OutputError if code == errno.EIO else StorageFullError
    failed = 0
    for number in range(1, 100):
        blobs = Blobs(tmp_path / f"{number}")
        before = keep(blobs, b"before")
        with pytest.MonkeyPatch.context() as patch:
            system = FailingSystem(patch, number, code)
            try:
                stored = keep(blobs, content)
            except kind:
                failed += 1
                stored = None
        assert blobs.verify() == []
        assert list((blobs.folder / "incoming").iterdir()) == []
        assert blobs.read(before.digest) == b"before"
        # What failed can be done again.
        again = keep(blobs, content)
        assert blobs.read(again.digest) == content
        if number > len(system.calls):
            break
    # That a folder which is there cannot be made again is no failure.
    assert len(system.calls) - 2 <= failed <= len(system.calls)
    assert stored is not None
    assert failed >= 8
    assert {"open", "fsync", "mkdir"} <= set(system.calls)
    assert {"rename", "replace"} & set(system.calls)


PUTTER = """
import sys
from pathlib import Path
from isotherm.store.blobs import Blobs
blobs = Blobs(Path(sys.argv[1]))
for number in range(10**6):
    content = f"{sys.argv[2]} {number} ".encode() * 2000
    print(blobs.put(content, most_bytes=1 << 20).digest, flush=True)
"""


def test_nothing_that_was_acknowledged_is_lost_by_kill(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for turn in range(4):
        acknowledged += lines_until_killed(PUTTER, tmp_path, str(turn), lines=20 + 7 * turn)
    blobs = Blobs(tmp_path)
    assert len(acknowledged) >= 122
    assert set(acknowledged) <= set(blobs.digests())
    assert blobs.verify() == []
    blobs.sweep(older_than_s=0)
    assert list((tmp_path / "incoming").iterdir()) == []
