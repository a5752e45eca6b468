"""The model that comes with the package: simulate plates, teach, write the model's folder.

python benchmarks/pretrained.py FOLDER [-o src/isotherm/sequences/pretrained/plates]

FOLDER gets the plates (about 2.5 GB, made where they are missing): 300 of many materials, sizes and cameras
(`isotherm sequence dataset --broad`), 200 of carbon fibre (`isotherm sequence dataset`). Nothing real is among them,
and none of the plates that results are reported for. 14 channels in the first stage keep the model near 1 MB.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from isotherm.cli.progress import bar
from isotherm.datasets.plate_broad import BroadPlates
from isotherm.datasets.plate_dataset import DEFECTS, write_plates
from isotherm.datasets.plate_random import RandomPlates
from isotherm.segmentation.network import NetConfig
from isotherm.segmentation.plan import FitConfig
from isotherm.workflows.sequence_train import SequenceTraining, SequenceTrainSettings, train_network

PARTS = {"broad": (BroadPlates(), 300, 105), "carbon": (RandomPlates(), 200, 104)}
"""Name -> what is drawn from, plates, seed."""
TRAINING = SequenceTraining(
    net="unet",
    net_config=NetConfig(width=14),
    fit=FitConfig(steps=3000, crop_px=112),
    train=SequenceTrainSettings(validation=0.15, seed=0, augment_copies=1),
)
MODEL = Path(__file__).resolve().parents[1] / "src/isotherm/sequences/pretrained/plates"


def main() -> None:
    """Make what is missing, teach, and print the card."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=MODEL)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    for name, (spec, count, seed) in PARTS.items():
        if not (arguments.folder / name / DEFECTS).exists():
            with bar() as progress:
                write_plates(
                    arguments.folder / name, spec, count=count, seed=seed, workers=arguments.workers, progress=progress
                )
    folders = [arguments.folder / name for name in PARTS]
    with bar() as progress:
        taught = train_network(folders, arguments.output, TRAINING, progress=progress)
    print("\n".join(taught.model.card))


if __name__ == "__main__":
    main()
