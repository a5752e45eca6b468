"""How long archives take on how many nodes: a model in four terms, and a simulation, event by event, to check it.

python benchmarks/scaling_simulation.py [--images 1e6 1e8] [--nodes 1 4 16 64] [--cores 16] [--work hotspots]
    [--store-mb-s 1000] [--image-run 500000] [--drivers 1] [--node-hours-between-failures 500] [--costs FILE]

Costs of an image and of a chunk are measured ones (`scaling_costs.py` wrote `scaling_costs.json`). What is no
measurement is said by a flag: nodes, cores, bandwidth of the store, failures.

The simulated cluster: workers take a chunk, read its images from the store (one queue, served at its bandwidth), work
on them, and hand their rows to the driver (one queue: dispatch and commit), which gives the next chunk. Nodes fail at
random, their chunks are done again, and they come back after two minutes. At the end of each run the driver goes
through all rows alone.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

COSTS = Path(__file__).with_suffix("").with_name("scaling_costs.json")
SPREAD = 0.15
"""Standard deviation of the work of a chunk, as a share of its mean."""
BACK_S = 120.0


@dataclass(frozen=True)
class Load:
    """One run on one cluster.

    Parameters
    ----------
    images, chunk
        How many images there are, and how many make a chunk.
    workers, node_workers
        Processes that work, and how many of them share a node (and its failures).
    image_s, image_bytes
        Work on an image [s of a core], and what is read for it.
    store_bytes_s
        What the store gives all workers together.
    chunk_s, row_s
        What the driver does for a chunk meanwhile, and for an image at the end [s].
    failures_s
        Mean time between the failures of one node [s].
    """

    images: int
    chunk: int
    workers: int
    node_workers: int
    image_s: float
    image_bytes: float
    store_bytes_s: float
    chunk_s: float
    row_s: float
    failures_s: float

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.images // self.chunk)


def modelled(load: Load) -> dict[str, float]:
    """Return the terms of the model [s]: what runs side by side, of which the longest counts, and what comes after.

    They are the asymptotic bounds of a closed queueing network (Denning and Buzen, ACM Computing Surveys 10 (3), 1978):
    a worker reads, works and hands over in turn; store and driver serve one after the other.
    """
    again = 1 + repeated(load)
    turn_s = load.image_s + load.image_bytes / load.store_bytes_s + load.chunk_s / load.chunk
    return {
        "workers": load.images * turn_s * again / load.workers,
        "store": load.images * load.image_bytes * again / load.store_bytes_s,
        "driver": load.chunks * load.chunk_s,
        "tables": load.images * load.row_s,
    }


def repeated(load: Load) -> float:
    """Return the share of work that failures make necessary again: half a chunk and the absence, at each failure."""
    return (load.chunk * load.image_s / 2 + BACK_S) / load.failures_s


def total(terms: Mapping[str, float]) -> float:
    """Return the whole time of the model [s]."""
    return max(terms["workers"], terms["store"], terms["driver"]) + terms["tables"]


def simulated(load: Load, seed: int = 0) -> float:
    """Return how long a run takes, event by event [s]."""
    chance = random.Random(seed)
    waiting, finished = load.chunks, 0
    store_free = driver_free = clock = 0.0
    fails = [chance.expovariate(1 / load.failures_s) for _ in range(-(-load.workers // load.node_workers))]
    events: list[tuple[float, int]] = [(0.0, worker) for worker in range(load.workers)]
    ends = dict[int, float]()
    while finished < load.chunks:
        clock, worker = heapq.heappop(events)
        node = worker // load.node_workers
        if worker in ends:
            # Its chunk is ready, unless its node has failed meanwhile: then it is done again, here or elsewhere.
            begun = ends.pop(worker)
            if begun <= fails[node] <= clock:
                waiting += 1
                heapq.heappush(events, (max(clock, fails[node] + BACK_S), worker))
                continue
            driver_free = max(driver_free, clock) + load.chunk_s
            finished += 1
            clock = driver_free
        if fails[node] < clock:
            fails[node] = clock + chance.expovariate(1 / load.failures_s)
        if not waiting:
            # A chunk may still come back from a node that fails.
            if finished < load.chunks and len(ends) > 0:
                heapq.heappush(events, (clock + load.chunk * load.image_s, worker))
            continue
        waiting -= 1
        store_free = max(store_free, clock) + load.chunk * load.image_bytes / load.store_bytes_s
        work_s = load.chunk * load.image_s * max(0.1, chance.gauss(1, SPREAD))
        ends[worker] = clock
        heapq.heappush(events, (store_free + work_s, worker))
    return max(clock, driver_free) + load.images * load.row_s


def load_of(costs: Mapping[str, Any], arguments: argparse.Namespace, images: int, nodes: int) -> Load:
    """Return one run of a part of the images on a part of the cluster: drivers work side by side."""
    worker, driver, bucket = costs["worker"][arguments.work], costs["driver"], costs["bucket"]
    drivers = min(arguments.drivers, nodes)
    return Load(
        images=min(images // drivers, arguments.image_run),
        chunk=costs["chunk"],
        workers=nodes * arguments.cores // drivers,
        node_workers=arguments.cores,
        image_s=worker["processor_s"] + bucket["read_processor_s"],
        image_bytes=costs["image_bytes"],
        store_bytes_s=arguments.store_mb_s * 1e6 / drivers,
        chunk_s=driver["dispatch_processor_s"] + max(driver["commit_processor_s"], driver["commit_s"]),
        row_s=driver["end_processor_s"] + driver["parquet_processor_s"],
        failures_s=arguments.node_hours_between_failures * 3600,
    )


def line(costs: Mapping[str, Any], arguments: argparse.Namespace, images: int, nodes: int) -> str:
    """Return a row of the table: hours by model and by simulation, what decides, efficiency, core hours."""
    load = load_of(costs, arguments, images, nodes)
    runs = images / (load.images * min(arguments.drivers, nodes))
    terms = modelled(load)
    limits = {name: value for name, value in terms.items() if name != "tables"}
    decides = max(limits, key=lambda name: limits[name])
    model_h, found_h = total(terms) * runs / 3600, simulated(load) * runs / 3600
    ideal_h = images * load.image_s / (nodes * arguments.cores) / 3600
    return (
        f"| {images:.0e} | {nodes} | {model_h:8.2f} | {found_h:8.2f} | {found_h / model_h:5.2f} | {decides} | "
        f"{terms['tables'] / total(terms):4.0%} | {ideal_h / found_h:4.0%} | {found_h * nodes * arguments.cores:9.0f} |"
    )


def saturation(load: Load) -> dict[str, float]:
    """Return from how many workers on more of them bring nothing."""
    return {
        "store": load.image_s * load.store_bytes_s / load.image_bytes,
        "driver": load.chunk * load.image_s / load.chunk_s,
        "tables": load.image_s / load.row_s,
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=float, nargs="+", default=[1e6, 1e8])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--cores", type=int, default=16)
    parser.add_argument("--work", default="hotspots")
    parser.add_argument("--store-mb-s", type=float, default=1000)
    parser.add_argument("--image-run", type=int, default=500_000)
    parser.add_argument("--drivers", type=int, default=1)
    parser.add_argument("--node-hours-between-failures", type=float, default=500)
    parser.add_argument("--costs", type=Path, default=COSTS)
    arguments = parser.parse_args()
    costs = json.loads(arguments.costs.read_text("utf-8"))
    load = load_of(costs, arguments, int(max(arguments.images)), 1)
    print(
        f"{arguments.work}: {load.image_s * 1000:.1f} ms an image, {load.chunk_s * 1000:.0f} ms a chunk at the driver,"
    )
    print(
        f"{load.row_s * 1e6:.0f} us an image at the end; runs of {load.images:,} images, {arguments.drivers} at a time"
    )
    whole = replace(load, store_bytes_s=arguments.store_mb_s * 1e6)
    told = ", ".join(f"{name} {workers:.0f}" for name, workers in saturation(whole).items())
    print(f"more workers bring nothing beyond (each by itself, per driver): {told}\n")
    print("| images | nodes | hours, model | hours, simulated | ratio | decides | tables | efficiency | core hours |")
    print("|---|---|---|---|---|---|---|---|---|")
    for images in arguments.images:
        for nodes in arguments.nodes:
            print(line(costs, arguments, int(images), nodes))


if __name__ == "__main__":
    main()
