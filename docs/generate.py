"""Write the pages of docs/reference that follow from the code: commands, formats, methods, severity tables.

``python docs/generate.py`` writes them; the tests fail when a page differs from what the code says.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.classification import CLASSIFIERS
from isotherm.cli.formats import EVIDENCE, cards, changeable
from isotherm.cli.main import COMMANDS, module_of
from isotherm.core.config import Setting, settings_of
from isotherm.core.registry import Registry
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.measurement.severity import SEVERITY_TABLES, load_table
from isotherm.reports import REPORT_WRITERS
from isotherm.runtime.backbones import BACKBONES
from isotherm.segmentation import NETWORKS
from isotherm.segmentation.network import NetConfig

REFERENCE = Path(__file__).parent / "reference"
GENERATED = "<!-- Written by docs/generate.py from the code; change the code, then run `make docs-tables`. -->\n\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines) + "\n"


def registry_table(registry: Registry[Any]) -> str:
    """Return the rows of a registry as a Markdown table."""
    return table(
        ["name", "what", "needs"],
        ((f"`{row.name}`", row.summary, f"extra `{row.extra}`" if row.extra else "") for row in registry.rows()),
    )


def settings_table(settings: Iterable[Setting]) -> str:
    """Return the settings of a configuration as a Markdown table."""
    return table(
        ["flag", "default", "meaning"],
        (
            (
                f"`--{item.name.replace('_', '-')}`",
                "" if item.default is None else f"`{item.default}`",
                item.text + (f" ({', '.join(item.choices)})" if item.choices else ""),
            )
            for item in settings
        ),
    )


def commands_page() -> str:
    """Return the page of commands: every command with every argument."""
    parts = ["# Commands\n\n", GENERATED]
    parts.append(
        "Exit status: 0 done, 1 failed, 2 bad usage, 3 some inputs failed. `--debug` shows the traceback of an error.\n"
    )
    parts.append("Flags of a method are shown for its default; the others are under [Methods](methods.md).\n\n")
    for name, text in COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"isotherm {name}")
        import_module(module_of(name)).add_arguments(parser, [])
        parts.append(f"## isotherm {name}\n\n{text[0].upper()}{text[1:]}.\n\n")
        parts.append(table(["argument", "meaning"], arguments_of(parser)))
    return "".join(parts)


def arguments_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yield each argument of a parser with its help, positional ones first."""
    for action in sorted(parser._actions, key=lambda action: bool(action.option_strings)):
        if action.dest == "help":
            continue
        named = ", ".join(f"`{option}`" for option in action.option_strings) or f"`{action.metavar or action.dest}`"
        choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
        yield named, (action.help or "").replace("%%", "%") + choices


def formats_page() -> str:
    """Return the page of file formats: what each supports, by its card."""
    rows = (
        (
            f"`{name}`",
            card.makers,
            card.suffixes,
            card.numbers,
            changeable(card) or "-",
            ", ".join(["many frames"] * card.frames + list(card.extras)) or "-",
            card.evidence,
            card.needs,
        )
        for name, card in cards().items()
    )
    sources = ((f"`{name}`", card.source) for name, card in cards().items())
    return "".join(
        [
            "# File formats\n\n",
            GENERATED,
            "A format is recognised by its content, never by its name; they are tried in this order. "
            "`isotherm formats` prints the same.\n\n",
            *(f"- **{word}**: {meaning}.\n" for word, meaning in EVIDENCE.items()),
            "\n",
            table(
                ["name", "files of", "suffixes", "numbers", "changeable", "also read", "evidence", "needs"],
                rows,
            ),
            "## Where the layouts are from\n\n",
            table(["name", "source"], sources),
        ]
    )


def methods_page() -> str:
    """Return the page of anomaly and hotspot methods with their settings."""
    return "".join(
        [
            "# Methods\n\n",
            GENERATED,
            "## Anomaly methods\n\n",
            registry_table(ANOMALY_METHODS),
            *settings_sections(ANOMALY_METHODS),
            "## Classifiers\n\n",
            registry_table(CLASSIFIERS),
            *settings_sections(CLASSIFIERS),
            "## Backbones\n\n",
            registry_table(BACKBONES),
            "## Hotspot methods\n\n",
            registry_table(HOTSPOT_METHODS),
            *settings_sections(HOTSPOT_METHODS),
            "## Networks that find defects in sequences\n\n",
            registry_table(NETWORKS),
            settings_table(settings_of(NetConfig)),
            "## Reports\n\n",
            registry_table(REPORT_WRITERS),
        ]
    )


def settings_sections(registry: Registry[Any]) -> Iterator[str]:
    """Yield a section with the settings of each method of a registry."""
    for name in registry.names():
        yield f"### {name}\n\n{settings_table(settings_of(registry.get(name).config_type))}"


def severity_page() -> str:
    """Return the page of severity tables."""
    parts = ["# Severity tables\n\n", GENERATED]
    for name in SEVERITY_TABLES:
        described = load_table(name).describe()
        intervals = described.pop("intervals")
        parts.append(f"## {name}\n\n")
        described["notes"] = " ".join(described["notes"])
        parts += [f"- **{key.replace('_', ' ')}**: {value}\n" for key, value in described.items()]
        parts.append("\n" + table(intervals[0], ([str(cell) for cell in item.values()] for item in intervals)))
    return "".join(parts)


def openapi() -> dict[str, Any]:
    """Return the description of an application over an empty data folder."""
    from isotherm.server.app import create_app
    from isotherm.workflows.service.service import Limits, Service

    with tempfile.TemporaryDirectory() as folder, Service.open(Path(folder), limits=Limits(children=0)) as service:
        app = create_app(service)
        app.state.lane.close()
        return app.openapi()


def openapi_file() -> str:
    """Return the description of the HTTP API (OpenAPI 3.1)."""
    return json.dumps(openapi(), indent=1, ensure_ascii=False) + "\n"


def problems_page() -> str:
    """Return the page of the problems that the HTTP API answers with, and its routes."""
    from isotherm.server.problems import URN, every_kind

    routes = (
        (method.upper(), f"`{path}`", str(route.get("summary", "")))
        for path, methods in openapi()["paths"].items()
        for method, route in methods.items()
    )
    kinds = ((f"`{URN}{kind.name}`", str(kind.status), kind.title) for kind in every_kind())
    return "".join(
        [
            "# HTTP API\n\n",
            GENERATED,
            "The whole description is in [openapi.json](openapi.json); [api.md](../api.md) explains it.\n\n",
            "## Problems\n\n",
            table(["type", "status", "meaning"], kinds),
            "## Routes\n\n",
            table(["method", "path", "what it does"], routes),
        ]
    )


PAGES = {
    "api.md": problems_page,
    "openapi.json": openapi_file,
    "commands.md": commands_page,
    "formats.md": formats_page,
    "methods.md": methods_page,
    "severity.md": severity_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page().rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
