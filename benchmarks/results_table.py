"""Markdown tables for docs/results.md from the ``metrics.json`` of ``isotherm evaluate``.

    python benchmarks/results_table.py OUT/metrics.json [--kinds]

One line for each site and one over all; with ``--kinds`` one line for each kind of defect against all normal images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

IMAGE = {"auroc": "AUROC", "average_precision": "AP", "f1": "F1", "f1_max": "F1-max*"}
PIXEL = {"pixel_auroc": "pixel AUROC", "aupro": "AUPRO", "aupimo": "AUPIMO", "pixel_f1": "pixel F1", "iou": "IoU"}


def cell(measured: dict[str, Any]) -> str:
    """Return a value with its interval, or a dash."""
    if measured["value"] is None:
        return "–"
    text = f"{measured['value']:.3f}"
    return text if measured.get("low") is None else f"{text} [{measured['low']:.3f}, {measured['high']:.3f}]"


def table(metrics: dict[str, Any], *, kinds: bool) -> str:
    """Return the table's lines."""
    sites = metrics["sites"]
    parts = metrics["kinds"] if kinds else (sites if len(sites) == 1 else {**sites, "all": metrics["pooled"]})
    names = IMAGE if kinds or not metrics["pooled"]["counts"]["masks"] else IMAGE | PIXEL
    head = ["kind" if kinds else "site", "normal", "anomalous", *names.values()]
    lines = [head, ["---"] * len(head)]
    for name, part in parts.items():
        values = [cell(part["image" if key in IMAGE else "pixel"][key]) for key in names]
        lines.append([name, str(part["counts"]["normal"]), str(part["counts"]["anomalous"]), *values])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description="Markdown tables from metrics.json")
    parser.add_argument("metrics", type=Path, nargs="+")
    parser.add_argument("--kinds", action="store_true")
    arguments = parser.parse_args()
    for path in arguments.metrics:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        timings = metrics["timings"]
        print(f"\n{path}\n\n{table(metrics, kinds=arguments.kinds)}\n")
        print(
            f"Training {timings['train_cpu_s']:.0f} s of CPU over {len(metrics['folds'])} folds, "
            f"judging {timings['images_per_s']:.0f} images/s."
        )


if __name__ == "__main__":
    main()
