"""What the figures drawn with matplotlib share: how they become a PNG, and palettes as its colour maps."""

from __future__ import annotations

import io

from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure

from isotherm.reports import palette


def figure_png(figure: Figure, *, dpi: float | None = None) -> bytes:
    """Return a figure as a PNG at `dpi`, its own where not given; the same figure gives the same bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi or "figure", metadata={"Software": None})
    return stream.getvalue()


def colour_map(name: str) -> Colormap:
    """Return a palette as a colour map, with the colour of pixels that have no value."""
    invalid = "#" + bytes(palette.INVALID).hex()
    return ListedColormap(palette.table(name) / 255.0).with_extremes(bad=invalid)
