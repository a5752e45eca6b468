"""``isotherm report``: an inspection as a report to hand over."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.progress import bar
from isotherm.core.errors import UsageError
from isotherm.reports.document import LAYOUTS
from isotherm.reports.document.layout import BUILT_IN, Template, check_built_in
from isotherm.reports.document.particulars import Particulars
from isotherm.reports.document.wording import LANGUAGES
from isotherm.workflows.remote_inputs import address_of, path_of
from isotherm.workflows.report import (
    MOST_JOBS,
    ReportSettings,
    form_of,
    read_particulars,
    report,
    target_of,
    write_report,
    write_template,
)


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (the seam's)
    """Add the arguments of a report."""
    forms = ", ".join(f".{name}" for name in LAYOUTS.names())
    parser.add_argument(
        "inspection",
        type=path_of,
        nargs="?",
        metavar="INSPECTION",
        help="folder or s3://bucket/prefix of `isotherm inspect` or `isotherm hotspots`, or its results.json",
    )
    parser.add_argument(
        "-o", "--output", type=path_of, metavar="FILE", help=f"the report; its suffix says which: {forms}"
    )
    parser.add_argument(
        "--template",
        default=BUILT_IN[0],
        metavar="NAME",
        help=f"{' or '.join(BUILT_IN)}, or a file of your own: .typ for PDF, .html, .docx (default {BUILT_IN[0]})",
    )
    languages = ", ".join(f"{code} {name}" for code, name in LANGUAGES.items())
    parser.add_argument("--lang", default="en", choices=list(LANGUAGES), help=f"language: {languages} (default en)")
    parser.add_argument(
        "--about", type=Path, metavar="FILE", help="TOML file with client, inspector, what was left out, causes ..."
    )
    parser.add_argument(
        "--images",
        type=path_of,
        metavar="DIR",
        help="folder or s3://bucket/prefix of the pictures, where it is not where it was inspected",
    )
    parser.add_argument(
        "--per",
        choices=["picture", "region"],
        default="picture",
        help="whether a picture with faults, or each of its regions, gets a page (default picture)",
    )
    parser.add_argument(
        "--worst", type=int, metavar="N", help="show the worst N faults and only count the others (default all)"
    )
    parser.add_argument(
        "--fonts",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a font, or a folder of fonts, for a PDF with other scripts; may be given again",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help=f"threads that read and draw pictures (default one a core, {MOST_JOBS} at most)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE where it is there already")
    parser.add_argument(
        "--write-template",
        type=Path,
        metavar="FILE",
        help="write a built-in template (.typ, .html or .docx) to change and to give to --template, and nothing else",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the report, or a template."""
    if arguments.write_template is not None:
        name = check_built_in(arguments.template)
        written = write_template(arguments.write_template, name, overwrite=arguments.overwrite)
        print(f"written   {', '.join(map(str, written))}")
        return 0
    if arguments.inspection is None or arguments.output is None:
        raise UsageError("name an inspection and -o FILE (or --write-template FILE)")
    form = form_of(arguments.output)
    target_of(arguments.output, overwrite=arguments.overwrite)
    with bar() as progress:
        rendered = report(arguments.inspection, form, _settings(arguments), progress=progress)
    write_report(arguments.output, rendered, overwrite=arguments.overwrite)
    for note in rendered.notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"written   {address_of(arguments.output)}")
    return 0


def _settings(arguments: argparse.Namespace) -> ReportSettings:
    jobs = {} if arguments.jobs is None else {"jobs": arguments.jobs}
    return ReportSettings(
        language=arguments.lang,
        template=_template(arguments.template, tuple(arguments.fonts)),
        particulars=Particulars() if arguments.about is None else read_particulars(arguments.about),
        per=arguments.per,
        worst=arguments.worst,
        images=arguments.images,
        **jobs,
    )


def _template(name: str, fonts: tuple[Path, ...]) -> Template:
    if name in BUILT_IN:
        return Template(name, fonts=fonts)
    path = Path(name)
    if not path.suffix:
        check_built_in(name)
    return Template(path=path, fonts=fonts)
