"""A failed mostrador is named with its cause, the others finish, and it alone is repeated."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ipp.cli import run_cli
from ipp.core.contract import Table
from ipp.core.tables import CONFIGURATIONS, COUNTERS, CURVES, FAILURES, RESULTS
from ipp.entrypoints.local_wiring import build_application
from ipp.errors import NotFoundError
from ipp.jobs.job import Stage
from ipp.jobs.job_spec import save_spec
from ipp.pipeline.runners.local_runner import (
    POOL_THRESHOLD_COUNTERS,
    POOL_THRESHOLD_GROUPS,
    LocalRunner,
)
from ipp.pipeline.runners.process_pool import ProcessPool
from ipp.pipeline.runners.stage_execution import AllFailedError
from ipp.pipeline.stages import run_stage
from ipp.settings import Settings
from ipp.storage.files.local_files import LocalFiles
from tests.sample_chain import build_runner, write_sample
from tests.unit.pipeline.test_stages import (
    FIRST,
    hash_files,
    plan_counters,
    results_of,
    run_stages,
)

INF, NAN = FIRST, FIRST + 2
"""Traditional counters: one sells more than money is counted for, one has a target of NaN."""


Cells = tuple[tuple[Table, int, str, float], ...]
SPOILT: Cells = (
    (CONFIGURATIONS, NAN, "target_investment", math.nan),
    (COUNTERS, INF, "counter_sales_value", 3e14),
)
MENDED: Cells = (
    (CONFIGURATIONS, NAN, "target_investment", 50_000.0),
    (COUNTERS, INF, "counter_sales_value", 50_000.0),
)


def spoil(workspace: LocalRunner, cells: Cells = SPOILT) -> None:
    """Write other values into two cells, by default such as make their mostradores fail."""
    for table, mostrador, column, value in cells:
        one = pl.when(pl.col("mostrador") == mostrador).then(value).otherwise(column)
        rows = workspace.lakehouse.scan_table(table).with_columns(one.alias(column)).collect()
        workspace.lakehouse.replace_table(table, rows.lazy())


def failures(workspace: LocalRunner, job_id: str) -> dict[int, tuple[str, str]]:
    found = workspace.lakehouse.scan_table(FAILURES).filter(pl.col("job_id") == job_id).collect()
    return {row["mostrador"]: (row["stage"], row["cause"]) for row in found.iter_rows(named=True)}


@pytest.fixture
def spoilt(tmp_path: Path) -> LocalRunner:
    workspace = write_sample(build_runner(tmp_path))
    spoil(workspace)
    return workspace


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_those_that_fail_are_named_and_the_others_get_what_they_would_have_got(
    spoilt: LocalRunner, own: LocalRunner
) -> None:
    rows = run_stages(spoilt, plan_counters(spoilt, "ipp-spoilt"))
    found = failures(spoilt, "ipp-spoilt")
    assert {mostrador: stage for mostrador, (stage, _) in found.items()} == {
        NAN: "factor",
        INF: "publicacion",
    }
    assert "NaN" in found[NAN][1]
    assert "rounding.py" in found[NAN][1]
    others = run_stages(own, plan_counters(own, "ipp-spoilt")).filter(
        ~pl.col("mostrador").is_in([NAN, INF])
    )
    assert rows.equals(others)


@pytest.fixture
def own(tmp_path: Path) -> LocalRunner:
    return write_sample(build_runner(tmp_path / "own"))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_done_again_they_alone_are_computed_and_nothing_tells_that_they_failed(
    spoilt: LocalRunner, own: LocalRunner
) -> None:
    spec = plan_counters(spoilt, "ipp-again")
    run_stages(spoilt, spec)
    spoil(spoilt, MENDED)
    computed: list[int] = []
    for stage in Stage:
        run_stage(
            stage,
            replace(spec, retried=tuple(sorted(failures(spoilt, spec.job_id)))),
            spoilt,
            computed.append,
        )
    assert computed == [INF, NAN] * 3
    assert failures(spoilt, spec.job_id) == {}
    spoil(own, MENDED)
    whole = run_stages(own, spec)
    assert results_of(spoilt, spec.job_id).equals(whole)
    assert hash_files(spoilt, spec.job_id) == hash_files(own, spec.job_id)
    for table in (RESULTS, CURVES):
        here, there = (
            w.lakehouse.scan_table(table).sort(table.key).collect() for w in (spoilt, own)
        )
        assert here.equals(there)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_one_that_fails_again_says_why_it_failed_this_time(spoilt: LocalRunner) -> None:
    spec = plan_counters(spoilt, "ipp-twice")
    before = run_stages(spoilt, spec)
    for stage in Stage:
        run_stage(stage, replace(spec, retried=(INF, NAN)), spoilt, lambda _mostrador: None)
    assert {m: stage for m, (stage, _) in failures(spoilt, spec.job_id).items()} == {
        NAN: "factor",
        INF: "publicacion",
    }
    assert results_of(spoilt, spec.job_id).equals(before)


def test_a_job_of_which_all_fail_fails_with_the_cause(spoilt: LocalRunner) -> None:
    spec = plan_counters(spoilt, "ipp-none", NAN)
    run_stage(Stage.NORMALISER, spec, spoilt, lambda _mostrador: None)
    with pytest.raises(
        AllFailedError, match=f"Falló el mostrador {NAN}: ValueError: cannot convert float NaN"
    ):
        run_stage(Stage.FACTOR, spec, spoilt, lambda _mostrador: None)
    with pytest.raises(NotFoundError):
        spoilt.files.local_path(spec.processed_key("processed_data.csv"))


def test_a_forecast_that_fails_is_of_its_area_alone(
    own: LocalRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = plan_counters(own, "ipp-area")
    whole = run_stages(own, spec)
    predictive = whole.filter(inventory_model="IPP")["mostrador"].unique().to_list()
    assert predictive

    def broken(*_arguments: object) -> pl.DataFrame:
        raise ValueError("no weeks")

    monkeypatch.setattr("ipp.core.predictive.weeks.predict_area", broken)
    rows = run_stages(own, spec)
    assert {
        m: (stage, cause.partition(" (")[0])
        for m, (stage, cause) in failures(own, spec.job_id).items()
    } == {mostrador: ("normalizador", "ValueError: no weeks") for mostrador in predictive}
    assert rows.equals(whole.filter(~pl.col("mostrador").is_in(predictive)))


COUNT = POOL_THRESHOLD_COUNTERS + 2


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> LocalRunner:
    workspace = replace(build_runner(tmp_path_factory.mktemp("many")), pool=ProcessPool(2))
    write_sample(workspace, counters=COUNT, materials=40, days=200, seed=5)
    spoil(workspace)
    return workspace


def test_on_all_cores_a_job_leaves_the_same_bytes_as_on_one(
    many: LocalRunner, tmp_path: Path
) -> None:
    codes = many.lakehouse.scan_table(COUNTERS).collect()["postal_code"].n_unique()
    assert codes >= POOL_THRESHOLD_GROUPS
    spec = plan_counters(many, "ipp-cores")
    try:
        rows = run_stages(many, spec)
    finally:
        many.pool.close()
    alone = replace(many, files=LocalFiles(tmp_path), pool=ProcessPool(1))
    again = run_stages(alone, spec)
    assert rows.equals(again)
    assert set(rows["mostrador"]) == {FIRST + k for k in range(COUNT)} - {NAN, INF}
    assert hash_files(many, spec.job_id) == hash_files(alone, spec.job_id)


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    """Replace all but the first and last bytes, by which a reader knows what it is."""
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(255 - byte for byte in content[4:-8]) + content[-8:])


def mix_up(path: Path) -> None:
    """Leave another counter's rows."""
    pl.read_parquet(path).with_columns(pl.col("mostrador") + 1_000).write_parquet(path)


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = (remove, truncate, garble, mix_up, become_folder)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("stage", [Stage.FACTOR, Stage.PUBLICATION])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_counter_whose_file_is_missing_or_damaged_fails_alone(
    own: LocalRunner, damage: Callable[[Path], None], stage: Stage, place: int
) -> None:
    spec = plan_counters(own, "ipp-damaged")
    whole = run_stages(own, spec)
    lost = spec.mostradores[place]
    for each in Stage:
        if each is stage:
            key = spec.raw_key if stage is Stage.FACTOR else spec.processed_key
            damage(Path(own.files.address(key(f"{lost}.parquet"))))
        run_stage(each, spec, own, lambda _mostrador: None)
    found = failures(own, spec.job_id)
    assert {mostrador: where for mostrador, (where, _) in found.items()} == {lost: stage.value}
    assert found[lost][1].startswith(("El archivo ", "No existe el archivo "))
    assert f"{lost}.parquet" in found[lost][1]
    assert results_of(own, spec.job_id).equals(whole.filter(pl.col("mostrador") != lost))


