from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ipp.core.contract import Table
from ipp.core.product_groups import PRODUCT_GROUPS
from ipp.core.tables import CONFIGURATIONS, COUNTERS, MATERIALS, SELLOUT, STOCK
from ipp.errors import InvalidInputError
from ipp.sample import (
    PharmacyChain,
    catalogue,
    invent_chain,
    location,
    product_line,
    sample_parameters,
    sample_writer,
    write_chain,
)
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse

END = dt.date(2026, 6, 30)
YEAR = 365


def sold(made: PharmacyChain) -> pl.DataFrame:
    return pl.concat(list(made.sellout()))


def total(cells: pl.Series) -> float:
    return float(cells.to_numpy().sum())


def small(
    *, counters: int = 4, materials: int = 150, days: int = 60, seed: int = 7
) -> PharmacyChain:
    return invent_chain(counters=counters, materials=materials, days=days, seed=seed, end=END)


@pytest.fixture(scope="module")
def year() -> PharmacyChain:
    return invent_chain(counters=20, materials=1_000, days=YEAR, seed=3, end=END)


@pytest.fixture(scope="module")
def year_sold(year: PharmacyChain) -> pl.DataFrame:
    return sold(year)


@pytest.fixture(scope="module")
def year_catalogue() -> catalogue.Catalogue:
    return catalogue.draw_catalogue(
        1_000, YEAR, location.random_stream(3, location.RandomStream.CATALOGUE)
    )


@pytest.fixture(scope="module")
def annual(year: PharmacyChain, year_sold: pl.DataFrame) -> np.ndarray:
    """Units of each counter x material in the year, zeros included."""
    totals = year_sold.group_by("mostrador", "material").agg(pl.col("units").sum())
    full = year.counters.select("mostrador").join(year.materials.select("material"), how="cross")
    full = full.join(totals, on=("mostrador", "material"), how="left", maintain_order="left")
    return full["units"].fill_null(0).to_numpy().reshape(20, 1_000)


def tables(made: PharmacyChain) -> list[tuple[Table, pl.DataFrame]]:
    return [
        (CONFIGURATIONS, made.configurations),
        (COUNTERS, made.counters),
        (MATERIALS, made.materials),
        (STOCK, made.stock),
        (SELLOUT, sold(made)),
    ]


class TestSameSeed:
    def test_same_arguments_same_chain(self) -> None:
        for (_, one), (_, other) in zip(tables(small()), tables(small()), strict=True):
            assert_frame_equal(one, other)

    def test_sellout_starts_over_at_each_call(self) -> None:
        made = small()
        assert_frame_equal(sold(made), sold(made))

    def test_another_seed_is_another_chain(self) -> None:
        for (_, one), (_, other) in zip(tables(small(seed=1)), tables(small(seed=2)), strict=True):
            assert not one.equals(other)

    @pytest.mark.parametrize("more", [5, 40])
    def test_a_counter_is_the_same_however_many_there_are(self, more: int) -> None:
        few, many = tables(small(counters=4)), tables(small(counters=more))
        for (table, one), (_, other) in zip(few, many, strict=True):
            shared = (
                pl.col("mostrador") < sample_parameters.FIRST_MOSTRADOR + 4
                if "mostrador" in table.by_name
                else True
            )
            assert_frame_equal(one, other.filter(shared))

    def test_counters_differ_from_each_other(self) -> None:
        first, second = list(small(counters=2).sellout())
        assert not first.drop("mostrador").equals(second.drop("mostrador"))


class TestContracts:
    def test_types_and_columns(self, year: PharmacyChain) -> None:
        for table, frame in tables(year):
            assert frame.schema == table.schema, table.title

    def test_keys_are_unique(self, year: PharmacyChain) -> None:
        for table, frame in tables(year):
            assert not frame.select(pl.struct(table.key).is_duplicated().any()).item(), table.title

    def test_cells_keep_to_bounds_choices_and_what_is_required(self, year: PharmacyChain) -> None:
        for table, frame in tables(year):
            for column in table.columns:
                cells = frame[column.name]
                if column.required:
                    assert cells.null_count() == 0, column.name
                if column.minimum is not None:
                    assert cells.drop_nulls().ge(column.minimum).all(), column.name
                if column.maximum is not None:
                    assert cells.drop_nulls().le(column.maximum).all(), column.name
                if column.choices:
                    assert cells.drop_nulls().is_in(list(column.choices)).all(), column.name

    def test_references_are_found(self, year: PharmacyChain) -> None:
        made = {table.name: frame for table, frame in tables(year)}
        for table, frame in tables(year):
            for column, target in table.references.items():
                assert frame[column].is_in(made[target][column].to_list()).all(), (
                    table.title,
                    column,
                )

    @pytest.mark.parametrize("size", [{"materials": 1}, {"days": 1}, {"days": 2}, {"counters": 1}])
    def test_the_smallest_chains_hold_too(self, size: dict[str, int]) -> None:
        for table, frame in tables(small(**size)):
            assert frame.schema == table.schema

    @pytest.mark.parametrize(
        "wrong", [{"counters": 0}, {"materials": 0}, {"days": 0}, {"seed": -1}]
    )
    def test_a_size_that_cannot_be_is_refused_with_a_hint(self, wrong: dict[str, int]) -> None:
        with pytest.raises(InvalidInputError, match="no se puede") as caught:
            small(**wrong)
        assert "número entero" in caught.value.hint


