"""The made-up chain: what holds of every one, and the marginals of a year of 20 × 1,000."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ipp.core.contract import Table
from ipp.core.product_groups import PRODUCT_GROUPS
from ipp.core.tables import CONFIGURATIONS, COUNTERS, MATERIALS, SELLOUT, STOCK
from ipp.sample import PharmacyChain, catalogue, invent_chain, sample_writer, write_chain
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.sample_chain import AUTHOR

END = dt.date(2026, 6, 30)
YEAR_DAYS = 365


def invent_small_chain(
    *, counters: int = 4, materials: int = 150, days: int = 60, seed: int = 7
) -> PharmacyChain:
    return invent_chain(counters=counters, materials=materials, days=days, seed=seed, end=END)


def list_tables(chain: PharmacyChain) -> list[tuple[Table, pl.DataFrame]]:
    return [
        (CONFIGURATIONS, chain.configurations),
        (COUNTERS, chain.counters),
        (MATERIALS, chain.materials),
        (STOCK, chain.stock),
        (SELLOUT, pl.concat(list(chain.sellout()))),
    ]


def check_contract(table: Table, frame: pl.DataFrame) -> None:
    """Check the types, keys, required cells, bounds and choices that ``table`` states."""
    assert frame.schema == table.schema, table.title
    assert not frame.select(pl.struct(table.key).is_duplicated().any()).item(), table.title
    for column in table.columns:
        cells = frame[column.name]
        assert not (column.required and cells.null_count()), column.name
        if column.minimum is not None:
            assert cells.drop_nulls().ge(column.minimum).all(), column.name
        if column.maximum is not None:
            assert cells.drop_nulls().le(column.maximum).all(), column.name
        if column.choices:
            assert cells.drop_nulls().is_in(list(column.choices)).all(), column.name


class TestLaws:
    @settings(max_examples=20, deadline=None)
    @given(
        seed=st.integers(0, 2**63),
        counters=st.integers(1, 6),
        materials=st.integers(1, 60),
        days=st.integers(1, 60),
        more=st.integers(1, 40),
    )
    def test_a_chain_keeps_the_contracts_and_its_seed(
        self, seed: int, counters: int, materials: int, days: int, more: int
    ) -> None:
        size = {"materials": materials, "days": days, "seed": seed}
        tables = list_tables(invent_small_chain(counters=counters, **size))
        by_name = {table.name: frame for table, frame in tables}
        for table, frame in tables:
            check_contract(table, frame)
            for column, target in table.references.items():
                assert frame[column].is_in(by_name[target][column].to_list()).all(), column
        # Counters do not depend on how many there are: the same arguments give the same chain, and
        # a larger chain begins with it.
        ids = by_name[COUNTERS.name]["mostrador"].to_list()
        larger = list_tables(invent_small_chain(counters=counters + more, **size))
        for (table, frame), (_, other) in zip(tables, larger, strict=True):
            shared = pl.col("mostrador").is_in(ids) if "mostrador" in table.by_name else True
            assert_frame_equal(frame, other.filter(shared))

    def test_sellout_starts_over_at_each_call(self) -> None:
        chain = invent_small_chain()
        assert_frame_equal(pl.concat(list(chain.sellout())), pl.concat(list(chain.sellout())))

    def test_seeds_and_counters_differ(self) -> None:
        one, other = (list_tables(invent_small_chain(seed=seed)) for seed in (1, 2))
        assert not any(frame.equals(twin) for (_, frame), (_, twin) in zip(one, other, strict=True))
        first, second, *_ = invent_small_chain().sellout()
        assert not first.drop("mostrador").equals(second.drop("mostrador"))

    def test_bar_codes_end_with_their_check_digit(self) -> None:
        for code in invent_small_chain().materials["ean"].cast(pl.String):
            assert len(code) == 13
            assert sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(code)) % 10 == 0

    def test_descriptions_stay_unique_when_the_brands_run_out(self) -> None:
        drawn = catalogue.draw_catalogue(50_000, 30, np.random.default_rng(1)).frame
        assert drawn["description"].is_unique().all()
        assert drawn["ean"].is_unique().all()

    def test_three_to_six_counters_share_a_postal_code(self) -> None:
        codes = invent_small_chain(counters=100, materials=5).counters["postal_code"]
        sizes = codes.value_counts()["count"].sort(descending=True)
        assert sizes.le(6).all()
        assert sizes[:-1].ge(3).all()

    def test_the_lines_make_up_the_whole_catalogue(self) -> None:
        shares = [share for *_, lines in catalogue.CATEGORIES.values() for share in lines.values()]
        assert sum(shares) == pytest.approx(1)


@dataclass(frozen=True)
class Year:
    """A year of 20 counters × 1,000 products, as frames; ``annual`` has a row a pair, also of 0."""

    chain: PharmacyChain
    products: pl.DataFrame
    counters: pl.DataFrame
    stock: pl.DataFrame
    sold: pl.DataFrame
    annual: pl.DataFrame

    def matrix(self) -> np.ndarray:
        """Return the year's units, counter × product."""
        return self.annual["units"].to_numpy().reshape(20, 1_000)


