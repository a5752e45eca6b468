"""Size on disk of the packages of the environment that runs this, against the 400 MB of the base install.

Byte code is left out, for how much of it there is depends on what has been used: 43 MB where all of it is made.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

LIMIT_MB = 355
BYTE_CODE = "__pycache__"
INSTALLERS = ("pip", "setuptools")  # what venv itself puts there, not what isotherm installs


def size_mb(folder: Path) -> float:
    """Return the space on disk of a folder's files but byte code in MB (10^6 bytes), as `du` counts it."""
    files = [folder] if folder.is_file() else [path for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_blocks * 512 for path in files if path.parent.name != BYTE_CODE) / 1e6


def main() -> int:
    """Print the five largest packages and the sum; exit 1 where the sum is over the limit."""
    site = Path(sysconfig.get_path("purelib"))
    sizes = {entry.name: size_mb(entry) for entry in site.iterdir() if not entry.name.startswith(INSTALLERS)}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:8]:
        print(f"{size:8.1f} MB  {name}")
    total = sum(sizes.values())
    print(f"{total:8.1f} MB  in all without byte code; limit {LIMIT_MB} MB, ratio {total / LIMIT_MB:.2f}")
    return int(total > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
