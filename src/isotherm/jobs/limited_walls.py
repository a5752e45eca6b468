"""The walls round a process that decodes strangers' bytes: limits of the system, and Landlock where Linux has it.

Everything here acts on the process that calls it and cannot be undone. What a system does not have is left out and not
named in the result, so that ``isotherm doctor`` and the log can say what is in force.
"""

from __future__ import annotations

import ctypes
import math
import os
import re
import signal
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 1, 38, 4
# The same on all architectures (asm-generic/unistd.h).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
# linux/landlock.h: the rights of files by the version of the interface that brought them.
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_WRITE_FILE, _TRUNCATE, _IOCTL_DEV = 1 << 1, 1 << 14, 1 << 15
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_OF_FILES = _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV
_TCP, _TCP_SINCE = 0b11, 4
_SCOPES, _SCOPES_SINCE = 0b11, 6
# OpenVINO waits for ever where it cannot read which processors there are.
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/zero", "/dev/urandom", "/sys/devices/system/cpu")
_MODULE = re.compile(r"\.py$|\.so(\.|$)")


def die_with(parent: int) -> None:
    """End this process when the thread that started it ends, however that comes about (Linux)."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It was gone before the request was made.
        os._exit(0)


def _prctl(option: int, value: int) -> bool:
    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)
    return False


def raise_limits(memory_bytes: int, file_bytes: int, open_files: int) -> list[str]:
    """Limit what this process may use, and return which limits are in force.

    Parameters
    ----------
    memory_bytes
        Address space beyond what the process has now.
    file_bytes
        The largest file that may be written.
    open_files
        Most open files.
    """
    try:
        import resource
    except ImportError:
        return []
    wanted = {"CORE": 0, "FSIZE": file_bytes, "NOFILE": open_files}
    used = _address_space()
    if used is not None:
        wanted["AS"] = used + memory_bytes
    found = []
    for name, value in wanted.items():
        with suppress(AttributeError, OSError, ValueError):
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
            found.append(name)
    return found


def _address_space() -> int | None:
    """Return how much address space this process has [bytes]; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def allow_cpu(seconds: float) -> None:
    """Let this process use so many seconds of processor time more, and be ended by SIGXCPU after that."""
    with suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + seconds) + 1, hard))


def raise_walls(readable: Sequence[str], folder: Path | None) -> list[str]:
    """Shut this process in by Landlock, as far as the system has it, and return what is in force.

    It may read programs, libraries and what is `readable`, may write and start programs below `folder` only (None:
    nowhere, and no program), may neither listen nor connect by TCP, and may signal no other process.
    """
    if sys.platform != "linux":
        return []
    _prctl(_PR_SET_DUMPABLE, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return []
    handled = _RIGHTS[max(since for since in _RIGHTS if since <= version)]
    attributes = struct.pack("=Q", handled)
    if version >= _TCP_SINCE:
        attributes += struct.pack("=Q", _TCP)
    if version >= _SCOPES_SINCE:
        attributes += struct.pack("=Q", _SCOPES)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if ruleset < 0:
        return []
    try:
        reading = _READ_FILE | _READ_DIR | (0 if folder is None else _EXECUTE)
        for place in _places([*_SYSTEM, *readable]):
            _allow(libc, ruleset, place, reading & handled)
        # What is written there is gone; programs that are started have it as their input.
        _allow(libc, ruleset, Path(os.devnull), (_READ_FILE | _WRITE_FILE) & handled)
        if folder is not None:
            _allow(libc, ruleset, folder, handled)
        confined = _prctl(_PR_SET_NO_NEW_PRIVS, 1) and libc.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0
    finally:
        os.close(ruleset)
    return [f"landlock {version}"] if confined else []


def _places(others: Sequence[str]) -> list[Path]:
    """Return where Python, its packages and others are that are there."""
    folders = list(filter(os.path.isabs, sys.path))
    links = chain.from_iterable(map(_linked_packages, folders))
    places = [sys.prefix, sys.base_prefix, *folders, *links, *others]
    return [place for place in map(Path, dict.fromkeys(places)) if place != Path("/") and place.exists()]


def _linked_packages(folder: str) -> Iterator[str]:
    """Give where packages of a folder really are that are links, or whose files are (Nix, Bazel, links of uv).

    Landlock asks for the rights of the place that a link leads to. Links to what is no part of a program are let be.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            modules = _modules(entry)
            if entry.is_symlink() and (modules or entry.name.endswith(".dist-info")):
                yield os.path.realpath(entry.path)
            elif linked := next((module for module in modules if module.is_symlink()), None):
                yield str(Path(linked.path).resolve().parent)


def _modules(entry: os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """Return a module itself, or those right in a folder."""
    if _MODULE.search(entry.name):
        return [entry]
    with suppress(OSError), os.scandir(entry.path) as entries:
        return [each for each in entries if _MODULE.search(each.name)]
    return []


def _allow(libc: ctypes.CDLL, ruleset: int, place: Path, rights: int) -> None:
    handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        allowed = rights if place.is_dir() else rights & _OF_FILES
        rule = struct.pack("=Qi", allowed, handle)
        libc.syscall(_ADD_RULE, ruleset, ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(handle)
