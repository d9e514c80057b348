"""Translate errors of the libraries that read tables, in every method of a class."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, TypeVar

import polars as pl
from deltalake.exceptions import DeltaError

from ipp.storage.storage_error import unavailable_error

TABLE_ERRORS: Final = (
    OSError,
    MemoryError,
    DeltaError,
    pl.exceptions.ComputeError,
    pl.exceptions.SchemaError,
    pl.exceptions.PanicException,
)
"""What a damaged or missing file of a table, or a disk without room, makes the libraries raise."""

Class = TypeVar("Class", bound=type)
Item = TypeVar("Item")


@contextmanager
def translate_table_errors(*, named: bool = True) -> Iterator[None]:
    """Raise `TABLE_ERRORS` of the block as `UnavailableError`.

    Without ``named``, an `OSError` that names its file, which is none of a library, is left alone.
    """
    try:
        yield
    except TABLE_ERRORS as error:
        if not named and isinstance(error, OSError) and error.filename:
            raise
        raise unavailable_error("las tablas", error) from error


def translating_table_errors(cls: Class) -> Class:
    """Decorate a class so that its public methods, and the iterators they return, translate."""
    for name, member in [*vars(cls).items()]:
        if inspect.isfunction(member) and not name.startswith("_"):
            setattr(cls, name, _translate_method(member))
    return cls


def _translate_method(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def translated(*arguments: Any, **options: Any) -> Any:
        with translate_table_errors():
            answer = method(*arguments, **options)
        return _translate_iteration(answer) if isinstance(answer, Iterator) else answer

    return translated


def _translate_iteration(items: Iterator[Item]) -> Iterator[Item]:
    with translate_table_errors():
        yield from items
