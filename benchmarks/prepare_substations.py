"""Lay out the substation temperatures for ``isotherm evaluate``: two classes, and groups of near-duplicates.

    ISOTHERM_DATA=DATA python benchmarks/prepare_substations.py OUT

OUT gets links ``normal/<name>.png`` and ``faulty/<site>/<name>.png``, and ``groups.csv``. The pictures hold counts:
°C = count * 0.1 - 100 (``--step 0.1 --offset -100 --unit c``).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from accuracy import lay_out, substations


def main() -> None:
    """Read the command line and prepare."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    pictures = list(substations(Path(os.environ["ISOTHERM_DATA"])))
    lay_out(pictures, Path(sys.argv[1]))
    print(f"{sys.argv[1]}: {len(pictures)} pictures and groups.csv")


if __name__ == "__main__":
    main()
