"""Read the mostradores that a file lists."""

from __future__ import annotations

from pathlib import Path

from ipp.core.contract import normalise_label
from ipp.core.tables import MOSTRADOR
from ipp.errors import InvalidInputError, name_some
from ipp.formats.intake.file_reader import ROW_COLUMN, cell_column, read_cells
from ipp.storage.files.scratch import Scratch


def read_id_list(file: Path, scratch: Scratch) -> list[object]:
    """Return the filled cells of the column mostrador, in order.

    A file with a single column under any other heading is a bare list, so all its cells are
    returned, heading included. Raises `InvalidInputError` for a file without such a column, or
    that is not a table.
    """
    with scratch.temporary_folder() as folder:
        cells = read_cells(file, folder, (MOSTRADOR,))
        labels = [normalise_label(heading) for heading in cells.headings]
        named = [i for i, label in enumerate(labels) if label in MOSTRADOR.spellings]
        if len(named) != 1 and len(labels) != 1:
            raise InvalidInputError(
                f"{file.name} no tiene una columna mostrador.",
                hint=f"Tiene: {name_some(cells.headings)}.",
            )
        values: list[object] = (
            cells.frame.sort(ROW_COLUMN)
            .select(cell_column(named[0] if named else 0))
            .collect()
            .to_series()
            .to_list()
        )
    first: list[object] = [] if named else [cells.headings[0]]
    return first + [value for value in values if value is not None]
