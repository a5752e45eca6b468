"""``isotherm export``: a model as one graph for other programs, with a proof that it says the same."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, from_flags
from isotherm.cli.progress import bar
from isotherm.formats import ReadHints
from isotherm.workflows.export import Exported, ExportSettings, Images, export_model
from isotherm.workflows.models import load_model
from isotherm.workflows.parity import Parity


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL_DIR", help="folder of `isotherm train`")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the graph")
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="images to compare on, labelled or not (default: made-up ones)"
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="DIR", help="normal images that fix the ranges of int8; never test images"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="threads that decode images (default 2)")
    add_flags(parser, ExportSettings, "export")
    add_flags(parser, ReadHints, "files that do not say their scale or unit")


def run(arguments: argparse.Namespace) -> int:
    """Export, compare and print how far the graph is from the model."""
    model = load_model(arguments.model)
    with bar() as progress:
        exported = export_model(
            model,
            arguments.output,
            from_flags(ExportSettings, arguments),
            images=Images(arguments.images, from_flags(ReadHints, arguments), arguments.jobs),
            calibration=arguments.calibration,
            progress=progress,
        )
    print("\n".join(lines(exported)))
    return 0


def lines(exported: Exported) -> Iterator[str]:
    """Yield the printed summary."""
    manifest = exported.manifest
    yield f"{exported.folder}: {manifest['model']['method']} as {manifest['format']}, {manifest['precision']}"
    for item in manifest["inputs"]:
        yield f"  input  {item['name']:7}{' x '.join(map(str, item['shape'])):18}{item['unit']}"
    yield f"  output maps, scores; an anomaly is above {manifest['threshold']:.6g}"
    yield from parity_lines(exported.parity)


def parity_lines(parity: Parity) -> Iterator[str]:
    """Yield what model and graph say about the same images."""
    yield f"  the model and this graph on {len(parity.images)} images (differences as a share of {parity.scale:.4g}):"
    yield f"    score  largest {parity.max_difference:.2e}, mean {parity.mean_difference:.2e}"
    yield f"    map    largest {parity.max_map_difference:.2e}"
    yield f"    batches of 1, 2 and 7: largest {parity.max_batch_difference:.2e}"
    yield f"    labels flipped: {parity.flips}"
    if parity.auroc is not None and parity.auroc_exported is not None:
        yield f"    AUROC  model {parity.auroc:.4f}, graph {parity.auroc_exported:.4f}"
