"""The cabinet itself: what stands where, what it is made of, and which current heats it.

One pixel is 1.5 mm. Lengths are in pixels of the camera's view (240 rows, 320 columns); the grid reaches 8 rows and 16
columns further on each side, so that a camera that moved a little still sees the cabinet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from isotherm.datasets.cabinet.heat import STEFAN_BOLTZMANN, Grid, Sheets

Mask = Bool[np.ndarray, "H W"]

VIEW = (240, 320)
"""Height and width of the pictures [px]."""
MARGIN = (8, 16)
PIXEL_M = 0.0015
"""Width of a pixel on the cabinet [m]."""

RATINGS_A = (25, 16, 20, 10, 16, 20, 16, 10, 25)
"""Rated currents of the nine three-phase circuits [A]: three in the upper row, six in the lower."""
SECTIONS_MM2 = {10: 1.5, 16: 2.5, 20: 2.5, 25: 4.0}
"""Copper section of a circuit's wires by its rated current [mm²]."""
POLE_LOSS_W = {10: 1.5, 16: 1.8, 20: 2.0, 25: 2.3}
"""Loss inside one pole of a miniature circuit breaker at rated current, terminals apart [W]."""
CONTACT_DROP_V = 0.005
"""Voltage across a sound terminal at rated current [V]: 0.31 mΩ at 16 A."""
MAIN_A, MAIN_LOSS_W = 160, 8.0
"""Rated current of the incoming breaker [A] and the loss in each of its poles at that current [W]."""
SUPPLY_W = 2.2
"""Loss of the control supply, whatever the load [W]."""

AIR_GAP_W_K = 0.0025
"""Conductance of still air and radiation between neighbouring bodies 70 mm deep, as a sheet [W/K]."""
COPPER_OHM_M = 1.7241e-8
"""Resistivity of annealed copper at 20 °C [ohm m] (IEC 60028)."""
COPPER_W_MK, STEEL_W_MK, PLASTIC_W_MK = 390.0, 50.0, 0.3
"""Thermal conductivities [W/(m K)]."""


@dataclass(frozen=True)
class Material:
    """How a body looks and cools: emissivity, and wetted and radiating area for each unit of area in view.

    ``length_m`` is the size in the formulas of natural convection, ``round`` says whether the body is a cylinder
    (1.32 instead of 1.42). ``seen`` is the rise of the visible surface over the air, divided by that of the body behind
    it: below 1 where plastic lies between (a toggle is a knob that stands out into the air).
    """

    emissivity: float
    wetted: float
    radiating: float
    length_m: float
    seen: float = 1.0
    round: bool = False

    def film(self) -> tuple[float, float]:
        """Return convection [W/K^(5/4)] and radiation [W/K⁴] of one pixel."""
        area = PIXEL_M**2
        factor = (1.32 if self.round else 1.42) / self.length_m**0.25
        return area * self.wetted * factor, area * self.radiating * self.emissivity * STEFAN_BOLTZMANN


PAINTED_STEEL = Material(0.90, 2.0, 1.6, 0.36)
FRAME = Material(0.90, 3.0, 2.2, 0.36)
RAIL = Material(0.45, 2.0, 2.0, 0.035)
DUCT = Material(0.94, 2.2, 1.8, 0.05, seen=0.9)
SLOT = Material(0.97, 2.2, 1.8, 0.05)
WIRE = Material(0.95, np.pi, 2.6, 0.0045, round=True)
CABLE = Material(0.95, np.pi, 2.6, 0.015, round=True)
BARE_COPPER = Material(0.40, 2.8, 2.4, 0.012)
SLEEVED_BAR = Material(0.95, 2.6, 2.2, 0.05)
SUPPORT = Material(0.93, 2.5, 2.0, 0.04, seen=0.9)
BREAKER = Material(0.93, 3.6, 2.3, 0.084, seen=0.95)
SHOULDER = Material(0.93, 3.4, 2.2, 0.084, seen=0.85)
SEAM = Material(0.93, 3.4, 2.2, 0.084, seen=0.75)
SCREW_HOLE = Material(0.85, 3.4, 2.4, 0.084)
TOGGLE = Material(0.95, 3.6, 2.3, 0.084, seen=0.6)
MAIN_BREAKER = Material(0.94, 3.2, 2.2, 0.11, seen=0.9)
MAIN_SHOULDER = Material(0.94, 3.2, 2.2, 0.11, seen=0.8)
SUPPLY = Material(0.92, 4.0, 2.6, 0.09, seen=0.9)
VENT = Material(0.97, 4.0, 2.6, 0.09)


