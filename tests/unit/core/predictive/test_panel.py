"""What the forecast reads from the past, by hand and against a plain computation of it."""

from __future__ import annotations

import numpy as np
import pytest

from ipp.core.predictive.panel import (
    Features,
    Panel,
    concat_features,
    extract_features,
    usable_half_lives,
)
from tests.unit.core.predictive.plain_features import PlainPanel

HORIZON = 4


def read_features(
    units: list[list[float]], seen: list[list[float]] | None = None, horizon: int = HORIZON
) -> Features:
    panel = Panel.build(np.array(units), None if seen is None else np.array(seen))
    return extract_features(panel, horizon, usable_half_lives(panel.periods))


def make_panel(seed: int) -> Panel:
    """Series of all kinds: new, silent, with an outlier, in one to five places.

    At least three of a group are known: with one alone, how much it varies is a rounding error.
    """
    rng = np.random.default_rng(seed)
    n, periods = int(rng.integers(8, 16)), int(rng.integers(5, 41))
    units = rng.poisson(rng.gamma(1.0, 2.0, n)[:, None], (n, periods)).astype(float)
    units[rng.random(n) < 0.2, int(rng.integers(1, periods)) :] = 0
    units[rng.integers(n), rng.integers(periods)] = 60
    seen = rng.random((n, periods)) < np.where(rng.random(n) < 0.5, 1.0, 0.6)[:, None]
    seen[: rng.integers(0, 3)] = False
    return Panel.build(units, seen, rng.integers(0, n // 3, n), np.arange(n) % 2)


@pytest.mark.parametrize("seed", range(40))
def test_features_are_those_of_a_plain_computation(seed: int) -> None:
    panel, horizon = make_panel(seed), (1, 4, 8, 30)[seed % 4]
    lives = usable_half_lives(panel.periods)
    found, plain = extract_features(panel, horizon, lives), PlainPanel(panel, horizon, lives)
    numbers = range(len(panel))
    assert found.levels == pytest.approx(np.array([plain.levels(n) for n in numbers]), rel=1e-6)
    assert found.recency.tolist() == [plain.recency(n) for n in numbers]
    assert found.trend.tolist() == [plain.trend_class(n) for n in numbers]
    assert found.spread == pytest.approx([one.spread for one in plain.series], abs=1e-12)
    assert found.scale == pytest.approx([one.scale for one in plain.series])


def test_recency_counts_the_sales_that_a_series_has_missed_at_its_own_rate() -> None:
    sold, none = [1.0] * 6, [0.0] * 6
    found = read_features(
        [sold + sold, sold + none, sold + none, none + none, none + sold],
        [[1.0] * 12, [1.0] * 12, [1.0] * 6 + [0.0, 0.0] + [1.0] * 4, [1.0] * 12, [1.0] * 12],
    )
    # Missed sales: 0; 6 × 6/12 = 3; 4 × 6/10 = 2.4, for two periods were not seen; none; 0.
    assert found.recency.tolist() == [0, 5, 4, 0, 0]


def test_spread_is_shrunk_and_never_below_what_a_poisson_has() -> None:
    found = read_features([[0, 6, 0, 6, 0, 0], [2, 2, 2, 2, 2, 2], [0, 0, 0, 0, 0, 0]])
    # Mean 2, variance 8, 2 sales: ((8 - 2) / 4 + 0.5) / 2 = 1; 6 equal sales: (0 + 1/6) / (4/3).
    assert found.spread == pytest.approx([1.0, 0.125, 0.0])


def test_scale_is_the_root_mean_square_of_the_steps() -> None:
    found = read_features([[0, 3, 3, 7, 7, 7], [5, 5, 5, 5, 5, 5]])
    assert found.scale == pytest.approx([5 / np.sqrt(5), 0.0])


def test_levels_forget_by_half_lives_and_the_last_is_the_plain_mean() -> None:
    found = read_features([[0.0, 0.0, 0.0, 8.0]], horizon=4)
    # Half-life 1 of 4 periods: 8 / (1 + 1/2 + 1/4 + 1/8). A lone series is its own group: the
    # group's mean is its level, without variance, and has no weight.
    assert usable_half_lives(4) == (1,)
    assert found.levels[0, :2] == pytest.approx([8 / 1.875, 2.0])


def test_a_rare_large_sale_is_clipped_in_the_calm_levels_alone() -> None:
    units = np.zeros((1, 20))
    units[0, -1] = 100.0
    panel = Panel.build(units)
    found = extract_features(panel, HORIZON, (1,))
    weights = sum(0.5**age for age in range(20))
    limit = 5.0 + 3 * np.sqrt(100.0**2 / 20 - 25.0)
    assert found.levels[0, [0, 2]] == pytest.approx([100 / weights, limit / weights])


@pytest.mark.parametrize("places", [2, 3, 5])
def test_a_new_product_sells_the_mean_of_its_peers_at_the_pace_of_its_place(places: int) -> None:
    """Three products everywhere; here the third is new and the others sell half as much."""
    level = np.tile([4.0, 8.0, 10.0], places)
    level[-3:] = 3.0
    units = np.repeat(level[:, None], 12, axis=1)
    seen = np.ones_like(units)
    seen[-1] = 0.0
    product, group = np.tile([0, 1, 2], places), np.repeat(np.arange(places), 3)
    found = extract_features(Panel.build(units, seen, product, group), HORIZON, (1, 2, 4))
    peers = places - 1
    # k peers weigh k / (k + 1); the mean of what is known here, 3, has the rest.
    assert found.levels[-1, 0] == pytest.approx((peers * 10 / 2 + 3.0) / (peers + 1))


def test_what_is_not_seen_is_not_counted() -> None:
    panel = Panel.build(np.array([[3.0, 9.0, 5.0]]), np.array([[1.0, 0.0, 1.0]]))
    assert panel.units.tolist() == [[3.0, 0.0, 5.0]]
    assert panel.seen.tolist() == [[True, False, True]]
    assert extract_features(panel, HORIZON, (1,)).levels[0, 1] == 4.0


def test_a_panel_is_seen_of_distinct_products_in_one_group_unless_it_is_said() -> None:
    panel = Panel.build(np.ones((3, 2)))
    assert panel.seen.all()
    assert panel.product.tolist() == [0, 1, 2]
    assert panel.group.tolist() == [0, 0, 0]
    assert panel.truncate_at(1).units.shape == (3, 1)


def test_half_lives_are_shorter_than_half_of_the_past() -> None:
    assert [usable_half_lives(n) for n in (1, 2, 3, 8, 9, 128, 129)] == [
        (1,), (1,), (1,), (1, 2), (1, 2, 4), (1, 2, 4, 8, 16, 32), (1, 2, 4, 8, 16, 32, 64),
    ]  # fmt: skip


def test_many_series_have_the_features_of_each() -> None:
    """More than one chunk of series, in order."""
    rng = np.random.default_rng(1)
    units = rng.poisson(3.0, (1_100, 10)).astype(float)
    panel = Panel.build(units, group=np.arange(1_100))
    whole = extract_features(panel, HORIZON, (1, 2))
    parts = [panel.select(slice(0, 1_024)), panel.select(slice(1_024, None))]
    apart = concat_features([extract_features(part, HORIZON, (1, 2)) for part in parts])
    assert whole.scale.tolist() == apart.scale.tolist()
    assert whole.spread.tolist() == apart.spread.tolist()
    assert whole.recency.tolist() == apart.recency.tolist()


def test_no_series_has_no_features() -> None:
    panel = Panel.build(np.zeros((0, 12)))
    assert len(extract_features(panel, HORIZON, (1, 2)).scale) == 0
