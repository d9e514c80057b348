"""Pieces of work side by side, on all cores of a machine: a piece that kills its process is lost, and no other."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from ipp.errors import IppError
from ipp.pipeline.runners import pool_worker
from ipp.storage.files.scratch import Scratch

MAX_PROCESSES: Final = 8
"""Processes of a crew, at most: each holds the libraries and a piece, some 300 MB."""

_PACKAGE_FOLDER: Final = Path(__file__).parents[2]

_QUEUED_PIECES_PER_PROCESS: Final = 16
"""Pieces, for each process, that wait for it: as many as are joined at a time, so that none waits for the next join."""

Piece = TypeVar("Piece")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class LostPiece:
    """What became of a piece that could not be done, and why, in Spanish."""

    cause: str


def try_piece(function: Callable[[Piece], Made], piece: Piece) -> Made | LostPiece:
    """What ``function`` makes of a piece; what it raises is why the piece is lost."""
    try:
        return function(piece)
    except Exception as error:  # whatever it is, it is this piece's alone
        return LostPiece(_describe_failure(error))


class ProcessPool:
    """As many processes as there are cores, begun when there is enough to do and kept for the next time.

    ``size`` 1 does everything in this process.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._pool: ProcessPoolExecutor | None = None

    @classmethod
    def for_this_machine(cls) -> ProcessPool:
        """One for the cores that this process may use."""
        cores = (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
        return cls(min(cores, MAX_PROCESSES))

    def map_pieces(
        self,
        call: Callable[[Piece], Made],
        pieces: Iterable[Piece],
        scratch: Scratch,
        *,
        worth: bool,
    ) -> Generator[tuple[Piece, Made | LostPiece]]:
        """What ``call`` makes of each piece, in order; a piece is asked for when it is nearly its turn.

        ``worth`` tells that there is more to do than processes take to begin; else this one does it. ``call`` and the
        pieces are values, to be sent to another process. What ``call`` raises is raised here.
        """
        if self._size == 1 or not worth:
            for piece in pieces:
                yield piece, call(piece)
            return
        with scratch.temporary_folder() as folder:
            path = folder / "call"
            path.write_bytes(pickle.dumps(call))
            yield from self._ordered_results(path, iter(pieces))

    def close(self) -> None:
        """End the processes; the next piece begins new ones."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _ordered_results(self, call: Path, pieces: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        waiting: deque[tuple[Any, Future[Any]]] = deque()
        try:
            while True:
                for piece in pieces:
                    waiting.append((piece, self._submit_piece(call, piece)))
                    if len(waiting) > self._size * _QUEUED_PIECES_PER_PROCESS:
                        break
                if not waiting:
                    return
                piece, future = waiting.popleft()
                try:
                    made = future.result()
                except (
                    BrokenProcessPool
                ):  # one of those that were under way killed its process, and all were ended
                    self.close()
                    made = self._retry_alone(call, piece)
                    waiting = deque(
                        (p, f if _is_done_well(f) else self._submit_piece(call, p))
                        for p, f in waiting
                    )
                yield piece, made
        finally:
            for _, future in waiting:
                future.cancel()

    def _submit_piece(self, call: Path, piece: Any) -> Future[Any]:
        if self._pool is None:
            context = multiprocessing.get_context(
                "spawn"
            )  # a fork would have locks that no thread of it lets go of
            self._pool = ProcessPoolExecutor(self._size, context, pool_worker.initialise_worker)
        try:
            return self._pool.submit(pool_worker.run_piece, call, piece)
        except BrokenProcessPool as error:
            broken: Future[Any] = Future()
            broken.set_exception(error)
            return broken

    def _retry_alone(self, call: Path, piece: Any) -> Any:
        """Do a piece again with nothing beside it: if a process dies now, it was this piece."""
        try:
            return self._submit_piece(call, piece).result()
        except BrokenProcessPool:
            self.close()
            return LostPiece(
                "El proceso que lo calculaba murió dos veces; suele ser falta de memoria."
            )


def _is_done_well(future: Future[Any]) -> bool:
    """Whether a piece was done before the processes were ended."""
    return future.done() and not isinstance(future.exception(), BrokenProcessPool)


def _describe_failure(error: Exception) -> str:
    """What went wrong, for people, and where, for those who mend it."""
    if isinstance(error, IppError):
        return str(error)
    first, *frames = traceback.extract_tb(error.__traceback__)  # the first of them is `try_piece`
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE_FOLDER)]
    where = (ours or frames or [first])[-1]
    return f"{type(error).__name__}: {error} ({Path(where.filename).name}, línea {where.lineno})"
