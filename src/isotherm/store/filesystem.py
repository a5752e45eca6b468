"""What the store needs to know of the disk below it: is it of this machine, and is it full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from isotherm.core.errors import OutputError, StorageFullError

NETWORK = frozenset(
    {"9p", "afp", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb2"}
    | {"smb3", "smbfs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"}
)
"""File systems of other machines, as the kernel names them; the locks and the shared memory of SQLite fail there."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
LEAST_FREE = 0.05
LEAST_FREE_BYTES = 2 * 10**9
"""What must be free for a server to be ready: that part of the disk, or as much where that would be more."""
_MOUNTS = Path("/proc/self/mountinfo")


def file_system(folder: Path, mounts: str | None = None) -> str:
    """Return the name of the file system that `folder` lies on; empty where the system does not tell.

    `mounts` stands in for ``/proc/self/mountinfo`` (proc(5): device in column 3, type after the lone dash).
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
        except OSError:
            return ""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [wanted]:
            return after.split()[0]
    return ""


def refuse_network(folder: Path) -> None:
    """Raise OutputError where `folder` lies on another machine's disk."""
    found = file_system(folder)
    if found in NETWORK:
        raise OutputError(
            f"{folder} is on a network file system ({found}), where SQLite may lose data; choose a folder on a local "
            "disk, or a PostgreSQL database (--database postgresql://...)"
        )


def has_room(free_bytes: int, size_bytes: int) -> bool:
    """Say whether enough of a disk is free: a part of a small one, a fixed amount of a large one."""
    return free_bytes >= min(LEAST_FREE * size_bytes, LEAST_FREE_BYTES)


def failed(what: str, error: OSError) -> OutputError:
    """Return the error of isotherm for one of the system; a full disk, a quota and a size limit are their own kind."""
    if error.errno in FULL:
        return StorageFullError(f"{what}: there is no room left ({error.strerror}); free some, nothing stored is hurt")
    return OutputError(f"{what}: {error.strerror or error}")


def flush_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk (fsync(2) of a file does not say that of its name)."""
    handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
