"""Damaged files for every reader: nothing but FormatError may come out, in bounded time and memory.

    python benchmarks/fuzz_formats.py [NAME ...] [--count 20000] [--seed 0] [--minutes M]
    python benchmarks/fuzz_formats.py NAME --seed 0 --index 4711      # replay one, with the traceback

Every reader runs in a process of its own, so that a crash is a result as well; where one dies, the mutation that
killed it is named. The samples are those of the conformance tests. Exit status 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "formats")]
# No program of another maker is started: its own errors are not ours to find, and it takes 0.3 s a file.
os.environ["ISOTHERM_DJI_READER"] = "none"
os.environ.pop("ISOTHERM_DJI_SDK", None)

from isotherm.formats.reader import ReadHints  # noqa: E402
from isotherm.formats.reading import FORMATS  # noqa: E402
from isotherm.formats.sequences import SEQUENCES  # noqa: E402
from isotherm.testing.fuzz import Attempt, Sample, drawn, fuzz, mutated, opening_with, reading_with  # noqa: E402

ADDRESS_SPACE = 6 << 30
SEQUENCE = "sequence:"


def samples_of(name: str) -> list[Sample]:
    """Return the samples of a reader from the conformance tests."""
    if name.startswith(SEQUENCE):
        from test_sequences import SAMPLES as SEQUENCE_SAMPLES

        return [(data, ReadHints()) for reader, data in SEQUENCE_SAMPLES if reader == name.removeprefix(SEQUENCE)]
    from test_format_conformance import SAMPLES

    return [(data, hints or ReadHints()) for reader, _, data, hints in SAMPLES if reader == name]


def attempt_of(name: str) -> Attempt:
    """Return how a reader is tried."""
    if name.startswith(SEQUENCE):
        return opening_with(SEQUENCES.get(name.removeprefix(SEQUENCE)))
    return reading_with(FORMATS.get(name))


def names() -> list[str]:
    """Return the names of all readers, those of sequences behind the others."""
    return [*FORMATS.names(), *(SEQUENCE + name for name in SEQUENCES.names())]


def limited(count: int, seconds: float) -> Iterator[int]:
    """Yield indices until there are `count`, or the time is over."""
    start = time.monotonic()
    for index in range(count):
        if time.monotonic() - start > seconds:
            return
        yield index


def work(arguments: argparse.Namespace) -> None:
    """Fuzz one reader in this process and print the report as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    trace = os.open(arguments.trace, os.O_WRONLY | os.O_CREAT)
    (name,) = arguments.names
    report = fuzz(
        name,
        attempt_of(name),
        samples_of(name),
        indices=limited(arguments.count, 60 * arguments.minutes),
        seed=arguments.seed,
        before=lambda index, _: os.pwrite(trace, b"%012d" % index, 0),
    )
    print(json.dumps(asdict(report)))


def replay(arguments: argparse.Namespace) -> None:
    """Try one mutation and let its error out."""
    (name,) = arguments.names
    samples = samples_of(name)
    data, said = mutated([data for data, _ in samples], arguments.seed, arguments.index)
    print(f"{len(data)} bytes: {said}; {data[:64]!r}")
    start = time.perf_counter()
    print(
        "read"
        if attempt_of(name)(data, samples[drawn(len(samples), arguments.seed, arguments.index)][1])
        else "refused"
    )
    print(f"{time.perf_counter() - start:.3f} s")


def run_apart(name: str, arguments: argparse.Namespace) -> bool:
    """Fuzz one reader in a process of its own, print one line, and say whether it kept its promises."""
    with tempfile.NamedTemporaryFile() as trace:
        command = [sys.executable, __file__, name, "--trace", trace.name, "--seed", str(arguments.seed)]
        command += ["--count", str(arguments.count), "--minutes", str(arguments.minutes)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        last = Path(trace.name).read_text(encoding="ascii")
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no word"])[-1]
        print(f"{name:<20} DIED with status {done.returncode} at index {int(last or 0)}: {why}", flush=True)
        return False
    report = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{name:<20} {report['tried']:>7} tried  {report['refused']:>7} refused  {report['read']:>6} read  "
        f"slowest {report['slowest_s']:.3f} s  memory +{report['growth_bytes'] >> 20} MiB  "
        f"{len(report['failures'])} failures",
        flush=True,
    )
    for failure in report["failures"][:10]:
        print(f"    {failure}")
    return not report["failures"] and report["tried"] > 0


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="readers (default: all)")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="most for one reader")
    parser.add_argument("--index", type=int, help="replay this one")
    parser.add_argument("--trace", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.trace:
        work(arguments)
        return 0
    if arguments.index is not None:
        replay(arguments)
        return 0
    kept = [run_apart(name, arguments) for name in arguments.names or names()]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