def test_among_many_on_all_cores_two_damaged_files_fail_alone(many: LocalRunner) -> None:
    spec = plan_counters(many, "ipp-damaged")
    lost = {FIRST + 5: truncate, FIRST + 40: remove}
    try:
        whole = run_stages(many, spec)
        for stage in Stage:
            if stage is Stage.PUBLICATION:
                for mostrador, damage in lost.items():
                    damage(Path(many.files.address(spec.processed_key(f"{mostrador}.parquet"))))
            run_stage(stage, spec, many, lambda _mostrador: None)
    finally:
        many.pool.close()
    assert set(failures(many, spec.job_id)) == {NAN, INF, *lost}
    assert results_of(many, spec.job_id).equals(whole.filter(~pl.col("mostrador").is_in([*lost])))


class Panic(BaseException):
    """What a library written in Rust raises: no Exception."""


@pytest.mark.parametrize("error", [Panic("index out of bounds"), MemoryError()], ids=repr)
@pytest.mark.parametrize("stage", Stage)
def test_a_counter_that_makes_a_library_panic_or_wants_too_much_memory_fails_alone(
    own: LocalRunner, monkeypatch: pytest.MonkeyPatch, error: BaseException, stage: Stage
) -> None:
    """Also where what it had written before must not be published twice."""
    spec = plan_counters(own, "ipp-panic")
    whole = run_stages(own, spec)
    curves = own.lakehouse.scan_table(CURVES, [spec.job_id]).collect()
    lost = spec.mostradores[2]
    module, name = {
        Stage.NORMALISER: ("ipp.pipeline.runners.local_runner", "_write_rows"),
        Stage.FACTOR: ("ipp.pipeline.stages.factor_stage", "csv_body"),
        Stage.PUBLICATION: ("ipp.pipeline.runners.local_runner", "write_part"),
    }[stage]
    original = getattr(sys.modules[module], name)

    def fail(*arguments: Any, **options: Any) -> Any:
        rows = next(a for a in arguments if isinstance(a, (pl.DataFrame, pl.LazyFrame))).lazy()
        products = "material" in rows.collect_schema()
        if products and lost in rows.select("mostrador").collect().to_series():
            raise error
        return original(*arguments, **options)

    monkeypatch.setattr(f"{module}.{name}", fail)
    for each in Stage:
        run_stage(each, spec, own, lambda _mostrador: None)
    assert {m: where for m, (where, _) in failures(own, spec.job_id).items()} == {lost: stage.value}
    assert results_of(own, spec.job_id).equals(whole.filter(pl.col("mostrador") != lost))
    again = own.lakehouse.scan_table(CURVES, [spec.job_id]).collect()
    order = list(CURVES.key)
    assert again.sort(order).equals(curves.filter(pl.col("mostrador") != lost).sort(order))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_job_whose_files_are_gone_can_still_compute_those_that_failed(
    spoilt: LocalRunner,
) -> None:
    spec = plan_counters(spoilt, "ipp-vacuumed")
    before = run_stages(spoilt, spec)
    for key in (spec.raw_key(""), spec.processed_key("")):
        shutil.rmtree(spoilt.files.address(key))
    spoil(spoilt, MENDED)
    for stage in Stage:
        run_stage(stage, replace(spec, retried=(INF, NAN)), spoilt, lambda _mostrador: None)
    assert failures(spoilt, spec.job_id) == {}
    rows = results_of(spoilt, spec.job_id)
    assert set(rows["mostrador"]) == set(spec.mostradores)
    assert rows.filter(~pl.col("mostrador").is_in([INF, NAN])).equals(before)