@dataclass(frozen=True, eq=False)
class Element:
    """A resistance, the pixels that its heat goes to, and the poles whose currents it carries (as indices)."""

    pixels: Int[np.ndarray, " P"]
    ohm: float
    poles: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Cabinet:
    """Everything about the cabinet that load, faults and camera do not change.

    Parameters
    ----------
    sheets
        What conducts and what cools.
    emissivity, seen
        (H W) of what the camera sees; see `Material`.
    elements
        The resistances; ``contacts`` gives the index of a terminal's, by (circuit, phase, side), where side 0 is the
        line side and 1 the load side.
    constant_w
        (H W) heat that no load changes [W].
    """

    sheets: Sheets
    emissivity: Grid
    seen: Grid
    elements: tuple[Element, ...]
    contacts: dict[tuple[int, int, int], int]
    constant_w: Grid

    def source_w(self, pole_amperes: Float[np.ndarray, " 27"], ohm_factors: Float[np.ndarray, " E"]) -> Grid:
        """Return the Joule heat of each pixel [W], with all copper at 20 °C.

        Parameters
        ----------
        pole_amperes
            Currents of the poles, circuit by circuit [A].
        ohm_factors
            What each element's resistance is multiplied with (1: as built).
        """
        watts = self.constant_w.ravel().astype(np.float64)
        for element, factor in zip(self.elements, ohm_factors, strict=True):
            amperes = float(pole_amperes[list(element.poles)].sum())
            watts[element.pixels] += amperes**2 * element.ohm * factor / element.pixels.size
        return watts.reshape(self.constant_w.shape).astype(np.float32)


def pole(circuit: int, phase: int) -> int:
    """Return the index of a pole among all poles."""
    return 3 * circuit + phase


@lru_cache(maxsize=1)
def build_cabinet() -> Cabinet:
    """Return the cabinet; it is built once."""
    drawing = _Drawing()
    _draw_back(drawing)
    _draw_bars(drawing)
    _draw_main_breaker(drawing)
    _draw_supply(drawing)
    for circuit in range(len(RATINGS_A)):
        _draw_circuit(drawing, circuit)
    return drawing.finish()


# --- places -----------------------------------------------------------------------------------------------------------

_BAR_TOPS, _BAR_HEIGHT, _BAR_LEFT, _BAR_RIGHT = (93, 105, 117), 8, 12, 306
_UPPER_ROW, _LOWER_ROW, _BREAKER_HEIGHT, _POLE_WIDTH = 24, 142, 56, 12
_UPPER_LEFTS, _LOWER_LEFTS = (102, 150, 198), (22, 70, 118, 166, 214, 262)
_MAIN_POLES = (31, 51, 71)
_TOP_DUCT_END, _LOW_DUCT_START = 5, 222


def pole_centre(circuit: int, phase: int) -> int:
    """Return the column of the middle of a pole in the view."""
    return (_UPPER_LEFTS + _LOWER_LEFTS)[circuit] + _POLE_WIDTH * phase + _POLE_WIDTH // 2


def terminal(circuit: int, phase: int, side: int) -> tuple[int, int]:
    """Return the (row, column) of a terminal in the view; side 0 is the line side, 1 the load side."""
    upper = circuit < len(_UPPER_LEFTS)
    top = _UPPER_ROW if upper else _LOWER_ROW
    at_top = (side == 1) if upper else (side == 0)
    return (top + 6 if at_top else top + _BREAKER_HEIGHT - 7), pole_centre(circuit, phase)


