"""Two small data sets played through the per-site API: states of a circuit, and open and closed hands.

python benchmarks/compat_demo.py DATA [--network small_cnn|logistic] [--only circuit|hands]

Each site is one data set of its own, sent with `save_data`, taught with `make_model` and asked with `predict`. What is
held out: of the circuit one of the three shots of each state in turn; of the hands the second half of the shots of the
same person and sensor (and the first, the other way round), or the other person at the same sensor.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compat_served import served, told

from isotherm.client.compat import CompatClient
from isotherm.core.proportions import clopper_pearson
from isotherm.workflows.compat.config import CompatSettings

STATES = (
    "off", "left 40", "left 84", "left 128", "right 40", "right 83", "right 130", "both 40", "both 80", "both 130",
)  # fmt: skip
FIRST, STEP, SHOTS = 326, 5, 3
"""IR_0326, 0327, 0328 are the first state, IR_0331 ... the second: every fifth number begins one."""
PERSONS, SENSORS, HAND_SHOTS = ("aki", "simo"), 4, range(1, 11)
HANDS = {"auki": "open", "kiinni": "closed"}
NO_CATEGORY = "No category (Anomaly)"


@dataclass(frozen=True)
class Example:
    """One file: what it shows, and whether the site learns from it."""

    path: Path
    category: str
    learnt: bool


@dataclass
class Score:
    """How many pictures were told right, wrong, and as no category."""

    right: int = 0
    refused: int = 0
    all: int = 0

    def add(self, truth: str, said: str) -> None:
        """Count one answer."""
        self.all += 1
        self.right += truth == said
        self.refused += said == NO_CATEGORY

    def row(self) -> str:
        """Return right of all, with the exact 95 % interval, and how many were refused."""
        low, high = clopper_pearson(self.right, self.all)
        return f"{self.right} of {self.all} ({self.right / self.all:.1%}, {low:.0%} to {high:.0%}) | {self.refused}"


def circuit(data: Path) -> Iterator[tuple[str, str, list[Example]]]:
    """Yield (experiment, site, examples): one shot of each state is held out in turn."""
    for held in range(SHOTS):
        examples = [
            Example(data / "resistive_circuit" / f"IR_{FIRST + STEP * state + shot:04d}.jpg", name, shot != held)
            for state, name in enumerate(STATES)
            for shot in range(SHOTS)
        ]
        yield "circuit, 10 states, one shot of three held out", f"circuit shot {held}", examples


def hands(data: Path) -> Iterator[tuple[str, str, list[Example]]]:
    """Yield (experiment, site, examples): half of the shots held out, and the other person held out."""
    for sensor in range(SENSORS):
        for person in PERSONS:
            for half in (0, 1):
                examples = list(_hands(data, sensor, {person: lambda shot, half=half: (shot > 5) == bool(half)}))
                yield "hands, same person and sensor, half of the shots", f"{person} {sensor} half {half}", examples
            other = PERSONS[1 - PERSONS.index(person)]
            learnt = {person: lambda _: True, other: lambda _: False}
            yield (
                "hands, same sensor, the other person",
                f"{person} {sensor} to {other}",
                list(_hands(data, sensor, learnt)),
            )


def _hands(data: Path, sensor: int, learnt: dict) -> Iterator[Example]:
    for folder, category in HANDS.items():
        for person, learns in learnt.items():
            for shot in HAND_SHOTS:
                path = data / "hands_mlx90640" / f"{folder}_{person}" / str(shot) / f"out{sensor}.txt"
                yield Example(path, category, learns(shot))


def play(client: CompatClient, site: str, examples: list[Example], folder: Path) -> list[tuple[str, str]]:
    """Send what is learnt from, have it taught, and return (truth, answer) of what was held out."""
    for number, each in enumerate(examples):
        # The files of hands all have the same names, and a name is a picture's place in its category.
        copy = folder / f"{number:03d} {each.path.stem}{each.path.suffix}"
        copy.write_bytes(each.path.read_bytes())
        if each.learnt:
            client.save_data(site, "train", each.category, copy)
    client.make_model(site, forceful=True)
    held = [(number, each) for number, each in enumerate(examples) if not each.learnt]
    paths = [folder / f"{number:03d} {each.path.stem}{each.path.suffix}" for number, each in held]
    answers = client.predict_all(site, paths)
    return [(each.category, answer.image_class) for (_, each), answer in zip(held, answers, strict=True)]


def main() -> None:
    """Play the sites, print a row for each experiment."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder that holds resistive_circuit/ and hands_mlx90640/")
    parser.add_argument("--network", choices=("small_cnn", "logistic"), default="small_cnn")
    parser.add_argument("--only", choices=("circuit", "hands"))
    arguments = parser.parse_args()
    settings = CompatSettings(network=arguments.network)
    sources = {"circuit": circuit, "hands": hands}
    chosen = [sources[arguments.only]] if arguments.only else list(sources.values())
    scores: dict[str, Score] = {}
    with served(settings) as client:
        for source in chosen:
            for experiment, site, examples in source(arguments.data):
                with tempfile.TemporaryDirectory() as folder:
                    for truth, said in play(client, site, examples, Path(folder)):
                        scores.setdefault(experiment, Score()).add(truth, said)
                print(f"{site}: {scores[experiment].row()} so far", flush=True)
    print(f"\n{told(settings)}\n\n| held out | right (95 % interval) | no category |\n|---|---|---|")
    for experiment, score in scores.items():
        print(f"| {experiment} | {score.row()} |")


if __name__ == "__main__":
    main()
