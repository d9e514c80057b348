"""People's own demand, replayed: from a long file of what was sold to what a policy would have cost."""

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
    """How long a period is."""

    DIA = "dia"
    SEMANA = "semana"
    MES = "mes"

    @property
    def days(self) -> float:
        """Its days, on average."""
        return {PeriodLength.DIA: 1.0, PeriodLength.SEMANA: 7.0, PeriodLength.MES: 365 / 12}[self]


@dataclass(frozen=True, slots=True)
class DemandHistory:
    """What a file says was asked for: ``series`` (one row each, texts) beside the rows of ``panel``.

    ``starts`` is the first day of each period, and of the one after the last.
    """

    series: pl.DataFrame
    panel: Panel
    starts: Sequence[dt.date]
    period: PeriodLength

    def period_of(self, day: dt.date) -> int:
        """The period that ``day`` falls into, or the first after it. Raises `InvalidInputError` outside the file."""
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
    """Read demand in long form: columns that name a series, fecha, piezas and, where known, en_existencia.

    The last of the columns that name a series is the product, those before it the place. A period without a row
    after the first one of its series is one without demand; rows of one period are added up. A period in which
    something had run out counts as not seen. Without ``period`` it is the step between the file's dates.

    Raises `UnreadableFileError`, `MissingColumnError` and `InvalidInputError`.
    """
    rows, keys = _read_columns(file, scratch, (_DATE_COLUMN, _UNITS_COLUMN, _IN_STOCK_COLUMN))
    twice = rows.filter(pl.struct(*keys, "date").is_duplicated())
    if len(twice):
        named = ", ".join(str(value) for value in twice.select(*keys, "date").row(0))
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
    sums = numbered.group_by(*keys, "#period").agg(pl.col("units").sum(), pl.col("in_stock").min())
    series = sums.select(keys).unique().sort(keys)
    placed = sums.join(series.with_row_index("#series"), on=keys)
    shape = (len(series), last - first + 1)
    units, known, blind = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    at = (placed["#series"].to_numpy(), placed["#period"].to_numpy() - first)
    units[at], known[at], blind[at] = (
        placed["units"].to_numpy(),
        1.0,
        ~placed["in_stock"].to_numpy(),
    )
    seen = (np.maximum.accumulate(known, axis=1) > 0) & (blind == 0)
    return DemandHistory(
        series=series,
        panel=Panel.build(units, seen.astype(np.float64), *_series_codes(series, keys)),
        starts=_period_starts(numbered, period, first, last),
        period=period,
    )


def read_stock_file(
    file: Path, scratch: Scratch, history: DemandHistory, lead: int
) -> StockPosition:
    """Read what each series of ``history`` has: existencia, and en_transito_1 … which arrive from period 1 on.

    A series without a row has nothing. Raises as `read_demand_history`, and for a series that the history does not have.
    """
    rows, keys = _read_columns(file, scratch, (_ON_HAND_COLUMN,), history.series.columns)
    strange = rows.join(history.series, on=keys, how="anti")
    if len(strange):
        named = ", ".join(map(str, strange.select(keys).row(0)))
        raise InvalidInputError(
            f"{file.name} tiene existencia de {named}, que no está en la demanda.",
            hint=f"Son {len(strange):,} renglones así: quítelos, o añada su demanda.",
        )
    if rows.select(keys).is_duplicated().any():
        raise InvalidInputError(
            f"{file.name} tiene una serie más de una vez.", hint="Deje un renglón por serie."
        )
    placed = history.series.join(rows, on=keys, how="left", maintain_order="left").fill_null(0.0)
    coming = [name for name in placed.columns if name.startswith(_IN_TRANSIT_PREFIX)]
    width = max([lead, *(int(name.removeprefix(_IN_TRANSIT_PREFIX)) for name in coming)])
    arriving = np.zeros((len(placed), width))
    for name in coming:
        arriving[:, int(name.removeprefix(_IN_TRANSIT_PREFIX)) - 1] = placed[name].to_numpy()
    return StockPosition(placed["on_hand"].to_numpy().astype(np.float64), arriving)