# --- drawing ----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Drawing:
    """Bodies painted one over the other; a later one hides what an earlier one shows, but both conduct."""

    shape: tuple[int, int] = (VIEW[0] + 2 * MARGIN[0], VIEW[1] + 2 * MARGIN[1])
    elements: list[Element] = field(default_factory=list)
    contacts: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.east, self.south = np.zeros(self.shape), np.zeros(self.shape)
        self.emissivity, self.seen, self.convection, self.radiation = (np.zeros(self.shape) for _ in range(4))
        self.constant = np.zeros(self.shape)
        self.covered = np.zeros(self.shape, bool)

    def area(self, top: float, bottom: float, left: float, right: float) -> Mask:
        """Return the mask of the rows top..bottom and columns left..right of the view, ends left out."""
        mask = np.zeros(self.shape, bool)
        rows = slice(max(int(top) + MARGIN[0], 0), max(int(bottom) + MARGIN[0], 0))
        columns = slice(max(int(left) + MARGIN[1], 0), max(int(right) + MARGIN[1], 0))
        mask[rows, columns] = True
        return mask

    def body(self, mask: Mask, material: Material, sheet_w_k: float = 0.0, *, cover: bool = True) -> None:
        """Paint a body: its look, its cooling, and a sheet of `sheet_w_k` (conductivity times thickness) [W/K]."""
        self.emissivity[mask], self.seen[mask] = material.emissivity, material.seen
        self.convection[mask], self.radiation[mask] = material.film()
        self.covered |= mask & cover
        self.conduct(mask, sheet_w_k)

    def conduct(self, mask: Mask, sheet_w_k: float) -> None:
        """Add a sheet that conducts and is not seen."""
        self.east[:, :-1] += sheet_w_k * (mask[:, :-1] & mask[:, 1:])
        self.south[:-1] += sheet_w_k * (mask[:-1] & mask[1:])

    def heat(self, mask: Mask, ohm: float, poles: tuple[int, ...]) -> int:
        """Add a resistance that heats the pixels of `mask`; returns its index."""
        self.elements.append(Element(np.flatnonzero(mask), ohm, poles))
        return len(self.elements) - 1

    def finish(self) -> Cabinet:
        """Put the back plate and the air behind and between the bodies, and return the cabinet."""
        self.conduct(~self.covered, STEEL_W_MK * 0.0015)
        # Air and radiation across the gap of some millimetres between a body and its neighbours.
        self.conduct(np.ones(self.shape, bool), AIR_GAP_W_K)
        arrays = (self.east, self.south, self.convection, self.radiation)
        return Cabinet(
            sheets=Sheets(*(array.astype(np.float32) for array in arrays)),
            emissivity=self.emissivity.astype(np.float32),
            seen=self.seen.astype(np.float32),
            elements=tuple(self.elements),
            contacts=self.contacts,
            constant_w=self.constant.astype(np.float32),
        )


def _draw_back(drawing: _Drawing) -> None:
    rows, columns = VIEW
    everything = drawing.area(-99, rows + 99, -99, columns + 99)
    drawing.body(everything, PAINTED_STEEL, cover=False)
    for left, right in ((-99, 4), (columns - 4, columns + 99)):
        drawing.body(drawing.area(-99, rows + 99, left, right), FRAME, STEEL_W_MK * 0.0015)
    for top, left, right in ((_UPPER_ROW, 94, 302), (_LOWER_ROW, 10, 310)):
        middle = top + _BREAKER_HEIGHT // 2
        drawing.body(drawing.area(middle - 12, middle + 12, left, right), RAIL, cover=False)
    for top, bottom in ((-99, _TOP_DUCT_END), (_LOW_DUCT_START, rows + 99)):
        _draw_duct(drawing, top, bottom)


def _draw_duct(drawing: _Drawing, top: int, bottom: int) -> None:
    right = 310
    left = 94 if top < 0 else 10
    drawing.body(drawing.area(top, bottom, left, right), DUCT, PLASTIC_W_MK * 0.01)
    edge = (bottom - 4, bottom) if top < 0 else (top, top + 4)
    for slot in range(left + 2, right - 2, 8):
        drawing.body(drawing.area(*edge, slot, slot + 4), SLOT)


