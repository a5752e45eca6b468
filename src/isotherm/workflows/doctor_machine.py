"""The machine as isotherm sees it: processor, memory, graphics cards, disks, walls; what is not told is left empty."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from isotherm.core.processes import cores

ABILITIES = {
    "avx2": "fast float32",
    "avx512f": "faster float32",
    "avx512_vnni": "fast int8",
    "avx_vnni": "fast int8",
    "avx512_bf16": "bfloat16",
    "amx_tile": "matrices in bfloat16 and int8",
    "asimd": "fast float32",
    "asimddp": "fast int8",
    "bf16": "bfloat16",
}
"""What the flags of a processor (x86, ARM) are good for here."""
_FLUSHES = 5
_ASK_S = 20
"""How long a program or driver may take to answer [s]."""


@dataclass(frozen=True)
class Disk:
    """A place where isotherm writes: what for, how much room there is [bytes], and the time of a flush [ms]."""

    purpose: str
    path: str
    free_bytes: int
    size_bytes: int
    flush_ms: float | None


def processor() -> dict[str, Any]:
    """Return model, cores, those that may be used, and abilities of the processor."""
    told = _cpuinfo()
    flags = set((told.get("flags") or told.get("Features") or "").split())
    return {
        "model": told.get("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "usable_cores": usable_cores(),
        "abilities": {name: use for name, use in ABILITIES.items() if name in flags},
        "openvino": _openvino(),
    }


def _cpuinfo() -> dict[str, str]:
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").partition("\n\n")[0].splitlines()
        return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {}


def usable_cores(groups: Path = Path("/sys/fs/cgroup")) -> float:
    """Return how many cores this process may use: its affinity, and the quota of its container."""
    allowed = float(cores())
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (groups / "cpu.max").read_text("ascii").split()
        return allowed if quota == "max" else min(allowed, int(quota) / int(period))
    return allowed


def _openvino() -> dict[str, Any]:
    """Return what OpenVINO computes on, and in which precisions on the processor."""
    if find_spec("openvino") is None:
        return {}
    import openvino

    core = openvino.Core()
    able = [str(name) for name in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")]
    return {"devices": list(core.available_devices), "precisions": [name for name in able if name[-1].isdigit()]}


def memory() -> dict[str, int]:
    """Return total and available memory [MB], within the limit of the container; empty where it is not told."""
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        total, free = kilobytes["MemTotal"] // 1000, kilobytes["MemAvailable"] // 1000
        most = _memory_limit_mb()
        return {"total_mb": min(total, most or total), "available_mb": min(free, most or free)}
    return {}


def _memory_limit_mb() -> int | None:
    with suppress(OSError, ValueError):
        return int(Path("/sys/fs/cgroup/memory.max").read_text("ascii")) // 10**6
    return None


def graphics() -> dict[str, Any]:
    """Return the graphics cards that the driver sees, and who here can compute on them."""
    return {"cards": _cards(), "torch": _of_torch(), "onnxruntime": _of_onnxruntime()}


def _cards() -> list[dict[str, str]]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_ASK_S, check=False)  # noqa: S603 (fixed)
        rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
        return [dict(zip(("name", "memory_mib", "driver"), row, strict=True)) for row in rows if len(row) == 3]
    return []


def _of_torch() -> Mapping[str, Any]:
    if find_spec("torch") is None:
        return {}
    try:
        from isotherm.nn.devices import described
    except (ImportError, OSError) as error:
        return {"error": str(error)}
    return described()


def _of_onnxruntime() -> list[str]:
    if find_spec("onnxruntime") is None:
        return []
    with suppress(ImportError, OSError):
        import onnxruntime

        return list(onnxruntime.get_available_providers())
    return []


def disk(purpose: str, folder: Path) -> Disk:
    """Return the room where a folder is, or would be made, and how long a flush takes where it may be written."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    usage = shutil.disk_usage(there)
    return Disk(purpose, str(folder.absolute()), usage.free, usage.total, _flush_ms(there))


def _flush_ms(folder: Path) -> float | None:
    """Return the middle time of writing 4 KiB through to the disk [ms], as a commit does; None where it is refused."""
    with suppress(OSError), tempfile.NamedTemporaryFile(dir=folder, prefix=".isotherm-doctor-") as file:
        times = []
        for _ in range(_FLUSHES):
            started = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append(1000 * (time.perf_counter() - started))
        return statistics.median(times)
    return None
