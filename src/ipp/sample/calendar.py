"""The window of days of the sample, and the relative demand of each day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ipp.sample import sample_parameters

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MONTHS = 12
_DAYS_PER_YEAR = 365.25


@dataclass(frozen=True)
class SampleCalendar:
    """The ``days`` days that end with ``end``."""

    end: dt.date
    days: int

    @cached_property
    def dates(self) -> npt.NDArray[np.datetime64]:
        """Every day of the window, ascending."""
        last = np.datetime64(self.end, "D")
        return np.arange(last - np.timedelta64(self.days - 1, "D"), last + np.timedelta64(1, "D"))

    @cached_property
    def is_sunday(self) -> npt.NDArray[np.bool_]:
        """True on Sundays, one element a day."""
        sundays: npt.NDArray[np.bool_] = _weekday(self.dates) == 6
        return sundays

    @cached_property
    def demand(self) -> Floats:
        """Demand of each `sample_parameters.Season` x day, as a multiple of the year's mean day."""
        months = self.dates.astype("datetime64[M]")
        day_of_month = (self.dates - months.astype("datetime64[D]")).astype(np.int64) + 1
        month = months.astype(np.int64) % _MONTHS
        last_day = (months + 1).astype("datetime64[D]") - np.timedelta64(1, "D") == self.dates
        factor = np.asarray(sample_parameters.WEEKDAY)[_weekday(self.dates)]
        factor = np.where(
            np.isin(day_of_month, (1, 15, 16)) | last_day,
            factor * sample_parameters.PAYDAY_DEMAND,
            factor,
        )
        for at_month, at_day in sample_parameters.HOLIDAYS:
            quiet = (month == at_month - 1) & (day_of_month == at_day)
            factor = np.where(quiet, factor * sample_parameters.HOLIDAY_DEMAND, factor)
        return factor * self._season()

    def _season(self) -> Floats:
        """Interpolate the monthly multiples of each season to days, season x day."""
        years = self.dates.astype("datetime64[Y]").astype("datetime64[D]")
        position = (self.dates - years).astype(np.int64) * (_MONTHS / _DAYS_PER_YEAR)
        middles = np.arange(_MONTHS) + 0.5
        return np.stack(
            [np.interp(position, middles, row, period=_MONTHS) for row in sample_parameters.MONTHLY]
        )


def _weekday(dates: npt.NDArray[np.datetime64]) -> Ints:
    """Return the day of the week, Monday 0; day 0 of the epoch was a Thursday."""
    return (dates.astype(np.int64) + 3) % 7