def _draw_bars(drawing: _Drawing) -> None:
    """Draw three bare copper bars of 12 mm by 5 mm; each piece between two taps carries what is tapped beyond it."""
    for phase, top in enumerate(_BAR_TOPS):
        bar = drawing.area(top, top + _BAR_HEIGHT, _BAR_LEFT, _BAR_RIGHT)
        drawing.body(bar, BARE_COPPER, COPPER_W_MK * 0.005)
        taps = sorted((pole_centre(circuit, phase), circuit) for circuit in range(len(RATINGS_A)))
        feed = _MAIN_POLES[phase]
        places = sorted({feed, *(place for place, _ in taps)})
        for left, right in pairwise(places):
            beyond = [c for place, c in taps if (place >= right if left >= feed else place <= left)]
            ohm = COPPER_OHM_M * (right - left) * PIXEL_M / (0.012 * 0.005)
            piece = drawing.area(top, top + _BAR_HEIGHT, left, right)
            drawing.heat(piece, ohm, tuple(pole(circuit, phase) for circuit in beyond))
    for left in (_BAR_LEFT + 4, _BAR_RIGHT - 12):
        drawing.body(drawing.area(_BAR_TOPS[0] - 4, _BAR_TOPS[2] + 12, left, left + 8), SUPPORT, PLASTIC_W_MK * 0.02)


def _draw_main_breaker(drawing: _Drawing) -> None:
    top, bottom, left, right = 14, 84, 20, 82
    for phase, centre in enumerate(_MAIN_POLES):
        poles = tuple(pole(circuit, phase) for circuit in range(len(RATINGS_A)))
        cable = drawing.area(-99, top + 10, centre - 5, centre + 5)
        drawing.body(cable, CABLE, COPPER_W_MK * 70e-6 / 0.015)
        drawing.heat(cable, COPPER_OHM_M * cable.sum() / 10 * PIXEL_M / 70e-6, poles)
        link = drawing.area(bottom - 10, _BAR_TOPS[phase] + _BAR_HEIGHT, centre - 4, centre + 4)
        drawing.body(link, SLEEVED_BAR, COPPER_W_MK * 0.005)
        drawing.heat(link, COPPER_OHM_M * link.sum() / 8 * PIXEL_M / 60e-6, poles)
    drawing.body(drawing.area(top, bottom, left, right), MAIN_SHOULDER, PLASTIC_W_MK * 0.06)
    drawing.body(drawing.area(top + 15, bottom - 15, left, right), MAIN_BREAKER)
    for seam in (41, 61):
        for rows in ((top, top + 15), (bottom - 15, bottom)):
            drawing.body(drawing.area(*rows, seam - 1, seam + 1), SEAM)
    for phase, centre in enumerate(_MAIN_POLES):
        poles = tuple(pole(circuit, phase) for circuit in range(len(RATINGS_A)))
        inside = drawing.area(top + 4, bottom - 4, centre - 3, centre + 3)
        drawing.conduct(inside, 0.25)
        ohm = MAIN_LOSS_W / MAIN_A**2
        drawing.heat(drawing.area(top + 14, bottom - 12, centre - 7, centre + 7), 0.7 * ohm, poles)
        for terminal_top in (top + 1, bottom - 13):
            clamp = drawing.area(terminal_top, terminal_top + 12, centre - 6, centre + 6)
            drawing.conduct(clamp, 1.0)
            drawing.heat(clamp, 0.15 * ohm, poles)
            hole = drawing.area(terminal_top + 3, terminal_top + 9, centre - 3, centre + 3)
            drawing.body(hole, SCREW_HOLE)
    drawing.body(drawing.area(top + 24, bottom - 26, 44, 58), TOGGLE)


def _draw_supply(drawing: _Drawing) -> None:
    top, bottom, left, right = 20, 84, 254, 300
    box = drawing.area(top, bottom, left, right)
    drawing.body(box, SUPPLY, PLASTIC_W_MK * 0.02)
    hot = drawing.area(top + 8, bottom - 20, left + 6, right - 10)
    drawing.constant[hot] += SUPPLY_W / hot.sum()
    for row in range(top + 6, top + 30, 6):
        drawing.body(drawing.area(row, row + 3, left + 6, right - 6), VENT)


