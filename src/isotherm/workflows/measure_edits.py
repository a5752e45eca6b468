"""What a user asks to measure, before the picture is known, and what becomes of it for one picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from isotherm.core.errors import ConfigError
from isotherm.core.scene import EDGE_NAMES, SceneEdit, sigmas_from_edge
from isotherm.core.shapes import Marked
from isotherm.core.thermogram import Thermogram
from isotherm.measurement.materials import find_material
from isotherm.measurement.shapes import PARSERS, free_label, parse_marked
from isotherm.workflows.sidecar import Sidecar, given, in_place, merged, scene_edit


@dataclass(frozen=True)
class MeasureEdits:
    """Shapes, changed parameters, differences and isotherms, as they were typed.

    Parameters
    ----------
    shapes
        Kind and text of each: ("spot", "80,60"), ("box", "clamp=10,20,30,40") ...
    regions
        Changed parameters by region: label -> flag name -> value.
    edit, sigma, material
        Changed parameters of the picture; their standard uncertainties by flag names; where the emissivity is from.
    deltas, isotherms
        See `isotherm.measurement.deltas` and `isotherm.measurement.isotherms`.
    """

    shapes: tuple[tuple[str, str], ...] = ()
    regions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    edit: SceneEdit = field(default_factory=SceneEdit)
    sigma: Mapping[str, float] = field(default_factory=dict)
    material: str = ""
    deltas: tuple[str, ...] = ()
    isotherms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # What is wrong in itself is said before any file is read.
        taken: set[str] = set()
        for kind, text in self.shapes:
            parse_marked(kind, text, taken)
        for label, values in self.regions.items():
            scene_edit(values, f"region {label!r}")
        sigmas_from_edge(self.sigma)

    def for_picture(self, thermogram: Thermogram, existing: Sidecar) -> tuple[Thermogram, Sidecar]:
        """Return a picture with these regions, and the sidecar that then belongs to it.

        Parameters
        ----------
        thermogram
            The picture, with its sidecar and the edits of its scene in it.
        existing
            That sidecar, empty where there is none.
        """
        regions = self._overridden(thermogram, self._drawn(thermogram))
        own = Sidecar(self.edit, dict(self.sigma), self.material, regions, self.deltas, self.isotherms)
        scene = thermogram.scene.with_sigmas(sigmas_from_edge(self.sigma))
        notes = (*thermogram.notes, *_replaced(thermogram.regions, regions))
        changed = replace(thermogram, scene=scene, regions=in_place(thermogram.regions, regions), notes=notes)
        return changed, merged(existing, own)

    def _drawn(self, thermogram: Thermogram) -> tuple[Marked, ...]:
        """Return the new shapes; one that was there before, without a label of its own, keeps its label."""
        known = {marked.shape: marked.label for marked in thermogram.regions}
        existing = {marked.label for marked in thermogram.regions}
        fresh: set[str] = set()
        found = []
        for kind, text in self.shapes:
            shape = PARSERS[kind](text.rpartition("=")[2])
            if "=" in text:
                marked = parse_marked(kind, text, fresh)
            else:
                label = known.get(shape) or free_label(kind, existing | fresh)
                marked = Marked(label, shape)
            fresh.add(marked.label)
            found.append(marked)
        return tuple(found)

    def _overridden(self, thermogram: Thermogram, drawn: Sequence[Marked]) -> tuple[Marked, ...]:
        """Return the new shapes, and older ones of which a parameter is changed, with these parameters."""
        every = {marked.label: marked for marked in (*thermogram.regions, *drawn)}
        changed = {marked.label: marked for marked in drawn}
        for label, values in self.regions.items():
            if label not in every:
                raise ConfigError(f"no region is called {label!r}; there are: {', '.join(every) or 'none'}")
            before = given(every[label].edit or SceneEdit())
            edit = scene_edit(before | dict(values), f"region {label!r}")
            changed[label] = replace(every[label], origin="user", edit=edit)
        return tuple(changed.values())


def _replaced(before: Sequence[Marked], regions: Sequence[Marked]) -> Iterator[str]:
    """Say which of the camera's own shapes are drawn anew under their names."""
    shapes = {marked.label: marked.shape for marked in before if marked.origin == "camera"}
    for region in regions:
        if shapes.get(region.label, region.shape) != region.shape:
            yield f"{region.label!r} is the one given here, in place of the camera's own"


def parse_sigmas(texts: Sequence[str]) -> dict[str, float]:
    """Read ``emissivity=0.02`` and the like; raises ConfigError."""
    return dict(_assignment(text, "a sigma", "emissivity=0.02") for text in texts)


def parse_region_edits(
    emissivities: Sequence[str], materials: Sequence[str], settings: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Read what differs inside regions.

    Parameters
    ----------
    emissivities
        ``label=0.9``.
    materials
        ``label=copper, oxidised``, from the table of materials.
    settings
        ``label.distance_m=5``, with a flag's name.

    Raises
    ------
    ConfigError
        None of these, or an unknown parameter or material.
    """
    found: dict[str, dict[str, float]] = {}
    for text in emissivities:
        label, value = _assignment(text, "a region's emissivity", "clamp=0.9")
        found.setdefault(label, {})["emissivity"] = value
    for text in materials:
        label, _, name = text.partition("=")
        if not name.strip():
            raise ConfigError(f"a region's material is written clamp=copper, oxidised; not {text!r}")
        found.setdefault(label.strip(), {})["emissivity"] = find_material(name).emissivity
    for text in settings:
        name, value = _assignment(text, "a region's parameter", "clamp.distance_m=5")
        label, _, parameter = name.rpartition(".")
        parameter = parameter.strip().replace("-", "_")
        if not label or parameter not in EDGE_NAMES:
            raise ConfigError(
                f"a region's parameter is written clamp.distance_m=5, with one of {', '.join(EDGE_NAMES)}"
            )
        found.setdefault(label, {})[parameter] = value
    return found


def _assignment(text: str, what: str, example: str) -> tuple[str, float]:
    name, _, value = text.rpartition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise ConfigError(f"{what} is written {example}; not {text!r}") from None
