"""Lay out the InfraredSolarModules crops for ``isotherm evaluate``: one folder a class, and groups of neighbours.

    python benchmarks/prepare_solar.py modules.npz OUT [--every 1] [--blocks 5]

`modules.npz` holds ``images`` uint8 (N H W), ``labels`` (index into ``names``), ``names`` and ``ids`` (ascending). OUT
gets ``normal/<id>.png``, ``faulty/<class>/<id>.png`` and ``groups.csv``. Crops of neighbouring ids look alike, so each
class is cut into blocks of consecutive ids, and a block never straddles two folds.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image

NORMAL = "No-Anomaly"


def prepare(archive: Path, out: Path, *, every: int = 1, blocks: int = 5) -> int:
    """Write every `every`-th crop of each class, and the table of groups; returns how many crops there are."""
    with np.load(archive, allow_pickle=False) as data:
        images, labels, names, ids = (data[name] for name in ("images", "labels", "names", "ids"))
    rows: list[tuple[str, str]] = []
    for label, name in enumerate(names.tolist()):
        members = np.flatnonzero(labels == label)
        for block, part in enumerate(np.array_split(members, blocks)):
            for member in part[::every].tolist():
                file = f"normal/{ids[member]}.png" if name == NORMAL else f"faulty/{name}/{ids[member]}.png"
                (out / file).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(images[member]).save(out / file)
                rows.append((file, f"{name} {block + 1}"))
    with (out / "groups.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("file", "group"), *rows])
    return len(rows)


def main() -> None:
    """Read the command line and prepare."""
    parser = argparse.ArgumentParser(description="lay out the solar module crops for `isotherm evaluate`")
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every n-th crop of each block (default: all)")
    parser.add_argument("--blocks", type=int, default=5, help="blocks of consecutive ids in each class (default 5)")
    arguments = parser.parse_args()
    count = prepare(arguments.archive, arguments.out, every=arguments.every, blocks=arguments.blocks)
    print(f"{arguments.out}: {count} crops and groups.csv")


if __name__ == "__main__":
    main()
