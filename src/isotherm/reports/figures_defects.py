"""Figures of a judgement of defect methods: detection, overlap, depths, probabilities, and plates to look at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.calibration import Reliability
from isotherm.evaluation.pod import PodCurve, PodRow
from isotherm.evaluation.ranking import Undefined
from isotherm.reports.figures_parts import colour_map, figure_png

FOUND, MISSED, TRUE_INK, CALLED_INK = "#009e73", "#d55e00", "#ffffff", "#e0218a"
INKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Of Okabe and Ito, which colour-blind readers tell apart."""
MOST_PLATES = 12
COLUMNS = 3
_DPI = 100


@dataclass(frozen=True, eq=False)
class PodPanel:
    """Sizes of defects (D, NaN where unknown), whether each was found, the fitted curve, shares by range of size."""

    name: str
    ratio: Float[np.ndarray, " D"]
    found: Bool[np.ndarray, " D"]
    curve: PodCurve | Undefined
    rows: Sequence[PodRow]


@dataclass(frozen=True, eq=False)
class DepthPanel:
    """True depth and depth told of each defect that was found [mm], NaN where unknown or none (D)."""

    name: str
    true_mm: Float[np.ndarray, " D"]
    told_mm: Float[np.ndarray, " D"]


@dataclass(frozen=True)
class DepthBar:
    """Defects of a range of depths [mm], those found, and the interval of their share."""

    low_mm: float
    high_mm: float
    count: int
    hits: int
    interval: Interval


@dataclass(frozen=True, eq=False)
class PlatePicture:
    """Score, called and true pixels of a plate (H W), and what is written over it."""

    caption: str
    score: Float32[np.ndarray, "h w"]
    called: Bool[np.ndarray, "h w"]
    true: Bool[np.ndarray, "h w"]


def _panels(count: int, *, size: tuple[float, float], columns: int = COLUMNS) -> tuple[Figure, list[Axes]]:
    """Return a figure with a grid of panels, and those that are used."""
    across = 2 if count == 4 and columns == COLUMNS else min(columns, count)
    down = math.ceil(count / across)
    figure = Figure(figsize=(size[0] * across, size[1] * down), dpi=_DPI, layout="constrained")
    every = figure.subplots(down, across, squeeze=False).ravel().tolist()
    for axes in every[count:]:
        axes.set_axis_off()
    return figure, every[:count]


# --- detection by size ------------------------------------------------------------------------------------------------


def pod_figure(panels: Sequence[PodPanel]) -> bytes:
    """Draw for each method the probability of detection over diameter by depth; returns a PNG.

    Every defect is a mark, found ones at the top and missed ones at the bottom; squares are shares by range of size
    with their exact 95 % intervals; the band reaches down to the one-sided 95 % bound of the fitted curve.
    """
    figure, every = _panels(len(panels), size=(5.2, 4.2))
    known = np.concatenate([panel.ratio[np.isfinite(panel.ratio)] for panel in panels])
    limits = float(known.min()) / 1.15, float(known.max()) * 1.15
    for axes, panel in zip(every, panels, strict=True):
        _draw_pod(axes, panel, limits)
    return figure_png(figure)


def _draw_pod(axes: Axes, panel: PodPanel, limits: tuple[float, float]) -> None:
    _draw_marks(axes, panel)
    if isinstance(panel.curve, PodCurve):
        axes.plot(panel.curve.sizes, panel.curve.pod, color=INKS[0], lw=1.8)
        axes.fill_between(panel.curve.sizes, panel.curve.lower, panel.curve.pod, color=INKS[0], alpha=0.18, lw=0)
    _draw_rows(axes, panel)
    axes.set_xscale("log")
    axes.set(xlim=limits, ylim=(-0.12, 1.12), xlabel="diameter over depth", ylabel="probability of detection")
    axes.set_xticks([each for each in (0.5, 1, 2, 3, 5, 10, 20, 50) if limits[0] <= each <= limits[1]])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axhline(0.9, color="0.75", lw=0.8, ls=":")
    axes.set_title(f"{panel.name}\n{_sizes_told(panel.curve)}", fontsize=9)
    axes.grid(alpha=0.2)


def _draw_marks(axes: Axes, panel: PodPanel) -> None:
    known = np.isfinite(panel.ratio)
    # Marks of the same size are drawn apart, the same way each time.
    apart = np.random.default_rng(0).uniform(-0.03, 0.03, panel.ratio.size)
    for chosen, place, ink in ((panel.found, 1.06, FOUND), (~panel.found, -0.06, MISSED)):
        some = known & chosen
        axes.plot(panel.ratio[some], place + apart[some], "|", color=ink, ms=7, alpha=0.7)


