"""Fuzzing led by coverage: each parser in a process of its own, from a saved corpus.

    python fuzz/fuzz.py [NAME ...] [--seconds 60]     # what broke is kept below fuzz/found
    python fuzz/fuzz.py NAME --input FILE             # try one input, with the traceback
    python fuzz/fuzz.py [NAME ...] --keep             # take what was found into the corpus, as few inputs as will do

Needs atheris (https://github.com/google/atheris), which brings libFuzzer. Exit status 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).resolve().parent
CORPUS, FOUND = HERE / "corpus", HERE / "found"
LONGEST = 1 << 19
"""No input is longer [bytes]; only inputs up to `KEPT` are taken into the corpus."""
KEPT = 8192
Step = tuple[str, int, int]
"""A file, a line and the one after it."""
LIMITS = ("-timeout=10", "-rss_limit_mb=2048", f"-max_len={LONGEST}", "-print_final_stats=1", "-verbosity=0")


def work(name: str, options: list[str]) -> None:
    """Fuzz one target in this process; libFuzzer reads the options and never comes back."""
    import atheris

    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(include=["isotherm"], enable_loader_override=False):
        from targets import TARGETS

    target = TARGETS[name]
    atheris.Setup([sys.argv[0], *options], lambda data: (target(data), None)[1])
    atheris.Fuzz()


def names() -> list[str]:
    """Return the names of all targets."""
    sys.path.insert(0, str(HERE))
    from targets import TARGETS

    return list(TARGETS)


def lay_out_seeds(folder: Path, wanted: list[str]) -> None:
    """Write the inputs that the tests make, each into the folder of its target."""
    sys.path.insert(0, str(HERE))
    from seeds import seeds

    for name, inputs in seeds().items():
        if name in wanted:
            (folder / name).mkdir(parents=True)
            for data in inputs:
                (folder / name / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def run_apart(name: str, options: list[str]) -> subprocess.CompletedProcess[str]:
    """Run libFuzzer on one target in a process of its own."""
    command = [sys.executable, __file__, name, "--worker", "--", *LIMITS, *options]
    # Where a fault of memory is one of a library's, a traceback of Python tells who called it.
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=environment)


def fuzz(name: str, seeds: Path, seconds: float) -> bool:
    """Fuzz one target for a while, print one line, and say whether it kept its promises."""
    found = FOUND / name
    for folder in (found, seeds / name, CORPUS / name):
        folder.mkdir(parents=True, exist_ok=True)
    # At least once over all that is known, however short the time.
    options = [f"-max_total_time={max(1, int(seconds))}", f"-artifact_prefix={found}/broken-"]
    done = run_apart(name, [*options, str(found), str(CORPUS / name), str(seeds / name)])
    tried = _number_after(done.stderr, "stat::number_of_executed_units:")
    print(f"{name:<20} {tried:>8} tried  {'' if done.returncode == 0 else 'BROKEN'}", flush=True)
    if done.returncode:
        print(done.stderr[-3000:], flush=True)
    return done.returncode == 0


def keep(name: str, seeds: Path) -> None:
    """Make the corpus of one target anew: short inputs first, and none that reaches nothing new."""
    sources = [CORPUS / name, FOUND / name, seeds / name]
    inputs = {path.read_bytes() for source in sources for path in source.glob("[0-9a-f]*")}
    kept, reached = list[bytes](), set[Step]()
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        if len(data) <= KEPT and (steps := steps_of(name, data)) - reached:
            reached |= steps
            kept.append(data)
    shutil.rmtree(CORPUS / name, ignore_errors=True)
    (CORPUS / name).mkdir(parents=True)
    for data in kept:
        (CORPUS / name / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    print(f"{name:<20} {len(kept):>6} inputs, {sum(map(len, kept)) / 1e3:.0f} kB", flush=True)


def steps_of(name: str, data: bytes) -> set[Step]:
    """Return the steps from line to line that the parsers take for an input."""
    from targets import TARGETS

    found = set[Step]()

    def begin(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:  # noqa: ARG001 (their form)
        file, last = frame.f_code.co_filename, 0

        def line(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:  # noqa: ARG001
            nonlocal last
            found.add((file, last, frame.f_lineno))
            last = frame.f_lineno
            return line

        return line if "isotherm" in file else None

    sys.settrace(begin)
    try:
        TARGETS[name](data)
    finally:
        sys.settrace(None)
    return found


def _number_after(text: str, words: str) -> int:
    _, _, rest = text.partition(words)
    return int(rest.split()[0]) if rest.split() else 0


def main() -> int:
    """Run what the command line asks for; returns 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--input", type=Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    before = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    arguments = parser.parse_args(before)
    if arguments.worker:
        work(arguments.names[0], sys.argv[sys.argv.index("--") + 1 :])
    wanted = arguments.names or names()
    if arguments.input:
        from targets import TARGETS

        print("read" if TARGETS[wanted[0]](arguments.input.read_bytes()) else "refused")
        return 0
    with tempfile.TemporaryDirectory() as seeds:
        lay_out_seeds(Path(seeds), wanted)
        if arguments.keep:
            for name in wanted:
                keep(name, Path(seeds))
            return 0
        broken = [name for name in wanted if not fuzz(name, Path(seeds), arguments.seconds)]
        return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
