"""Write the numbers of docs/scaling.md anew, from `scaling_costs.json` and the simulation.

python benchmarks/scaling_page.py [PAGE]

What lies between ``<!-- NAME -->`` and ``<!-- end -->`` is made here; a test says where the page is not what the file
of costs gives.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaling_simulation import COSTS, Load, load_of, modelled, saturation, simulated, total

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
CORES, RUN, FAILURES_H = 16, 500_000, 500
ROWS = (("hotspots", "hotspots"), ("patchcore", "PatchCore"))
_BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page(text: str, costs: Mapping[str, Any]) -> str:
    """Return the page with its numbers from these costs."""
    made = {"costs": measured, "limits": limits, "runs": runs, "conclusions": conclusions}
    return _BLOCK.sub(lambda found: f"{found[1]}\n{made[found[2]](costs)}\n\n{found[3]}", text)


def measured(costs: Mapping[str, Any]) -> str:
    """Return the table of what an image, a chunk and a run cost."""
    worker, driver, bucket = costs["worker"], costs["driver"], costs["bucket"]
    plain, drawn, scored = worker["hotspots"], worker["hotspots_panels"], worker["patchcore"]
    names = "memory", "an image's path and name, from the beginning on"
    rows = (
        ("who", "what", "cost"),
        ("---", "---", "---"),
        ("worker, an image", "read, hotspots, temperatures", _ms(plain["processor_s"])),
        ("", "the same with panels", f"{_ms(drawn['processor_s'])} ({drawn['written_bytes'] / 1000:.0f} kB written)"),
        ("", "the same with a PatchCore model, no panels", _ms(scored["processor_s"])),
        ("", "read from a bucket rather than a disk", f"{_ms(bucket['read_processor_s'])} more"),
        (f"driver, a chunk of {costs['chunk']}", "give and take back", _ms(driver["dispatch_processor_s"])),
        ("", "pack and commit to the ledger (SQLite)", _commit(driver)),
        (
            "driver, an image, at the end",
            "its row into `results.csv`, page, `run.json`",
            _ms(driver["end_processor_s"]),
        ),
        ("", "Parquet", _ms(driver["parquet_processor_s"])),
        (f"driver, {names[0]}", names[1], f"{driver['driver_names_bytes'] / 1000:.1f} kB"),
        ("", "the end of a run, however many images above 5,000", f"{driver['driver_end_bytes'] / 1e6:.0f} MB"),
        ("bucket", "read by the workers", f"{costs['image_bytes'] / 1000:.0f} kB an image"),
    )
    table = "\n".join(f"| {' | '.join(row)} |".replace("| --- | --- | --- |", "|---|---|---|") for row in rows)
    return f"On this machine: {costs['machine']}.\n\n{table}"


def limits(costs: Mapping[str, Any]) -> str:
    """Return the table of the numbers of workers beyond which more bring nothing."""
    load, driver = _load(costs), costs["driver"]
    ends = saturation(load)
    commit_s = driver["dispatch_processor_s"] + driver["commit_processor_s"]
    quick = costs["chunk"] * load.image_s / commit_s
    slow = f"a chunk in {_ms(load.chunk_s)} at one driver ({quick:.0f} workers where a commit takes its processor time)"
    memory = 1e6 * driver["driver_names_bytes"] + driver["driver_end_bytes"]
    rows = (
        ("a store of 1 GB/s (10 Gbit/s)", f"{saturation(_load(costs, store_mb_s=1000))['store']:.0f}"),
        ("a store of 10 GB/s", f"{ends['store']:.0f}"),
        (slow, f"{ends['driver']:.0f}"),
        ("tables at the end, one driver", f"{ends['tables']:.0f}"),
        ("memory of the driver", f"none soon: 10⁶ images need {memory / 1e9:.1f} GB, nearly all of it their names"),
    )
    head = "| limit | workers beyond which more bring nothing |\n|---|---|\n"
    nodes = f"{min(ends['driver'], ends['tables']) / CORES:.1f} to {max(ends['driver'], ends['tables']) / CORES:.1f}"
    said = f"So one driver feeds {nodes} nodes of {CORES} cores (tables, chunks)."
    return head + "\n".join(f"| {limit} | {workers} |" for limit, workers in rows) + f"\n\n{said}"


def runs(costs: Mapping[str, Any]) -> str:
    """Return the table of hours, by the model and by the simulation."""
    lines = [
        "| work | images | nodes | hours, model | hours, simulated | what decides | core hours |",
        "|---|---|---|---|---|---|---|",
    ]
    for work, shown in ROWS:
        for images, nodes in ((10**6, (1, 4, 16, 64)), (10**8, (1, 16, 64))):
            if work == "hotspots" or images == 10**8:
                lines += [f"| {shown} | {_power(images)} | {_hours(costs, work, images, each)} |" for each in nodes]
    return "\n".join(lines)


def conclusions(costs: Mapping[str, Any]) -> str:
    """Return what follows for 10⁸ images with one driver, and with a slow store."""
    images = 10**8
    one = [_time_h(_load(costs, nodes=nodes), images) for nodes in (4, 8)]
    slow = [_time_h(_load(costs, nodes=nodes, store_mb_s=1000), images) for nodes in (4, 64)]
    terms = modelled(_load(costs))
    share = terms["tables"] / total(terms)
    return (
        f"With one driver for the whole cluster {_power(images)} images take {one[0]:.0f} hours on 4 nodes and "
        f"{one[1]:.0f} hours on 8.\nWith a store of 1 GB/s (and one driver) they take {slow[0]:.0f} hours on 4 nodes "
        f"and {slow[1]:.0f} on 64: {images * costs['image_bytes'] / 1e12:.0f} TB have to pass.\n"
        f"{share:.0%} of the time of a run of hotspots on a node go into the tables at its end, when the workers rest; "
        "two drivers a node overlap that\n(`--drivers 2` with `--nodes 1`)."
    )


def _load(
    costs: Mapping[str, Any], work: str = "hotspots", *, nodes: int = 1, drivers: int = 1, store_mb_s: float = 10_000
) -> Load:
    given = argparse.Namespace(
        work=work, drivers=drivers, cores=CORES, image_run=RUN, store_mb_s=store_mb_s,
        node_hours_between_failures=FAILURES_H,
    )  # fmt: skip
    return load_of(costs, given, 10**8, nodes)


def _time_h(load: Load, images: int) -> float:
    return simulated(load) * images / load.images / 3600


def _hours(costs: Mapping[str, Any], work: str, images: int, nodes: int) -> str:
    """Return the cells of a cluster with a driver a node."""
    given = argparse.Namespace(
        work=work, drivers=64, cores=CORES, image_run=RUN, store_mb_s=10_000, node_hours_between_failures=FAILURES_H
    )
    load = load_of(costs, given, images, nodes)
    times, terms = images / (load.images * nodes) / 3600, modelled(load)
    decides = max((term for term in terms if term != "tables"), key=lambda term: terms[term])
    model_h, found_h = total(terms) * times, simulated(load) * times
    digits = 2 if images == 10**6 else 1
    cells = (str(nodes), f"{model_h:.{digits}f}", f"{found_h:.{digits}f}", decides, f"{found_h * nodes * CORES:.0f}")
    return " | ".join(cells)


def _commit(driver: Mapping[str, float]) -> str:
    return f"{_ms(driver['commit_processor_s'])} of processor, {_ms(driver['commit_s'])} in all"


def _ms(seconds: float) -> str:
    milliseconds = 1000 * seconds
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2g} ms"


def _power(images: int) -> str:
    return f"10{'⁰¹²³⁴⁵⁶⁷⁸⁹'[len(str(images)) - 1]}"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, nargs="?", default=PAGE)
    path = parser.parse_args().page
    path.write_text(page(path.read_text("utf-8"), json.loads(COSTS.read_text("utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
