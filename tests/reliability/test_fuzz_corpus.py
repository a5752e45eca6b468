"""The saved corpus of the fuzzer through every parser again, and the fuzzer itself: does it find what is wrong?

``make fuzz`` looks for more, and ``fuzz/fuzz.py --keep`` takes into the corpus what reached new code.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
CORPUS = FUZZ / "corpus"
MOST_BYTES = 2_000_000
SECONDS = 5.0


@pytest.fixture(autouse=True)
def fuzz_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FUZZ))


def names() -> list[str]:
    return sorted(path.name for path in CORPUS.iterdir())


@pytest.mark.parametrize("name", names())
def test_nothing_but_refusals_comes_out(name: str) -> None:
    from targets import TARGETS

    slowest, read = 0.0, 0
    for path in sorted((CORPUS / name).iterdir()):
        start = time.process_time()
        try:
            read += TARGETS[name](path.read_bytes())
        except Exception as error:
            raise AssertionError(f"fuzz/fuzz.py {name} --input {path}: {error!r}") from error
        slowest = max(slowest, time.process_time() - start)
    assert slowest < SECONDS
    # Whole files of these makers are too large to be kept; `test_every_seed_is_read` has them.
    assert read > 0 or name in ("bosch", "dji", "guide")


def test_every_parser_has_a_corpus_and_seeds() -> None:
    from seeds import seeds
    from targets import TARGETS

    assert names() == sorted(TARGETS) == sorted(seeds())


def test_every_seed_is_read() -> None:
    from seeds import seeds
    from targets import TARGETS

    assert [
        (name, number)
        for name, each in seeds().items()
        for number, data in enumerate(each)
        if not reads(TARGETS, name, data)
    ] == []


def reads(targets: dict[str, object], name: str, data: bytes) -> bool:
    return targets[name](data)  # type: ignore[operator]


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < MOST_BYTES


@pytest.mark.slow
def test_the_fuzzer_finds_a_planted_fault_and_passes_a_sound_parser(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    copy = tmp_path / "fuzz"
    copy.mkdir()
    for name in ("fuzz.py", "targets.py", "seeds.py"):
        text = (FUZZ / name).read_text("utf-8")
        (copy / name).write_text(text.replace("resolve().parents[1]", f"resolve().parents[0] / {str(FUZZ.parent)!r}"))
    sound = fuzz(copy, "compat")
    assert sound.returncode == 0, sound.stdout + sound.stderr
    assert int(sound.stdout.split()[1]) > 100
    targets = copy / "targets.py"
    targets.write_text(
        targets.read_text("utf-8").replace("return parse_marked(", "assert b'=' not in data\n    return parse_marked(")
    )
    wrong = fuzz(copy, "regions")
    assert wrong.returncode == 1
    assert "BROKEN" in wrong.stdout
    (broken,) = (copy / "found" / "regions").glob("broken-*")
    assert b"=" in broken.read_bytes()


def fuzz(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(folder / "fuzz.py"), name, "--seconds", "2"]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=200)