class TestCatalogue:
    def test_shares_of_the_categories(self, year: PharmacyChain) -> None:
        share = dict(year.materials["category"].value_counts(normalize=True).iter_rows())
        expected = {
            "EPEP": 0.5,
            "DMDM": 0.16,
            "OO": 0.15,
            "CACA": 0.08,
            "33": 0.075,
            "22": 0.012,
            "R1": 0.008,
        }
        assert {c: share[c] for c in expected} == pytest.approx(expected, abs=0.006)
        assert {"11", "RE", "R3", "GG", "2G"} <= share.keys()

    def test_the_lines_make_up_the_whole_catalogue(self) -> None:
        assert sum(each.share for each in product_line.PRODUCT_LINES) == pytest.approx(1)

    def test_prices(self, year: PharmacyChain) -> None:
        price = year.materials["price"]
        ordinary = price.filter(price <= 3_500)
        assert 1 <= price.null_count() <= 10
        assert 1 <= (price > 3_500).sum() <= 10
        assert ordinary.is_between(2, 3_000).all()
        assert ordinary.median() == pytest.approx(350, rel=0.2)

    def test_inner_packs_are_few_and_cheap(self, year: PharmacyChain) -> None:
        packed = year.materials.filter(pl.col("inner_pack").is_not_null())
        assert packed.height == 5
        assert packed["price"].le(sample_parameters.INNER_PACK_MAX_PRICE).all()
        assert packed["inner_pack"].gt(1).all()

    def test_bar_codes_end_with_their_check_digit(self, year: PharmacyChain) -> None:
        for code in year.materials["ean"].cast(pl.String):
            assert len(code) == 13
            assert sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(code)) % 10 == 0
        assert year.materials["ean"].is_unique().all()

    def test_descriptions_stay_unique_when_the_brands_run_out(self) -> None:
        drawn = catalogue.draw_catalogue(50_000, 30, np.random.default_rng(1)).frame
        assert drawn["description"].is_unique().all()
        assert drawn["ean"].is_unique().all()


class TestCounters:
    def test_ids_go_up_from_the_first(self, year: PharmacyChain) -> None:
        assert year.counters["mostrador"].to_list() == list(range(7_051_602, 7_051_622))

    def test_three_to_six_share_a_postal_code(self) -> None:
        sizes = (
            small(counters=100, materials=5)
            .counters["postal_code"]
            .value_counts()["count"]
            .sort(descending=True)
        )
        assert sizes.le(6).all()
        assert sizes[:-1].ge(3).all()

    def test_neighbours_sell_more_alike_than_strangers(
        self, year: PharmacyChain, annual: np.ndarray
    ) -> None:
        alike = np.corrcoef(np.log1p(annual))
        code = year.counters["postal_code"].to_numpy()
        same = (code[:, None] == code) & ~np.eye(code.size, dtype=bool)
        assert alike[same].mean() > alike[code[:, None] != code].mean() + 0.01

    def test_some_do_not_say_what_they_sell_or_want(self, year: PharmacyChain) -> None:
        assert 1 <= year.counters["counter_sales_value"].null_count() <= 12
        assert 5 <= year.configurations["target_investment"].null_count() <= 15

    def test_what_they_say_is_near_what_they_sell(
        self, year: PharmacyChain, year_sold: pl.DataFrame
    ) -> None:
        value = year_sold.join(year.materials, on="material").group_by("mostrador").agg(
            monthly=(pl.col("units") * pl.col("price")).sum() / YEAR * 30
        )  # fmt: skip
        both = year.counters.join(year.configurations, on="mostrador").join(value, on="mostrador")
        said = both.select(
            (pl.col("counter_sales_value") / pl.col("monthly")).drop_nulls()
        ).to_series()
        wanted = both.select(
            (pl.col("target_investment") / pl.col("monthly") * 30).drop_nulls()
        ).to_series()
        assert said.is_between(0.85, 1.3).all()
        assert wanted.median() == pytest.approx(27, rel=0.15)

    def test_a_few_switches_are_off(self, year: PharmacyChain) -> None:
        on = year.configurations.select(
            pl.mean_horizontal(f"include_{g.name}" for g in PRODUCT_GROUPS).mean()
        ).item()
        assert 0.85 < on < 1

    def test_one_counter_in_four_is_of_the_predictive_model(self, year: PharmacyChain) -> None:
        models = year.configurations.sort("mostrador")["inventory_model"].to_list()
        assert models == ["IPP" if number % 4 == 1 else "SPP" for number in range(len(models))]

    def test_a_configuration_is_of_the_last_day(self, year: PharmacyChain) -> None:
        assert set(year.configurations["updated_on"]) == {END}


