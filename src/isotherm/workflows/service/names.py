"""What may be the name of a site, a category, an asset or an image: one rule, with its reason in the message.

Names are data and never become paths, except through the compatibility routes, whose folders carry them; so a name is
also a sound file name on every system.
"""

from __future__ import annotations

import unicodedata

from isotherm.core.errors import ConfigError
from isotherm.store.tables import LONGEST_NAME

LONGEST_BYTES = 200
"""As UTF-8; file systems end at 255 bytes, and an ending and a counter must fit too."""
LONGEST_FILE_NAME = 512
_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{device}{number}" for device in ("com", "lpt") for number in "0123456789¹²³"
}
_OF_PATHS = '/\\<>:"|?*'
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def check_name(kind: str, text: object) -> str:
    """Return a name in Unicode normal form C.

    Parameters
    ----------
    kind
        What the message calls it: ``site``, ``category`` ...
    text
        What somebody typed or sent.

    Raises
    ------
    ConfigError
        It breaks a rule; the message names the rule.
    """
    if not isinstance(text, str):
        raise ConfigError(f"the name of the {kind} must be text, not {type(text).__name__}")
    name = unicodedata.normalize("NFC", text)
    broken = _broken_rule(name)
    if broken:
        raise ConfigError(f"the name of the {kind} {broken}")
    return name


def _broken_rule(name: str) -> str:  # noqa: PLR0911 (one for each rule)
    """Return which rule a normalised name breaks; empty where it breaks none."""
    if not 1 <= len(name) <= LONGEST_NAME:
        return f"must have 1 to {LONGEST_NAME} characters, not {len(name)}"
    if any(unicodedata.category(letter) in _INVISIBLE for letter in name):
        return "must not hold control or invisible characters"
    if any(letter in _OF_PATHS for letter in name):
        return f"must not hold any of {' '.join(_OF_PATHS)}"
    if name.startswith("."):
        return "must not begin with a dot"
    if name != name.strip() or name.endswith("."):
        return "must not begin or end with a space, nor end with a dot"
    if len(name.encode()) > LONGEST_BYTES:
        return f"must have at most {LONGEST_BYTES} bytes as UTF-8, not {len(name.encode())}"
    if name.partition(".")[0].strip().lower() in _RESERVED:
        return f"must not be {name.partition('.')[0]!r}, which Windows keeps for a device"
    return ""


def file_name(text: str) -> str:
    """Return the name under which a file was sent, as it was, but for letters that no database or page can hold.

    Control and invisible letters become U+FFFD; what is longer than 512 letters is cut in its middle.
    """
    clean = "".join("\ufffd" if unicodedata.category(letter) in _INVISIBLE else letter for letter in text)
    clean = unicodedata.normalize("NFC", clean).strip() or "unnamed"
    if len(clean) <= LONGEST_FILE_NAME:
        return clean
    half = (LONGEST_FILE_NAME - 1) // 2
    return f"{clean[:half]}…{clean[-half:]}"
