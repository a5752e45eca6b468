"""What the pictures of a run are called: safe on every file system, never two alike, and the same in every run."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

MAX_CHARACTERS = 120
MAX_BYTES = 200
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def output_names(names: Sequence[str]) -> list[str]:
    """Return one file name (without suffix) for each input's relative path with ``/`` between.

    The rule: the path without its suffix, folders joined by ``__`` (``site A/IR_1.jpg`` -> ``site A__IR_1``). A name
    that no file system would refuse stays as it is. What would be refused is replaced, what is longer than 120
    characters is cut, and then, as well as where two inputs would share a name (``IMG.jpg`` and ``IMG.png``, or ``a``
    and ``A``), ``-`` and the first eight digits of the sha256 of the relative path are added.
    """
    plain = [_flat(name) for name in names]
    safe = [_safe(name) for name in plain]
    count = Counter(name.casefold() for name in safe)
    return [
        result if result == wanted and count[result.casefold()] == 1 else f"{result}-{_digest(name)}"
        for name, wanted, result in zip(names, plain, safe, strict=True)
    ]


def _flat(name: str) -> str:
    return "__".join(PurePosixPath(name).with_suffix("").parts)


def _safe(name: str) -> str:
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", name))
    name = "".join(character if character.isprintable() else "_" for character in name)[:MAX_CHARACTERS]
    name = name.encode()[:MAX_BYTES].decode(errors="ignore")
    name = re.sub(r"^[. ]|[. ]$", "_", name)
    return f"{name}_" if _RESERVED.fullmatch(name) else name


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]
