"""Forecast candidates, compared without reading the last periods of each data set.

    python bench/choice.py FOLDER

FOLDER is that of bench/forecast.py. What that benchmark measures on (6 and 12 months, 28 days) is
cut off before anything else is done; each form then learns before, and is measured on, three
windows as long that follow one another up to there. So a form is chosen without the periods that it
is reported on. LightGBM is compared where it is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol
from unittest import mock

import numpy as np
import polars as pl

from forecast import LEVELS, stores
from ipp.core.decision.demand import Demand
from ipp.core.predictive import forecast as learning
from ipp.core.predictive.forecast import Calibration, calibrate_forecast, forecast_demand
from ipp.core.predictive.panel import (
    RECENCY_BOUNDS,
    TREND_BOUNDS,
    Features,
    Floats,
    Ints,
    Panel,
    concat_features,
    extract_features,
    usable_half_lives,
)
from measure import show

WINDOWS = 3


class Outlook(Protocol):
    """What a form says of the units to come."""

    @property
    def mean(self) -> Floats: ...

    def quantiles(self, levels: Sequence[float]) -> Ints: ...


Form = Callable[[Panel, int], Outlook]


def ours(past: Panel, ahead: int) -> Outlook:
    return forecast_demand(past, calibrate_forecast(past, ahead))


def with_constant(name: str, value: float) -> Form:
    def form(past: Panel, ahead: int) -> Outlook:
        with mock.patch.object(learning, name, value):
            return ours(past, ahead)

    return form


def changed(change: Callable[[Calibration], Calibration]) -> Form:
    return lambda past, ahead: forecast_demand(past, change(calibrate_forecast(past, ahead)))


def alone(past: Panel, ahead: int) -> Outlook:
    return ours(Panel.build(past.units, past.seen), ahead)


def plain_mean(past: Panel, ahead: int) -> Outlook:
    """The mean of as many periods as are foretold, the spread learnt as ever."""
    return _spread_around(past, ahead, lambda known, _: known.units[:, -ahead:].sum(axis=1))


def log_linear(past: Panel, ahead: int) -> Outlook:
    """Fit a Poisson regression on the log of the same levels and on recency and pace classes."""

    def features(of: Features) -> Floats:
        little = 0.02 * of.levels.mean()
        columns = [np.log(of.levels + little)]
        columns += [
            np.eye(len(RECENCY_BOUNDS) + 1)[of.recency],
            np.eye(len(TREND_BOUNDS) + 1)[of.trend],
        ]
        return np.column_stack(columns)

    seen, came = _replays(past, ahead)
    x, weight = features(seen), 1 / seen.scale
    mean = np.maximum(seen.levels[:, -4], 1e-3) * ahead
    for _ in range(25):
        working = np.log(mean) + (came - mean) / mean
        square = (x * (weight * mean)[:, None]).T @ x
        square += 1e-4 * np.trace(square) / len(square) * np.eye(len(square))
        weights = np.linalg.solve(square, (x * (weight * mean)[:, None]).T @ working)
        mean = np.exp(np.clip(x @ weights, -12, 12))
    memories = usable_half_lives(past.periods)
    return _spread_around(
        past,
        ahead,
        lambda known, _: np.exp(
            np.clip(features(extract_features(known, ahead, memories)) @ weights, -12, 12)
        ),
    )


@dataclass(frozen=True)
class Hurdle:
    """Whether anything sells as ours has it; how much, as the series itself sold when it did."""

    demand: Demand
    past: Panel

    @property
    def mean(self) -> Floats:
        return self.demand.mean

    def quantiles(self, levels: Sequence[float]) -> Ints:
        sells = self.demand.survival(np.ones(len(self.mean), dtype=np.int64))
        found = np.zeros((len(self.mean), len(levels)), dtype=np.int64)
        for row, units in enumerate(self.past.units):
            sizes = np.sort(units[units > 0])
            if len(sizes):
                beyond = (np.asarray(levels) - (1 - sells[row])) / max(sells[row], 1e-12)
                place = np.clip(np.ceil(beyond * len(sizes)).astype(int) - 1, 0, len(sizes) - 1)
                found[row] = np.where(beyond > 0, sizes[place], 0)
        return found


def hurdle(past: Panel, ahead: int) -> Outlook:
    demand = forecast_demand(past, calibrate_forecast(past, ahead))
    return Hurdle(demand, past)


def boosted(past: Panel, ahead: int) -> Outlook:
    """Fit LightGBM's median of the ratio of actual to plain level: absolute error, 300 trees."""
    lightgbm = import_module("lightgbm")

    def features(of: Features) -> tuple[Floats, Floats]:
        base = of.levels[:, len(memories) // 2] * ahead + 0.3
        shares = np.log((of.levels * ahead + 0.3) / base[:, None])
        return np.column_stack([np.log(base), shares, of.recency, of.trend, of.spread]), base

    memories = usable_half_lives(past.periods)
    seen, came = _replays(past, ahead)
    x, base = features(seen)
    settings = {
        "objective": "l1",
        "learning_rate": 0.03,
        "num_leaves": 31,
        "min_child_samples": 100,
    }
    settings |= {"verbose": -1, "deterministic": True, "num_threads": 1}
    model = lightgbm.train(settings, lightgbm.Dataset(x, came / base, weight=base), 300)

    def foretold(known: Panel, horizon: int) -> Floats:
        x, base = features(extract_features(known, horizon, memories))
        return np.maximum(np.asarray(model.predict(x)) * base, 1e-6)

    return _spread_around(past, ahead, foretold)


def _replays(past: Panel, ahead: int) -> tuple[Features, Floats]:
    """What was known at six moments of the past, and the units that came."""
    parts, came = [], []
    for known, after in _moments(past, ahead):
        of = extract_features(known, ahead, usable_half_lives(past.periods))
        rows = np.flatnonzero(of.scale > 0)
        parts.append(of.select(rows))
        came.append(after[rows])
    return concat_features(parts), np.concatenate(came)


def _moments(past: Panel, ahead: int) -> Iterator[tuple[Panel, Floats]]:
    for number in range(learning.REPLAY_ORIGINS):
        moment = past.periods - ahead - number * max(1, ahead // 2)
        if moment >= max(learning.MIN_TRAINING_PERIODS, ahead):
            yield past.truncate_at(moment), past.units[:, moment : moment + ahead].sum(axis=1)


def _spread_around(past: Panel, ahead: int, foretold: Callable[[Panel, int], Floats]) -> Demand:
    """Demand around given means, with one dispersion for all: the one of maximum likelihood."""
    means, units = [], []
    for known, after in _moments(past, ahead):
        means.append(np.maximum(foretold(known, ahead), 1e-6))
        units.append(after)
    mean, came = np.concatenate(means), np.concatenate(units)
    here = np.zeros(len(mean), dtype=np.int64)
    size = learning._most_likely_dispersion(
        here, 1, mean, np.zeros(len(mean)), np.round(came).astype(np.int64)
    )
    return Demand.negative_binomial(np.maximum(foretold(past, ahead), 1e-6), float(size[0]))


FORMS: dict[str, Form] = {
    "moving average": plain_mean,
    "ours": ours,
    "squared errors": with_constant("_ERROR_STEP_SCALE", 1e9),
    "sums not held": with_constant("_BALANCE_WEIGHT", 0.0),
    "no neighbours": alone,
    "no classes of silence": changed(
        lambda c: replace(
            c,
            recency_factor=np.ones_like(c.recency_factor),
            zero_inflation=np.zeros_like(c.zero_inflation),
        )
    ),
    "no classes of pace": changed(lambda c: replace(c, trend_factor=np.ones_like(c.trend_factor))),
    "one size for all": changed(
        lambda c: replace(c, dispersion=np.full_like(c.dispersion, np.median(c.dispersion)))
    ),
    "hurdle with own sizes": hurdle,
    "Poisson regression": log_linear,
    "LightGBM": boosted,
}


def errors(past: Panel, came: Floats, form: Form) -> tuple[float, float]:
    """RMSSE of the level and mean scaled pinball of a month."""
    step = np.diff(past.units, axis=1)
    moved = (step != 0).any(axis=1)
    ahead = came.shape[1]
    mean = form(past, ahead).mean / ahead
    scale = np.sqrt((step[moved] ** 2).mean(axis=1))
    rmsse = np.sqrt(((came - mean[:, None]) ** 2)[moved].mean(axis=1)) / scale
    month = form(past, 1)
    quantiles = (replace(month, mean=mean) if isinstance(month, Demand) else month).quantiles(
        [*LEVELS]
    )
    miss = came[moved][:, :, None] - quantiles[moved][:, None, :]
    level = np.asarray(LEVELS)
    pinball = np.where(miss >= 0, level * miss, (level - 1) * miss).mean(axis=(1, 2))
    return float(rmsse.mean()), float((pinball / np.abs(step[moved]).mean(axis=1)).mean())


def monthly(name: str, units: Floats, ahead: int) -> None:
    known = units[:, :-ahead]
    ends = [known.shape[1] - ahead * number for number in range(WINDOWS)]
    usual: Floats | None = None
    for label, form in _there():
        found = [
            errors(Panel.build(known[:, : end - ahead]), known[:, end - ahead : end], form)
            for end in ends
        ]
        means = np.mean(found, axis=0)
        if usual is None:  # the first is what the others are measured against
            usual = means
            continue
        for what, place in (("RMSSE", 0), ("pinball", 1)):
            each = "each " + ", ".join(f"{one[place]:.4f}" for one in found)
            against = {"a moving average": float(usual[place])}
            title = f"{name}, {WINDOWS} windows of {ahead} months, {label}: {what}"
            show(title, float(means[place]), "", against, each, digits=4)


def daily(path: Path, ahead: int = 28) -> None:
    units, seen, product, group = stores(path)
    units, seen = units[:, :-ahead], seen[:, :-ahead]
    for label, form in _there(hurdle):  # whose own sizes are of one day
        found = []
        for number in range(WINDOWS):
            end = units.shape[1] - ahead * number
            past = Panel.build(units[:, : end - ahead], seen[:, : end - ahead], product, group)
            came, usual = (
                units[:, end - ahead : end].sum(axis=1),
                past.units[:, -ahead:].sum(axis=1),
            )
            median, high = form(past, ahead).quantiles([0.5, 0.95]).T
            found.append(
                (np.abs(median - came).sum() / np.abs(usual - came).sum(), (came <= high).mean())
            )
        error, within = np.mean(found, axis=0)
        title = f"m5, {WINDOWS} windows of {ahead} days, {label}"
        each = "each " + ", ".join(f"{one:.4f}" for one, _ in found)
        show(
            f"{title}: error to a moving average's",
            float(error),
            "",
            {"a moving average": 1.0},
            each,
            digits=4,
        )
        each = "each " + ", ".join(f"{two:.1%}" for _, two in found)
        show(
            f"{title}: came within q.95",
            float(100 * within),
            "%",
            {"what it should be": 95.0},
            each,
        )


def _there(*but: Form) -> Iterator[tuple[str, Form]]:
    for label, form in FORMS.items():
        if form not in but and (form is not boosted or find_spec("lightgbm")):
            yield label, form


def main(folder: str) -> None:
    cars = pl.read_csv(Path(folder) / "carparts.csv").drop("Part").to_numpy().astype(np.float64)
    monthly("carparts", cars[~np.isnan(cars).any(axis=1)], 6)
    monthly("raf", pl.read_csv(Path(folder) / "raf.csv").to_numpy().astype(np.float64), 12)
    daily(Path(folder) / "m5_two_stores.parquet")


if __name__ == "__main__":
    main(sys.argv[1])
