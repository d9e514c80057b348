"""The list of changes, whatever the detail of a record says."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

from ipp.core.change_table import CHANGES
from ipp.core.tables import CONFIGURATIONS, SELLOUT
from ipp.storage.change_record import (
    Author,
    Door,
    Operation,
    record_bulk_change,
    record_each_row,
)
from tests.contract.warehouses import build_configuration
from tests.unit.server.web.form_submission import app_of, visible_text

ANA = Author("a-1", "Ana Peña", Door.COMMAND)


@pytest.mark.parametrize("detail", [{}, {"archivo": "julio.csv"}, {"nuevos": 2}, {"cambiados": 1}])
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_change_of_many_is_shown_with_what_its_detail_has(
    client: TestClient, detail: dict[str, Any], rows: int
) -> None:
    bulk = record_bulk_change(CONFIGURATIONS, ANA, Operation.SAMPLE, detail)
    changed = [(None, build_configuration(number)) for number in range(1, rows + 1)]
    records = [
        *record_each_row(CONFIGURATIONS, bulk, changed),
        record_bulk_change(SELLOUT, ANA, Operation.SAMPLE, detail),
    ]
    lakehouse = app_of(client).state.lakehouse
    lakehouse.append_rows(CHANGES, pl.DataFrame(records, schema=CHANGES.schema))
    for address in ("/ajustes/cambios", f"/ajustes/cambios?importacion={bulk['change_id']}"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert ("Ana Peña" in answer.text) is (address == "/ajustes/cambios" or rows > 0)
    listed = client.get("/ajustes/cambios")
    assert "Puso datos inventados en sellout" in visible_text(listed.text)
    assert (f"importacion={bulk['change_id']}" in listed.text) is (rows > 0)
    if "archivo" in detail:
        assert "julio.csv" in listed.text