@pytest.fixture(scope="module")
def year() -> Year:
    chain = invent_chain(counters=20, materials=1_000, days=YEAR_DAYS, seed=3, end=END)
    drawn = chain.catalogue
    products = chain.materials.with_columns(
        season=drawn.season, trend=drawn.trend, enters=drawn.enters, leaves=drawn.leaves
    )
    sold = pl.concat(list(chain.sellout()))
    sold = sold.join(products, on="material", maintain_order="left")
    totals = sold.group_by("mostrador", "material").agg(UNITS.sum())
    annual = chain.counters.select("mostrador").join(products, how="cross")
    annual = annual.join(totals, on=("mostrador", "material"), how="left", maintain_order="left")
    annual = annual.with_columns(UNITS.fill_null(0))
    value = annual.group_by("mostrador").agg(
        monthly=(UNITS * PRICE).sum() / YEAR_DAYS * 30,
        units=UNITS.sum(),
        median=UNITS.median(),
        high=UNITS.quantile(0.9),
    )
    counters = chain.counters.join(chain.configurations, on="mostrador").join(value, on="mostrador")
    return Year(chain, products, counters, chain.stock, sold, annual)


PRICE, UNITS, MONTHLY = pl.col("price"), pl.col("units"), pl.col("monthly")
STATED, TARGET = pl.col("counter_sales_value"), pl.col("target_investment")
INCLUDED = pl.mean_horizontal(group.switch_name for group in PRODUCT_GROUPS)
ORDINARY = PRICE.filter(PRICE <= 3_500)
MARGINALS = (
    ("products", "without a price", PRICE.null_count(), 1, 10),
    ("products", "dear ones", (PRICE > 3_500).sum(), 1, 10),
    ("products", "median price of the others", ORDINARY.median(), 350 * 0.8, 350 * 1.2),
    ("products", "lowest price", PRICE.min(), 2, 3_000),
    ("products", "highest price of the others", ORDINARY.max(), 2, 3_000),
    ("products", "with an inner pack", pl.col("inner_pack").count(), 5, 5),
    ("products", "price of those", PRICE.filter(pl.col("inner_pack") > 0).max(), 2, 60),
    ("products", "smallest inner pack", pl.col("inner_pack").min(), 2, 100),
    ("products", "launched", (pl.col("enters") > 0).sum(), 20, 60),
    ("products", "withdrawn", (pl.col("leaves") < YEAR_DAYS).sum(), 15, 50),
    ("counters", "without stated sales", STATED.null_count(), 1, 12),
    ("counters", "without a target", TARGET.null_count(), 5, 15),
    ("counters", "least stated sales to the true ones", (STATED / MONTHLY).min(), 0.85, 1.3),
    ("counters", "largest stated sales to the true ones", (STATED / MONTHLY).max(), 0.85, 1.3),
    ("counters", "days in a target", (TARGET / MONTHLY * 30).median(), 27 * 0.85, 27 * 1.15),
    ("counters", "groups included", INCLUDED.mean(), 0.85, 0.999),
    ("counters", "monthly sales, MXN of 4,000 products", MONTHLY.mean() * 4, 3e6, 6.5e6),
    ("counters", "median annual units", pl.col("median").mean(), 16 * 0.75, 16 * 1.25),
    ("counters", "annual units of a fast one", pl.col("high").mean(), 82 * 0.75, 82 * 1.25),
    ("counters", "largest counter to the smallest", UNITS.max() / UNITS.min(), 2, 20),
    ("annual", "without a sale", (UNITS == 0).mean(), 0.19 * 0.75, 0.19 * 1.25),
    ("stock", "out of stock", (pl.col("on_hand") == 0).mean(), 0.03, 0.2),
    ("stock", "in transit", (pl.col("in_transit") > 0).mean(), 0.03, 0.2),
)
"""The frame, what is measured in it, and its bounds."""
SHARES = {
    "EPEP": 0.5, "DMDM": 0.16, "OO": 0.15, "CACA": 0.08, "33": 0.075, "22": 0.012, "R1": 0.008,
}  # fmt: skip