class TestStock:
    def test_every_product_sold_is_on_the_list_and_hardly_another(
        self, year: PharmacyChain, year_sold: pl.DataFrame
    ) -> None:
        listed = year.stock.select("mostrador", "material")
        pairs = year_sold.select("mostrador", "material").unique()
        assert pairs.join(listed, on=["mostrador", "material"], how="anti").is_empty()
        assert pairs.height > 0.97 * listed.height

    def test_about_three_weeks_of_sales_in_whole_units(
        self, year: PharmacyChain, year_sold: pl.DataFrame
    ) -> None:
        days = total(year.stock["on_hand"]) / total(year_sold["units"]) * YEAR
        assert days == pytest.approx(21, rel=0.25)
        assert year.stock.select((pl.col("on_hand", "in_transit") % 1 == 0).all()).row(0) == (
            True,
            True,
        )
        assert 0.03 < total(year.stock["on_hand"] == 0) / year.stock.height < 0.2
        assert 0.03 < total(year.stock["in_transit"] > 0) / year.stock.height < 0.2
        assert set(year.stock["counted_on"]) == {END}


class TestSellout:
    def test_only_days_of_the_window_in_whole_units_above_zero(
        self, year_sold: pl.DataFrame
    ) -> None:
        assert year_sold["date"].max() == END
        assert year_sold["date"].min() == END - dt.timedelta(days=YEAR - 1)
        assert year_sold["units"].gt(0).all()
        assert (year_sold["units"] % 1 == 0).all()

    def test_pieces_are_a_counter_each_by_date_and_material(self, year: PharmacyChain) -> None:
        pieces = list(year.sellout())
        assert [piece["mostrador"].unique().to_list() for piece in pieces] == [
            [m] for m in year.counters["mostrador"]
        ]
        for piece in pieces:
            assert_frame_equal(piece, piece.sort("date", "material"))

    def test_annual_units_of_the_average_counter(self, annual: np.ndarray) -> None:
        assert (annual == 0).mean() == pytest.approx(0.19, rel=0.25)
        assert np.median(annual, axis=1).mean() == pytest.approx(16, rel=0.25)
        assert np.quantile(annual, 0.9, axis=1).mean() == pytest.approx(82, rel=0.25)

    def test_small_counters_sell_less_and_carry_less(self, annual: np.ndarray) -> None:
        by_size = annual[np.argsort(annual.sum(axis=1))]
        assert by_size[-1].sum() > 2 * by_size[0].sum()
        assert (by_size[:5] == 0).mean() > (by_size[-5:] == 0).mean()

    def test_monthly_value_is_some_million_pesos_for_four_thousand_products(
        self, year: PharmacyChain, annual: np.ndarray
    ) -> None:
        price = year.materials["price"].fill_null(0).to_numpy()
        monthly = (annual * price).sum(axis=1).mean() / YEAR * 30 * 4
        assert 3e6 < monthly < 6.5e6

    def test_demand_comes_in_bursts(self, year_sold: pl.DataFrame) -> None:
        rows = year_sold.filter(pl.col("mostrador") == sample_parameters.FIRST_MOSTRADOR)
        spread = rows.group_by("material").agg(
            mean=pl.col("units").sum() / YEAR, square=(pl.col("units") ** 2).sum() / YEAR
        )
        busy = spread.filter(pl.col("mean") > 0.1)
        dispersion = busy.select(
            ((pl.col("square") - pl.col("mean") ** 2) / pl.col("mean")).median()
        ).item()
        assert dispersion > 1.2

    def test_sundays_are_quiet(self, year_sold: pl.DataFrame) -> None:
        by_day = dict(
            year_sold.group_by(pl.col("date").dt.weekday())
            .agg(pl.col("units").sum())
            .sort("date")
            .iter_rows()
        )
        assert by_day[7] < 0.85 * min(by_day[d] for d in range(1, 7))

    @pytest.mark.parametrize(
        ("season", "peak", "quiet"),
        [
            (sample_parameters.Season.RESPIRATORY, (12, 1, 2), (5, 6, 7)),
            (sample_parameters.Season.ALLERGY, (3, 4, 5), (7, 8, 11)),
            (sample_parameters.Season.SUN, (5, 6, 7), (11, 12, 1)),
        ],
    )
    def test_season(
        self,
        year_sold: pl.DataFrame,
        year_catalogue: catalogue.Catalogue,
        season: sample_parameters.Season,
        peak: tuple[int, ...],
        quiet: tuple[int, ...],
    ) -> None:
        chosen = year_catalogue.material[year_catalogue.season == season].tolist()
        rows = year_sold.filter(pl.col("material").is_in(chosen)).with_columns(
            pl.col("date").dt.month()
        )
        high, low = (
            total(rows.filter(pl.col("date").is_in(months))["units"]) for months in (peak, quiet)
        )
        assert high > 1.5 * low

    def test_launched_and_withdrawn_products_sell_only_within_their_lives(
        self, year_sold: pl.DataFrame, year_catalogue: catalogue.Catalogue
    ) -> None:
        first = END - dt.timedelta(days=YEAR - 1)
        lives = pl.DataFrame(
            {
                "material": year_catalogue.material,
                "enters": year_catalogue.enters,
                "leaves": year_catalogue.leaves,
            }
        )
        assert 20 <= lives.filter(pl.col("enters") > 0).height <= 60
        assert 15 <= lives.filter(pl.col("leaves") < YEAR).height <= 50
        day = (pl.col("date") - first).dt.total_days()
        rows = year_sold.join(lives, on="material").with_columns(day=day)
        assert rows.select(
            ((pl.col("day") >= pl.col("enters")) & (pl.col("day") < pl.col("leaves"))).all()
        ).item()

    def test_trends_bend_the_year(
        self, year_sold: pl.DataFrame, year_catalogue: catalogue.Catalogue
    ) -> None:
        rising = year_catalogue.material[year_catalogue.trend > 0.4].tolist()
        falling = year_catalogue.material[year_catalogue.trend < -0.4].tolist()
        late = pl.col("date") > END - dt.timedelta(days=YEAR // 2)

        def late_share(products: list[int]) -> float:
            rows = year_sold.filter(pl.col("material").is_in(products))
            return total(rows.filter(late)["units"]) / total(rows["units"])

        assert late_share(rising) > late_share(falling) + 0.1

    def test_fast_movers_run_out(self, year_sold: pl.DataFrame) -> None:
        """A product bought almost daily that pauses for a week had nothing to sell."""
        gap = pl.col("date").diff().dt.total_days()
        fast = year_sold.group_by("mostrador", "material").agg(days=pl.len(), gap=gap.max())
        daily = fast.filter(pl.col("days") > 0.6 * YEAR)
        assert daily.height > 20
        assert daily.filter(pl.col("gap") >= 7).height > 0.1 * daily.height


class TestWrite:
    def test_the_tables_hold_the_chain(self, tmp_path: Path) -> None:
        made, lakehouse = small(), DeltaLakehouse(tmp_path)
        write_chain(made, lakehouse, Scratch(tmp_path / "scratch"), lambda _done, _total: None)
        for table, frame in tables(made):
            stored = lakehouse.scan_table(table).collect()
            assert_frame_equal(stored.sort(table.key), frame.sort(table.key))

    def test_writing_twice_leaves_the_same_rows(self, tmp_path: Path) -> None:
        lakehouse = DeltaLakehouse(tmp_path)
        for _ in range(2):
            write_chain(
                small(), lakehouse, Scratch(tmp_path / "scratch"), lambda _done, _total: None
            )
        assert lakehouse.scan_table(SELLOUT).collect().height == sold(small()).height

    def test_a_partition_is_sorted_by_mostrador_and_material(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also when neither the batches nor the stretches of days hold everything at once."""
        monkeypatch.setattr(sample_writer, "ROWS_IN_MEMORY", 500)
        made, lakehouse = small(), DeltaLakehouse(tmp_path)
        write_chain(made, lakehouse, Scratch(tmp_path / "scratch"), lambda _done, _total: None)
        files = list(Path(lakehouse.address(SELLOUT)).glob("fecha=*/*.parquet"))
        assert len(files) == 60
        for file in files:
            rows = pl.read_parquet(file, hive_partitioning=False)
            assert_frame_equal(rows, rows.sort("mostrador", "material"))
        everything = lakehouse.scan_table(SELLOUT).collect().sort(SELLOUT.key)
        assert_frame_equal(everything, sold(made).sort(SELLOUT.key))

    def test_progress_rises_by_one_to_its_total(self, tmp_path: Path) -> None:
        told: list[tuple[int, int]] = []
        write_chain(
            small(),
            DeltaLakehouse(tmp_path),
            Scratch(tmp_path / "scratch"),
            lambda done, total: told.append((done, total)),
        )
        (total,) = {total for _, total in told}
        assert [done for done, _ in told] == list(range(1, total + 1))