def estimate_initial_stock(panel: Panel, start: int, lead: int, review: int) -> StockPosition:
    """What a shop might have at ``start``: the mean of 13 periods for a review and more, and as much on its way."""
    mean = np.rint(panel.units[:, max(0, start - 13) : start].mean(axis=1))
    return StockPosition(mean * (review + 1), np.repeat(mean[:, None], lead, axis=1))


def list_orders(history: DemandHistory, period: int, units: Ints) -> pl.DataFrame:
    """The orders of one period as rows: the series, its first day, the units."""
    return history.series.with_columns(
        fecha=pl.lit(history.starts[period], dtype=pl.Date), pedido=pl.Series(units, dtype=pl.Int64)
    ).filter(pl.col("pedido") > 0)


def _read_columns(
    file: Path, scratch: Scratch, columns: Sequence[Column], keys: Sequence[str] = ()
) -> tuple[pl.DataFrame, list[str]]:
    """The file's rows: ``columns`` by their names in code, the others, which name the series, by their headings."""
    with scratch.temporary_folder() as folder:
        cells = read_cells(file, folder, columns)
        table = _history_contract(columns, cells.headings, keys)
        positions = match_headings(table, file, cells.headings, sheet=cells.sheet)
        with translate_read_errors(file):
            examined = check_rows(table, cells, positions, {}, dt.date.max)
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
    """The contract of a file whose headings, but for ``columns``, name its series."""
    known = {spelling for column in columns for spelling in column.spellings}
    rest = [
        heading.strip()
        for heading in headings
        if heading.strip() and normalise_label(heading) not in known
    ]
    coming = [
        h
        for h in rest
        if _ON_HAND_COLUMN in columns
        and h.startswith(_IN_TRANSIT_PREFIX)
        and h.removeprefix(_IN_TRANSIT_PREFIX).isdecimal()
    ]
    named = [heading for heading in rest if heading not in coming]
    wanted = list(keys) or named
    if not wanted:
        raise InvalidInputError(
            "El archivo no dice de qué serie es cada renglón.", hint="Añada una columna producto."
        )
    series = tuple(
        Column(name, name, Kind.TEXT, "Nombra la serie.", required=True) for name in wanted
    )
    arriving = tuple(
        Column(name, name, Kind.NUMBER, "Piezas que llegan.", minimum=0, maximum=1e7, default=0.0)
        for name in coming
    )
    return Table(
        name="archivo", title="archivo", columns=(*series, *columns, *arriving), key=tuple(wanted)
    )


def _infer_period(dates: pl.Series) -> PeriodLength:
    """The period by the smallest step between two dates."""
    steps = dates.unique().sort().diff().drop_nulls().dt.total_days()
    least = int(steps.to_numpy().min()) if len(steps) else 1
    return (
        PeriodLength.DIA if least < 7 else PeriodLength.SEMANA if least < 28 else PeriodLength.MES
    )


def _number_periods(period: PeriodLength, last: object) -> pl.Expr:
    """Numbers periods one by one; weeks end with the last day of the file."""
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
    assert isinstance(end, dt.date)  # no file without rows comes here
    if period is PeriodLength.DIA:
        return [end + dt.timedelta(days=n) for n in range(first, last + 2)]
    # A file of weeks has one day in each, which names it; in a file of days a week begins with its first.
    named = rows.group_by("#period").agg(pl.col("date").n_unique())["date"].max() == 1
    return [end + dt.timedelta(days=7 * n - (0 if named else 6)) for n in range(first, last + 2)]


def _series_codes(series: pl.DataFrame, keys: Sequence[str]) -> tuple[Ints, Ints]:
    """Numbers of the product (the last column) and of the place (those before it)."""

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