class TestMarginals:
    @pytest.mark.parametrize(("frame", "what", "marginal", "least", "most"), MARGINALS)
    def test_a_marginal_is_within_its_bounds(
        self, year: Year, frame: str, what: str, marginal: pl.Expr, least: float, most: float
    ) -> None:
        assert least <= getattr(year, frame).select(marginal).item() <= most, what

    def test_shares_of_the_categories(self, year: Year) -> None:
        share = dict(year.products["category"].value_counts(normalize=True).iter_rows())
        assert {code: share[code] for code in SHARES} == pytest.approx(SHARES, abs=0.006)
        assert {"11", "RE", "R3", "GG", "2G"} <= share.keys()

    def test_one_counter_in_four_is_of_the_predictive_model(self, year: Year) -> None:
        models = year.chain.configurations.sort("mostrador")["inventory_model"].to_list()
        assert models == ["IPP" if number % 4 == 1 else "SPP" for number in range(len(models))]

    def test_neighbours_sell_more_alike_than_strangers(self, year: Year) -> None:
        alike = np.corrcoef(np.log1p(year.matrix()))
        code = year.chain.counters["postal_code"].to_numpy()
        same = (code[:, None] == code) & ~np.eye(code.size, dtype=bool)
        assert alike[same].mean() > alike[code[:, None] != code].mean() + 0.01

    def test_small_counters_carry_less(self, year: Year) -> None:
        units = year.matrix()
        by_size = units[np.argsort(units.sum(axis=1))]
        assert (by_size[:5] == 0).mean() > (by_size[-5:] == 0).mean()

    def test_stock_is_three_weeks_of_every_product_sold_and_hardly_another(
        self, year: Year
    ) -> None:
        held = year.stock.select("on_hand", "in_transit")
        days = held.select(pl.col("on_hand").sum()).item() / year.sold.select(UNITS.sum()).item()
        assert days * YEAR_DAYS == pytest.approx(21, rel=0.25)
        assert held.equals(held.select(pl.all().round()))
        pairs = year.sold.select("mostrador", "material").unique()
        assert pairs.join(year.stock, on=["mostrador", "material"], how="anti").is_empty()
        assert pairs.height > 0.97 * year.stock.height
        assert {*year.stock["counted_on"], *year.counters["updated_on"]} == {END}

    def test_sales_are_whole_units_within_the_window_and_the_products_lives(
        self, year: Year
    ) -> None:
        day = (pl.col("date") - (END - dt.timedelta(days=YEAR_DAYS - 1))).dt.total_days()
        assert year.sold.select(day.min(), last=day.max()).row(0) == (0, YEAR_DAYS - 1)
        assert year.sold.select((day >= pl.col("enters")).all()).item()
        assert year.sold.select((day < pl.col("leaves")).all()).item()
        assert year.sold.select(((UNITS > 0) & (UNITS % 1 == 0)).all()).item()

    def test_demand_comes_in_bursts(self, year: Year) -> None:
        rows = year.sold.filter(pl.col("mostrador") == pl.col("mostrador").min())
        mean, square = UNITS.sum() / YEAR_DAYS, (UNITS**2).sum() / YEAR_DAYS
        busy = rows.group_by("material").agg(mean=mean, variance=square - mean**2)
        busy = busy.filter(pl.col("mean") > 0.1)
        assert busy.select((pl.col("variance") / pl.col("mean")).median()).item() > 1.2

    def test_sundays_are_quiet(self, year: Year) -> None:
        by_day = dict(year.sold.group_by(pl.col("date").dt.weekday()).agg(UNITS.sum()).iter_rows())
        assert by_day[7] < 0.85 * min(by_day[day] for day in range(1, 7))

    @pytest.mark.parametrize(
        ("season", "peak", "quiet"),
        [
            (catalogue.Season.RESPIRATORY, (12, 1, 2), (5, 6, 7)),
            (catalogue.Season.ALLERGY, (3, 4, 5), (7, 8, 11)),
            (catalogue.Season.SUN, (5, 6, 7), (11, 12, 1)),
        ],
    )
    def test_season(
        self,
        year: Year,
        season: catalogue.Season,
        peak: tuple[int, ...],
        quiet: tuple[int, ...],
    ) -> None:
        rows = year.sold.filter(pl.col("season") == list(catalogue.Season).index(season))
        month = pl.col("date").dt.month()
        high, low = (UNITS.filter(month.is_in(which)).sum() for which in (peak, quiet))
        assert rows.select(high / low).item() > 1.5

    def test_trends_bend_the_year(self, year: Year) -> None:
        late = pl.col("date") > END - dt.timedelta(days=YEAR_DAYS // 2)
        share = UNITS.filter(late).sum() / UNITS.sum()
        rising = year.sold.filter(pl.col("trend") > 0.4).select(share).item()
        assert rising > year.sold.filter(pl.col("trend") < -0.4).select(share).item() + 0.1

    def test_fast_movers_run_out(self, year: Year) -> None:
        """A product bought every other day that pauses for twelve had nothing to sell."""
        # Without stock-outs, chance alone makes one pause in twenty as long.
        gap = pl.col("date").diff().dt.total_days().max()
        pairs = year.sold.group_by("mostrador", "material").agg(days=pl.len(), gap=gap)
        often = pairs.filter(pl.col("days") > 0.5 * YEAR_DAYS)
        assert often.height > 20
        assert often.filter(pl.col("gap") >= 12).height > 0.1 * often.height


class TestWriteChain:
    def test_tables_hold_the_chain_also_when_written_again(self, tmp_path: Path) -> None:
        chain, lakehouse = invent_small_chain(), DeltaLakehouse(tmp_path)
        told: list[tuple[int, int]] = []
        for _ in range(2):
            told.clear()
            write_chain(
                chain, lakehouse, Scratch(tmp_path / "s"), lambda *step: told.append(step), AUTHOR
            )
        for table, frame in list_tables(chain):
            stored = lakehouse.scan_table(table).collect()
            assert_frame_equal(stored.sort(table.key), frame.sort(table.key))
        assert told == [(done, told[-1][1]) for done in range(1, told[-1][1] + 1)]

    def test_a_partition_is_sorted_by_mostrador_and_material(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also when neither the batches nor the stretches of days hold everything at once."""
        monkeypatch.setattr(sample_writer, "ROWS_IN_MEMORY", 500)
        chain, lakehouse = invent_small_chain(), DeltaLakehouse(tmp_path)
        write_chain(chain, lakehouse, Scratch(tmp_path / "s"), lambda _done, _total: None, AUTHOR)
        files = list(Path(lakehouse.address(SELLOUT)).glob("fecha=*/*.parquet"))
        assert len(files) == 60
        for file in files:
            rows = pl.read_parquet(file, hive_partitioning=False)
            assert_frame_equal(rows, rows.sort("mostrador", "material"))
        everything = lakehouse.scan_table(SELLOUT).collect().sort(SELLOUT.key)
        assert_frame_equal(everything, pl.concat(list(chain.sellout())).sort(SELLOUT.key))