def at_home(home: Path) -> LocalRunner:
    """What the command line uses, with a chain two of whose counters fail."""
    workspace = write_sample(build_application(Settings(home)).runner)
    spoil(workspace)
    return workspace


def told(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    return captured.out, captured.err


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_whoever_runs_a_job_is_told_who_failed_and_how_to_do_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IPP_HOME", str(tmp_path))
    workspace = at_home(tmp_path)
    assert run_cli(["run", "--todos"]) == 1
    out, _ = told(capsys)
    assert f"{NAN}: falló en la etapa factor: ValueError" in out
    assert "Fallaron 2 de 4 mostradores." in out
    (job_id,) = workspace.lakehouse.scan_table(RESULTS).collect()["job_id"].unique()
    assert f"ipp run --reintentar {job_id}" in out
    assert run_cli(["results", job_id, "--json"]) == 0
    document = json.loads(told(capsys)[0])
    assert document["success"] is False
    assert [row["mostrador"] for row in document["mostradores_failed"]] == [INF, NAN]
    spoil(workspace, MENDED)
    assert run_cli(["run", "--reintentar", job_id]) == 0
    out, err = told(capsys)
    assert "falló" not in out
    assert [json.loads(line)["total"] for line in err.splitlines() if "factor" in line] == [2, 2, 2]
    assert run_cli(["run", "--reintentar", job_id]) == 2
    assert "Ningún mostrador" in told(capsys)[1]
    assert run_cli(["run", "--reintentar", job_id, "--todos"]) == 2


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_the_rows_of_a_stage_are_of_those_that_did_not_fail_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IPP_HOME", str(tmp_path))
    workspace = at_home(tmp_path)
    spec = plan_counters(workspace, "ipp-steps")
    save_spec(spec, workspace.files)
    for name in (Stage.NORMALISER, Stage.FACTOR):
        run_stage(name, spec, workspace, lambda _mostrador: None)
    saved = tmp_path / "saved.parquet"
    asked = ["results", spec.job_id, "--etapa", "factor", "--salida", str(saved)]
    assert run_cli(asked) == 0
    assert set(pl.read_parquet(saved)["Cliente"]) == {INF, FIRST + 1, FIRST + 3}
    assert run_cli([*asked, "--mostrador", str(NAN)]) == 2
    assert f"El mostrador {NAN} falló" in told(capsys)[1]


def test_a_stage_that_an_older_version_ran_has_noted_no_failures(own: LocalRunner) -> None:
    spec = plan_counters(own, "ipp-older", FIRST)
    whole = run_stages(own, spec)
    own.files.local_path(spec.raw_key("fallas.json")).unlink()
    for name in (Stage.FACTOR, Stage.PUBLICATION):
        run_stage(name, spec, own, lambda _mostrador: None)
    assert results_of(own, spec.job_id).equals(whole)
