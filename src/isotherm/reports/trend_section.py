"""The trend of an asset as a section of a report, in each of its languages."""

from __future__ import annotations

from isotherm.core.errors import UnknownNameError
from isotherm.measurement.asset_trend import AssetTrend
from isotherm.measurement.trend import Change, Sample, Series
from isotherm.reports.document.content import Figure, ReportSection, Table
from isotherm.reports.trend_plot import trend_svg

MOST_ROWS = 24
WORDS: dict[str, dict[str, str]] = {
    "en": {
        "trend": "Trend",
        "max_c": "Highest temperature",
        "delta_t_k": "Delta-T as measured",
        "rated_delta_t_k": "Delta-T at the rated load",
        "score": "Anomaly score",
        "date": "Date",
        "load": "Load",
        "alarm": "has risen beyond its uncertainty",
        "calm": "No quantity has risen beyond its uncertainty.",
        "unknown": "no uncertainty can be stated, so nothing is said of the change",
        "since": "since",
        "year": "a year",
        "bars": "Bars and ± are expanded uncertainties (k = 2).",
        "latest": "Only the latest inspections are listed.",
    },
    "de": {
        "trend": "Verlauf",
        "max_c": "Höchste Temperatur",
        "delta_t_k": "Delta-T wie gemessen",
        "rated_delta_t_k": "Delta-T bei Nennlast",
        "score": "Auffälligkeit",
        "date": "Datum",
        "load": "Last",
        "alarm": "ist über die Unsicherheit hinaus gestiegen",
        "calm": "Keine Größe ist über ihre Unsicherheit hinaus gestiegen.",
        "unknown": "keine Unsicherheit angebbar, daher keine Aussage zur Änderung",
        "since": "seit",
        "year": "im Jahr",
        "bars": "Balken und ± sind erweiterte Unsicherheiten (k = 2).",
        "latest": "Nur die letzten Prüfungen sind aufgeführt.",
    },
    "es": {
        "trend": "Evolución",
        "max_c": "Temperatura máxima",
        "delta_t_k": "Delta-T medido",
        "rated_delta_t_k": "Delta-T a carga nominal",
        "score": "Puntuación de anomalía",
        "date": "Fecha",
        "load": "Carga",
        "alarm": "ha aumentado más que su incertidumbre",
        "calm": "Ninguna magnitud ha aumentado más que su incertidumbre.",
        "unknown": "no se puede indicar la incertidumbre, por lo que no se juzga el cambio",
        "since": "desde",
        "year": "al año",
        "bars": "Las barras y ± son incertidumbres expandidas (k = 2).",
        "latest": "Solo se muestran las últimas inspecciones.",
    },
    "pt": {
        "trend": "Evolução",
        "max_c": "Temperatura máxima",
        "delta_t_k": "Delta-T medido",
        "rated_delta_t_k": "Delta-T à carga nominal",
        "score": "Pontuação de anomalia",
        "date": "Data",
        "load": "Carga",
        "alarm": "aumentou mais do que a sua incerteza",
        "calm": "Nenhuma grandeza aumentou mais do que a sua incerteza.",
        "unknown": "não é possível indicar a incerteza, por isso a alteração não é avaliada",
        "since": "desde",
        "year": "por ano",
        "bars": "As barras e ± são incertezas expandidas (k = 2).",
        "latest": "Apenas as últimas inspeções são listadas.",
    },
    "zh": {
        "trend": "趋势",
        "max_c": "最高温度",
        "delta_t_k": "实测温差",
        "rated_delta_t_k": "额定负载下的温差",
        "score": "异常分数",
        "date": "日期",
        "load": "负载",
        "alarm": "的升高超出不确定度",
        "calm": "没有任何量的升高超出其不确定度。",
        "unknown": "无法给出不确定度,因此不评价变化",
        "since": "自",
        "year": "每年",
        "bars": "误差线和 ± 为扩展不确定度 (k = 2)。",
        "latest": "仅列出最近的检测。",
    },
}
_POINT = ("en", "zh")
_COVERAGE = 2


