"""Backtest inputs: read users' demand and stock files into panels for replay."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from ipp.core.contract import Column, Kind, Table, normalise_label
from ipp.core.predictive.panel import Ints, Panel
from ipp.core.replay.simulate import StockPosition
from ipp.errors import InvalidInputError, UnreadableFileError
from ipp.formats.intake.file_reader import read_cells, translate_read_errors
from ipp.formats.intake.rejection import raise_refused_cells
from ipp.formats.intake.row_check import check_rows, match_headings
from ipp.storage.files.scratch import Scratch

_DATE_COLUMN: Final = Column(
    "date", "fecha", Kind.DATE, "Día, o primer día del periodo.", required=True
)
_UNITS_COLUMN: Final = Column(
    "units", "piezas", Kind.NUMBER, "Piezas.", required=True, minimum=0, maximum=1e7
)
_IN_STOCK_COLUMN: Final = Column(
    "in_stock", "en_existencia", Kind.FLAG, "0: se había agotado.", default=True
)
_ON_HAND_COLUMN: Final = Column(
    "on_hand", "existencia", Kind.NUMBER, "Piezas.", required=True, minimum=0, maximum=1e7
)
_IN_TRANSIT_PREFIX: Final = "en_transito_"


class PeriodLength(StrEnum):
    """The length of a period."""

    DIA = "dia"
    SEMANA = "semana"
    MES = "mes"

    @property
    def days(self) -> float:
        """Average number of days in the period."""
        return {PeriodLength.DIA: 1.0, PeriodLength.SEMANA: 7.0, PeriodLength.MES: 365 / 12}[self]


@dataclass(frozen=True, slots=True)
class DemandHistory:
    """Demand read from a file: row i of ``series`` (key texts) names row i of ``panel``.

    ``starts`` holds the first day of each period and of the one after the last.
    """

    series: pl.DataFrame
    panel: Panel
    starts: Sequence[dt.date]
    period: PeriodLength

    def period_of(self, day: dt.date) -> int:
        """Return the index of the period of ``day``. Raises `InvalidInputError` if out of range."""
        if not self.starts[0] <= day < self.starts[-1]:
            raise InvalidInputError(
                f"--inicio {day} no está en el archivo.",
                hint=f"Va del {self.starts[0]} al {self.starts[-1]}.",
            )
        return int(
            np.searchsorted(
                np.array(self.starts[1:], dtype="datetime64[D]"), np.datetime64(day), side="right"
            )
        )


def read_demand_history(file: Path, scratch: Scratch, period: PeriodLength | None) -> DemandHistory:
    """Read demand in long form: key columns, fecha, piezas and, optionally, en_existencia.

    The last key column is the product, those before it the place. After a series' first row, a
    period without rows has zero demand; rows of one period are summed. A period with a stockout
    counts as unobserved. ``period`` defaults to the smallest step between the file's dates.

    Raises `UnreadableFileError`, `MissingColumnError` and `InvalidInputError`.
    """
    rows, keys = _read_columns(file, scratch, (_DATE_COLUMN, _UNITS_COLUMN, _IN_STOCK_COLUMN))
    duplicates = rows.filter(pl.struct(*keys, "date").is_duplicated())
    if len(duplicates):
        named = ", ".join(str(value) for value in duplicates.select(*keys, "date").row(0))
        raise InvalidInputError(
            f"{file.name} tiene dos renglones de {named}.", hint="Deje uno solo."
        )
    period = period or _infer_period(rows["date"])
    numbered = rows.with_columns(_number_periods(period, rows["date"].max()).alias("#period"))
    periods = numbered["#period"].to_numpy()
    first, last = int(periods.min()), int(periods.max())
    if (
        period is PeriodLength.SEMANA
        and _infer_period(rows["date"]) is PeriodLength.DIA
        and not _drop_incomplete(numbered, first)
    ):
        numbered, first = numbered.filter(pl.col("#period") > first), first + 1
    series, panel = _build_history_panel(numbered, keys, first, last)
    return DemandHistory(
        series=series,
        panel=panel,
        starts=_period_starts(numbered, period, first, last),
        period=period,
    )


def _build_history_panel(
    numbered: pl.DataFrame, keys: list[str], first: int, last: int
) -> tuple[pl.DataFrame, Panel]:
    """Return the keys of each series, ascending, and their demand by period."""
    sums = numbered.group_by(*keys, "#period").agg(pl.col("units").sum(), pl.col("in_stock").min())
    series = sums.select(keys).unique().sort(keys)
    placed = sums.join(series.with_row_index("#series"), on=keys)
    shape = (len(series), last - first + 1)
    units, known, stockout = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    at = (placed["#series"].to_numpy(), placed["#period"].to_numpy() - first)
    units[at] = placed["units"].to_numpy()
    known[at] = 1.0
    stockout[at] = ~placed["in_stock"].to_numpy()
    # A series is observed from its first row on, except in periods with a stockout. For example
    # known 0 1 0 1 and stockout 0 0 0 1 give seen 0 1 1 0.
    seen = (np.maximum.accumulate(known, axis=1) > 0) & (stockout == 0)
    return series, Panel.build(units, seen.astype(np.float64), *_series_codes(series, keys))


def read_stock_file(
    file: Path, scratch: Scratch, history: DemandHistory, lead: int
) -> StockPosition:
    """Read the stock of each series of ``history``: existencia, and en_transito_N due in N periods.

    A series without a row has no stock. Raises as `read_demand_history`, and `InvalidInputError`
    for a series that the history lacks.
    """
    rows, keys = _read_columns(file, scratch, (_ON_HAND_COLUMN,), history.series.columns)
    unknown = rows.join(history.series, on=keys, how="anti")
    if len(unknown):
        named = ", ".join(map(str, unknown.select(keys).row(0)))
        raise InvalidInputError(
            f"{file.name} tiene existencia de {named}, que no está en la demanda.",
            hint=f"Son {len(unknown):,} renglones así: quítelos, o añada su demanda.",
        )
    if rows.select(keys).is_duplicated().any():
        raise InvalidInputError(
            f"{file.name} tiene una serie más de una vez.", hint="Deje un renglón por serie."
        )
    placed = history.series.join(rows, on=keys, how="left", maintain_order="left").fill_null(0.0)
    transit = [name for name in placed.columns if name.startswith(_IN_TRANSIT_PREFIX)]
    width = max([lead, *(int(name.removeprefix(_IN_TRANSIT_PREFIX)) for name in transit)])
    arriving = np.zeros((len(placed), width))
    for name in transit:
        arriving[:, int(name.removeprefix(_IN_TRANSIT_PREFIX)) - 1] = placed[name].to_numpy()
    return StockPosition(placed["on_hand"].to_numpy().astype(np.float64), arriving)


def estimate_initial_stock(panel: Panel, start: int, lead: int, review: int) -> StockPosition:
    """Return a plausible stock at ``start``, from mean demand in the 13 periods before.

    On hand are ``review`` + 1 periods of mean demand; one more arrives in each of the next
    ``lead`` periods.
    """
    mean = np.rint(panel.units[:, max(0, start - 13) : start].mean(axis=1))
    return StockPosition(mean * (review + 1), np.repeat(mean[:, None], lead, axis=1))


def list_orders(history: DemandHistory, period: int, units: Ints) -> pl.DataFrame:
    """Return the positive orders of one period: series, first day of the period, units."""
    return history.series.with_columns(
        fecha=pl.lit(history.starts[period], dtype=pl.Date), pedido=pl.Series(units, dtype=pl.Int64)
    ).filter(pl.col("pedido") > 0)


def _read_columns(
    file: Path, scratch: Scratch, columns: Sequence[Column], keys: Sequence[str] = ()
) -> tuple[pl.DataFrame, list[str]]:
    """Return the file's rows and its key columns.

    ``columns`` go by their names in code, the key columns by their headings.
    """
    with scratch.temporary_folder() as folder:
        cells = read_cells(file, folder, columns)
        table = _history_contract(columns, cells.headings, keys)
        positions = match_headings(table, file, cells.headings, sheet=cells.sheet)
        with translate_read_errors(file):
            examined = check_rows(table, cells, positions)
            raise_refused_cells(table, file, examined)
            rows = examined.select(table.schema.names()).collect()
    if rows.is_empty():
        raise UnreadableFileError(
            f"{file.name} sólo tiene encabezados.", hint="Ponga al menos un renglón debajo."
        )
    return rows, list(table.key)


def _history_contract(
    columns: Sequence[Column], headings: Sequence[str], keys: Sequence[str]
) -> Table:
    """Return the contract of a file whose headings other than ``columns`` are series keys."""
    known = {spelling for column in columns for spelling in column.spellings}
    rest = [
        heading.strip()
        for heading in headings
        if heading.strip() and normalise_label(heading) not in known
    ]
    transit = [
        h
        for h in rest
        if _ON_HAND_COLUMN in columns
        and h.startswith(_IN_TRANSIT_PREFIX)
        and h.removeprefix(_IN_TRANSIT_PREFIX).isdecimal()
    ]
    named = [heading for heading in rest if heading not in transit]
    series_keys = list(keys) or named
    if not series_keys:
        raise InvalidInputError(
            "El archivo no dice de qué serie es cada renglón.", hint="Añada una columna producto."
        )
    series = tuple(
        Column(name, name, Kind.TEXT, "Nombra la serie.", required=True) for name in series_keys
    )
    arriving = tuple(
        Column(name, name, Kind.NUMBER, "Piezas que llegan.", minimum=0, maximum=1e7, default=0.0)
        for name in transit
    )
    return Table(
        name="archivo",
        title="archivo",
        columns=(*series, *columns, *arriving),
        key=tuple(series_keys),
    )


def _infer_period(dates: pl.Series) -> PeriodLength:
    """Return the period length that the smallest step between two dates suggests."""
    steps = dates.unique().sort().diff().drop_nulls().dt.total_days()
    least = int(steps.to_numpy().min()) if len(steps) else 1
    return (
        PeriodLength.DIA if least < 7 else PeriodLength.SEMANA if least < 28 else PeriodLength.MES
    )


def _number_periods(period: PeriodLength, last: object) -> pl.Expr:
    """Return consecutive period numbers; weeks end on the weekday of the file's last date."""
    if period is PeriodLength.MES:
        return pl.col("date").dt.year().cast(pl.Int64) * 12 + pl.col("date").dt.month().cast(
            pl.Int64
        )
    days = (pl.col("date") - pl.lit(last)).dt.total_days()
    return days if period is PeriodLength.DIA else -((-days) // 7)


def _drop_incomplete(rows: pl.DataFrame, first: int) -> bool:
    return rows.filter(pl.col("#period") == first)["date"].n_unique() == 7


def _period_starts(
    rows: pl.DataFrame, period: PeriodLength, first: int, last: int
) -> list[dt.date]:
    if period is PeriodLength.MES:
        return [dt.date((n - 1) // 12, (n - 1) % 12 + 1, 1) for n in range(first, last + 2)]
    end = rows["date"].max()
    assert isinstance(end, dt.date)  # Files without rows were rejected.
    if period is PeriodLength.DIA:
        return [end + dt.timedelta(days=n) for n in range(first, last + 2)]
    # A weekly file has one date per week, which names the week; in a daily file a week is named by
    # its first day, six days before its end.
    named = rows.group_by("#period").agg(pl.col("date").n_unique())["date"].max() == 1
    return [end + dt.timedelta(days=7 * n - (0 if named else 6)) for n in range(first, last + 2)]


def _series_codes(series: pl.DataFrame, keys: Sequence[str]) -> tuple[Ints, Ints]:
    """Return integer codes of the product (last key column) and of the place (the others)."""

    def codes(names: Sequence[str]) -> Ints:
        if not names:
            return np.zeros(len(series), dtype=np.int64)
        return (
            series.select(pl.struct(names).rank("dense") - 1)
            .to_series()
            .to_numpy()
            .astype(np.int64)
        )

    return codes(keys[-1:]), codes(keys[:-1])