def _draw_rows(axes: Axes, panel: PodPanel) -> None:
    """Draw the share found of each range of size, at the geometric mean of the sizes in it."""
    for row in panel.rows:
        inside = panel.ratio[(panel.ratio >= row.low) & (panel.ratio < row.high)]
        if inside.size:
            share, middle = row.hits / row.count, float(np.exp(np.log(inside).mean()))
            spread = [[share - row.interval.low], [row.interval.high - share]]
            axes.errorbar(middle, share, spread, fmt="s", color="0.35", ms=5, capsize=3, lw=1)
            axes.annotate(
                f"{row.hits}/{row.count}", (middle, share), xytext=(6, -10), textcoords="offset points", fontsize=8
            )


def _sizes_told(curve: PodCurve | Undefined) -> str:
    if isinstance(curve, Undefined):
        return _wrapped(f"no curve: {curve.reason}")
    a90 = "-" if isinstance(curve.a90, Undefined) else f"{curve.a90:.1f}"
    certain = "not reached" if isinstance(curve.a90_95, Undefined) else f"{curve.a90_95:.1f}"
    return f"a90 {a90}, a90/95 {certain} ({curve.hits} of {curve.count} found)"


def _wrapped(text: str, width: int = 70) -> str:
    lines = [""]
    for word in text.split():
        lines = [*lines[:-1], f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < width else [*lines, word]
    return "\n".join(lines)


def by_depth_figure(methods: Mapping[str, Sequence[DepthBar]]) -> bytes:
    """Draw the share of defects that were found by their true depth, with exact 95 % intervals; returns a PNG."""
    figure = Figure(figsize=(8.5, 4.4), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    ranges = sorted({(bar.low_mm, bar.high_mm) for bars in methods.values() for bar in bars})
    width = 0.8 / len(methods)
    for place, (name, bars) in enumerate(methods.items()):
        some = [bar for bar in bars if bar.count]
        shares = np.array([bar.hits / bar.count for bar in some])
        at = np.array([ranges.index((bar.low_mm, bar.high_mm)) for bar in some]) - 0.4 + width * (place + 0.5)
        spread = [shares - [bar.interval.low for bar in some], [bar.interval.high for bar in some] - shares]
        axes.bar(at, shares, width * 0.92, color=INKS[place % len(INKS)], alpha=0.55, label=name)
        axes.errorbar(at, shares, np.maximum(spread, 0), fmt="none", color="0.3", capsize=2, lw=0.9)
    counts = {(bar.low_mm, bar.high_mm): bar.count for bars in methods.values() for bar in bars}
    axes.set_xticks(
        range(len(ranges)), [f"{low:g} to {high:g} mm\n{counts[low, high]} defects" for low, high in ranges], fontsize=8
    )
    axes.set(ylim=(0, 1.02), xlabel="true depth", ylabel="found (95 % interval)")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(alpha=0.2, axis="y")
    figure.legend(fontsize=8, loc="outside upper center", ncols=min(len(methods), 4), frameon=False)
    return figure_png(figure)


# --- overlap and depth ------------------------------------------------------------------------------------------------


def iou_figure(methods: Mapping[str, Mapping[str, float]]) -> bytes:
    """Draw the overlap on each plate with a defect, plates in the order of their mean over the methods; returns a PNG.

    Parameters
    ----------
    methods
        Method -> name of the plate with a defect -> intersection over union.
    """
    names = list(dict.fromkeys(name for values in methods.values() for name in values))
    table = np.array([[values.get(name, math.nan) for name in names] for values in methods.values()])
    figure = Figure(figsize=(8.5, 4.4), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    order = np.argsort(np.nanmean(table, axis=0), kind="stable")
    for place, (name, row) in enumerate(zip(methods, table, strict=True)):
        known = row[np.isfinite(row)]
        mean = f" (mean {known.mean():.2f})" if known.size else ""
        ink = INKS[place % len(INKS)]
        axes.plot(row[order], "o-", color=ink, ms=4, lw=0.8, alpha=0.8, label=f"{name}{mean}")
    many = len(names) > 30
    axes.set_xticks(
        [] if many else range(len(names)), [] if many else [_short(names[i]) for i in order], rotation=90, fontsize=7
    )
    axes.set(ylim=(-0.02, 1.02), ylabel="intersection over union", xlabel=f"plates, worst first ({len(names)})")
    axes.grid(alpha=0.2)
    figure.legend(fontsize=8, loc="outside upper center", ncols=min(len(methods), 3), frameon=False)
    return figure_png(figure)


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"...{name[-21:]}"


def depth_figure(panels: Sequence[DepthPanel]) -> bytes:
    """Draw for each method the depths that were told over the true ones, with a band of 10 %; returns a PNG."""
    figure, every = _panels(len(panels), size=(4.4, 4.4))
    numbers = np.concatenate([np.concatenate([panel.true_mm, panel.told_mm]) for panel in panels])
    most = 1.05 * float(np.nanmax(numbers))
    for axes, panel in zip(every, panels, strict=True):
        both = np.isfinite(panel.true_mm) & np.isfinite(panel.told_mm)
        axes.fill_between([0, most], [0, 0.9 * most], [0, 1.1 * most], color="0.9", lw=0)
        axes.plot([0, most], [0, most], color="0.6", lw=0.9)
        axes.plot(panel.true_mm[both], panel.told_mm[both], "o", color=INKS[0], ms=4, alpha=0.7)
        errors = np.abs(panel.told_mm[both] / panel.true_mm[both] - 1)
        counts = f"told of {errors.size} of {panel.true_mm.size} found"
        told = f"median error {np.median(errors):.1%}, {counts}" if errors.size else "no depth was told"
        axes.set_title(f"{panel.name}\n{told}", fontsize=9)
        axes.set(xlim=(0, most), ylim=(0, most), xlabel="true depth [mm]", ylabel="depth told [mm]", aspect="equal")
        axes.grid(alpha=0.2)
    return figure_png(figure)


def reliability_figure(models: Mapping[str, Reliability]) -> bytes:
    """Draw for each model the share of defect pixels over the stated probability, with 95 % intervals, as a PNG."""
    figure, every = _panels(len(models), size=(4.4, 4.4))
    for axes, (name, found) in zip(every, models.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="0.5", lw=1, ls="--")
        spread = [found.observed - found.low, found.high - found.observed]
        axes.errorbar(found.stated, found.observed, np.maximum(spread, 0), color=INKS[1], marker="o", ms=5, capsize=3)
        for place, count in enumerate(found.counts.tolist()):
            at = (found.stated[place], found.high[place])
            told = f"{count}" if count < 10_000 else f"{count / 1000:.0f}k"
            # Neighbours low on the left lie close together: every other one is written higher.
            up = 3 if place % 2 or found.observed[place] > 0.5 else 12
            axes.annotate(told, at, (0, up), textcoords="offset points", ha="center", fontsize=7, color="0.35")
        error = f"{found.error:.3f}" if isinstance(found.error, float) else "-"
        axes.set_title(f"{name}\ncalibration error {error}, Brier {found.brier:.3f}; numbers are pixels", fontsize=9)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.08), xlabel="stated probability", ylabel="share of defect pixels")
        axes.set_aspect("equal")
        axes.grid(alpha=0.2)
    return figure_png(figure)


# --- plates to look at ------------------------------------------------------------------------------------------------


def plates_sheet(name: str, plates: Sequence[PlatePicture]) -> bytes:
    """Draw the first plates (give the worst ones first): score, called outline, true outline; returns a PNG."""
    some = plates[:MOST_PLATES]
    height, width = some[0].score.shape
    figure, every = _panels(len(some), size=(3.4, 3.4 * height / width + 0.75), columns=4)
    # Room for the title and the legend.
    figure.set_figheight(figure.get_figheight() + 0.7)
    more = f", the worst {len(some)} of {len(plates)}" if len(some) < len(plates) else ""
    low, high = _span(some)
    for axes, plate in zip(every, some, strict=True):
        axes.imshow(plate.score, cmap=colour_map("clear"), vmin=low, vmax=high, interpolation="nearest")
        _outline(axes, plate.true, TRUE_INK, "solid")
        _outline(axes, plate.called, CALLED_INK, "solid")
        axes.set_title(plate.caption, fontsize=8)
        axes.set_axis_off()
    lines = [
        Line2D([], [], color="0.6", lw=2.4, label="true (white)"),
        Line2D([], [], color=CALLED_INK, lw=1.2, label="called"),
    ]
    figure.suptitle(f"{name}: score{more}", fontsize=11)
    figure.legend(handles=lines, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure_png(figure)


def _span(plates: Sequence[PlatePicture]) -> tuple[float, float]:
    """Return one colour scale for all: to 1 for probabilities, else up to where nearly all scores end."""
    known = np.concatenate([plate.score[np.isfinite(plate.score)] for plate in plates])
    if not known.size:
        return 0.0, 1.0
    if 0 <= float(known.min()) <= float(known.max()) <= 1:
        return 0.0, 1.0
    low, high = np.percentile(known, (0.5, 98)).tolist()
    return low, high if high > low else low + 1


def _outline(axes: Axes, mask: Bool[np.ndarray, "h w"], ink: str, style: str) -> None:
    """Draw where a mask ends, at the rim of the picture too."""
    if mask.any():
        height, width = mask.shape
        padded = np.pad(mask, 1).astype(np.float64)
        axes.contour(
            np.arange(-1, width + 1), np.arange(-1, height + 1), padded, [0.5],
            colors=[ink], linewidths=[2.0 if ink == TRUE_INK else 1.1], linestyles=[style],
        )  # fmt: skip
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