def trend_section(asset: str, about: str, trend: AssetTrend, language: str = "en") -> ReportSection:
    """Return the section of one asset.

    Parameters
    ----------
    asset, about
        Its name; its kind, place and rating in one line.
    trend
        At least one row.
    language
        A key of `WORDS`.

    Raises
    ------
    UnknownNameError
        There are no words in this language.
    """
    if language not in WORDS:
        raise UnknownNameError("language", language, WORDS)
    words = _Words(language)
    said = tuple(words.change(one) for one in trend.series if one.last is not None)
    verdict = () if any(one.alarm for one in trend.series) else (words["calm"],)
    figures = tuple(_figure(one, asset, words) for one in trend.series if len(one.samples) > 1)
    paragraphs = (*filter(None, (about,)), *verdict, *said, words["bars"])
    if len(trend.rows) > MOST_ROWS:
        paragraphs = (*paragraphs, words["latest"])
    return ReportSection(f"{words['trend']}: {asset}", paragraphs, figures, (_table(trend, words),))


class _Words:
    """The words of one language, and its numbers."""

    def __init__(self, language: str) -> None:
        self._language, self._words = language, WORDS[language]

    def __getitem__(self, key: str) -> str:
        return self._words[key]

    def digits(self, value: float, unit: str, *, sign: bool = False) -> str:
        """Return a number as this language writes it: tenths of a kelvin, thousandths of a score."""
        text = f"{value:{'+' if sign else ''}.{1 if unit else 3}f}"
        return text if self._language in _POINT else text.replace(".", ",")

    def number(self, value: float, unit: str, *, sign: bool = False) -> str:
        """Return a number with its unit."""
        return f"{self.digits(value, unit, sign=sign)} {unit}".rstrip()

    def change(self, series: Series) -> str:
        """Return one sentence about what has changed in a series."""
        change = next((change for change in (series.last, series.first) if change and change.alarm), series.last)
        assert change is not None
        unit = "K" if series.unit == "°C" else series.unit
        about = f"{self[series.name]}: {self._difference(change, unit)}"
        if series.slope is not None:
            rise, reach = (self.number(value, unit) for value in (series.slope.per_year, series.slope.expanded))
            about += f"; {rise} {self['year']} (± {reach})"
        return f"⚠ {about}: {self['alarm']}." if series.alarm else f"{about}."

    def _difference(self, change: Change, unit: str) -> str:
        text = f"{self.number(change.difference, unit, sign=True)} {self['since']} {change.since:%Y-%m-%d}"
        reach = self["unknown"] if change.expanded is None else f"± {self.number(change.expanded, unit)}"
        return f"{text} ({reach})"


def _figure(series: Series, asset: str, words: _Words) -> Figure:
    unit = f" [{series.unit}]" if series.unit else ""
    title = f"{words[series.name]}{unit}"
    svg = trend_svg(series, title).replace("currentColor", "#222222")
    return Figure(svg.encode(), "svg", f"{asset}: {words.change(series)}")


def _table(trend: AssetTrend, words: _Words) -> Table:
    names = [one.name for one in trend.series]
    units = {one.name: one.unit for one in trend.series}
    head = (words["date"], words["load"], *(words[name] for name in names))
    rows = []
    for row in trend.rows[-MOST_ROWS:]:
        load = row.look.load_percent
        cells = (_cell(getattr(row, name), units[name], words) for name in names)
        rows.append((f"{row.look.at:%Y-%m-%d}", "" if load is None else f"{load:.0f} %", *cells))
    return Table(words["trend"], head, tuple(rows))


def _cell(sample: Sample | None, unit: str, words: _Words) -> str:
    if sample is None:
        return ""
    value, bar = words.digits(sample.value, unit), ""
    if sample.uncertainty is not None:
        bar = f" ± {words.digits(_COVERAGE * sample.uncertainty, unit)}"
    return f"{value}{bar} {unit}".rstrip()