def _draw_circuit(drawing: _Drawing, circuit: int) -> None:
    upper = circuit < len(_UPPER_LEFTS)
    top = _UPPER_ROW if upper else _LOWER_ROW
    for phase in range(3):
        _draw_wires(drawing, circuit, phase)
    for phase in range(3):
        _draw_pole(drawing, circuit, phase)
    # The bar that joins the three toggles.
    left = pole_centre(circuit, 0) - 3
    drawing.body(drawing.area(top + 25, top + 30, left, pole_centre(circuit, 2) + 3), TOGGLE)


def _draw_wires(drawing: _Drawing, circuit: int, phase: int) -> None:
    centre = pole_centre(circuit, phase)
    upper = circuit < len(_UPPER_LEFTS)
    bar = _BAR_TOPS[phase] + _BAR_HEIGHT // 2
    line_row, load_row = terminal(circuit, phase, 0)[0], terminal(circuit, phase, 1)[0]
    # In the duct the wires of a circuit run closer together.
    duct_row, bend = (_TOP_DUCT_END, 0) if upper else (_LOW_DUCT_START, 5)
    section = SECTIONS_MM2[RATINGS_A[circuit]] * 1e-6
    for start, end, shift in ((bar, line_row, 0), (load_row, duct_row, bend * (1 - phase))):
        wire = _wire(drawing, (start, end), centre, shift)
        drawing.body(wire, WIRE, COPPER_W_MK * section / (3 * PIXEL_M))
        ohm = COPPER_OHM_M * (wire.sum() / 3) * PIXEL_M / section
        drawing.heat(wire, ohm, (pole(circuit, phase),))
    rows = (-20, _TOP_DUCT_END) if upper else (_LOW_DUCT_START + 2, 248)
    hidden = drawing.area(*rows, centre - 14, centre + 14)
    drawing.heat(hidden, COPPER_OHM_M * 0.1 / section, (pole(circuit, phase),))


def _wire(drawing: _Drawing, rows: tuple[int, int], column: int, shift: float) -> Mask:
    """Return a wire 3 px wide between two rows that ends `shift` columns aside of where it starts."""
    start, end = rows
    mask = np.zeros(drawing.shape, bool)
    for row in range(min(rows), max(rows) + 1):
        way = (row - start) / (end - start)
        centre = column + round(shift * (1 - np.cos(np.pi * way)) / 2)
        mask |= drawing.area(row, row + 1, centre - 1, centre + 2)
    return mask


def _draw_pole(drawing: _Drawing, circuit: int, phase: int) -> None:
    upper = circuit < len(_UPPER_LEFTS)
    top = _UPPER_ROW if upper else _LOWER_ROW
    centre, bottom = pole_centre(circuit, phase), top + _BREAKER_HEIGHT
    left, right = centre - 6, centre + 6
    case = drawing.area(top, bottom, left, right)
    drawing.body(case, SHOULDER, 0.012)
    drawing.body(drawing.area(top + 13, bottom - 13, left, right), BREAKER)
    drawing.body(drawing.area(top, bottom, right - 1, right), SEAM)
    drawing.conduct(drawing.area(top + 2, bottom - 2, centre - 2, centre + 2), 0.08)
    loss = POLE_LOSS_W[RATINGS_A[circuit]] / RATINGS_A[circuit] ** 2
    drawing.heat(drawing.area(top + 12, bottom - 12, centre - 4, centre + 4), loss, (pole(circuit, phase),))
    for side in range(2):
        row, column = terminal(circuit, phase, side)
        clamp = drawing.area(row - 4, row + 4, column - 4, column + 4)
        drawing.conduct(clamp, 0.6)
        contact = CONTACT_DROP_V / RATINGS_A[circuit]
        drawing.contacts[circuit, phase, side] = drawing.heat(clamp, contact, (pole(circuit, phase),))
        drawing.body(drawing.area(row - 2, row + 3, column - 2, column + 3), SCREW_HOLE)
