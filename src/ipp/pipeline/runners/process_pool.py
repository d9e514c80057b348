"""Process pool over all cores; a piece of work that kills its worker loses no other piece."""

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

from ipp.errors import IppError, UnavailableError, is_machine_error
from ipp.pipeline.runners import frame_pickle, pool_worker
from ipp.storage.fence import SupersededError
from ipp.storage.files.scratch import Scratch

MAX_PROCESSES: Final = 8
"""Most worker processes; each takes some 300 MB for libraries and a piece."""

_PACKAGE_FOLDER: Final = Path(__file__).parents[2]

Piece = TypeVar("Piece")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class LostPiece:
    """The result of a piece that failed, with the ``cause`` in Spanish."""

    cause: str


def try_piece(function: Callable[[Piece], Made], piece: Piece) -> Made | LostPiece:
    """Return ``function(piece)``, or a `LostPiece` with the cause if it raises.

    A library's panic, which is no Exception, counts as well. What would stop every other piece too,
    such as Ctrl-C or a full disk, is raised.
    """
    try:
        return function(piece)
    except BaseException as error:  # One piece must not fail the others.
        if _concerns_all(error):
            raise
        return LostPiece(_describe_failure(error))


def _concerns_all(error: BaseException) -> bool:
    """Return whether an error says nothing about the piece that it was raised in."""
    if isinstance(error, (SystemExit, GeneratorExit, SupersededError, UnavailableError)):
        return True
    # A library may wrap a KeyboardInterrupt in an error of its own.
    return "KeyboardInterrupt" in repr(error) or is_machine_error(error)


class PoolStartError(IppError):
    """No process of the pool came up, whatever the work."""

    code = "procesos_no_inician"

    def __init__(self) -> None:
        super().__init__(
            "Los procesos de cálculo no se pueden iniciar.",
            hint="Suele faltar memoria; si es un programa de Python, le falta "
            'if __name__ == "__main__":.',
        )


class ProcessPool:
    """A pool of ``size`` worker processes, started when first needed and then reused.

    With ``size`` 1 all work runs in this process.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool: ProcessPoolExecutor | None = None
        self._ready: Future[None] | None = None

    @classmethod
    def for_this_machine(cls) -> ProcessPool:
        """Return a pool sized to the cores that this process may use."""
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
        queued: int,
    ) -> Generator[tuple[Piece, Made | LostPiece]]:
        """Yield each piece with ``call(piece)``, in order; pieces are drawn shortly before use.

        Without ``worth``, starting workers costs more than it saves and this process does the work.
        ``queued`` pieces per process are drawn ahead, so that none waits for the next.
        ``call`` and the pieces must be picklable. Raises what ``call`` raises, and `PoolStartError`
        if no process starts.
        """
        if self.size == 1 or not worth:
            for piece in pieces:
                yield piece, call(piece)
            return
        with scratch.temporary_folder() as folder:
            path = folder / "call"
            path.write_bytes(pickle.dumps(call))
            yield from self._ordered_results(path, iter(pieces), queued * self.size)

    def close(self) -> None:
        """Stop the workers; the next piece starts new ones."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _ordered_results(
        self, call: Path, pieces: Iterator[Any], queued: int
    ) -> Iterator[tuple[Any, Any]]:
        waiting: deque[tuple[Any, Future[Any]]] = deque()
        try:
            while True:
                for piece in pieces:
                    waiting.append((piece, self._submit_piece(call, piece)))
                    if len(waiting) > queued:
                        break
                if not waiting:
                    return
                piece, future = waiting.popleft()
                try:
                    result = frame_pickle.load(future.result())
                except BrokenProcessPool:
                    # Some running piece killed its worker, which ends the whole pool. Retry this
                    # one alone to learn whether it is the culprit, then resubmit the unfinished.
                    self._check_starts()
                    result = self._retry_alone(call, piece)
                    waiting = deque(
                        (p, f if _is_done_well(f) else self._submit_piece(call, p))
                        for p, f in waiting
                    )
                yield piece, result
        finally:
            for _, future in waiting:
                future.cancel()

    def _start(self) -> ProcessPoolExecutor:
        """Return the running pool; a new one gets an empty piece, which shows that it started."""
        if self._pool is None:
            # A forked child may inherit locks held by threads that do not exist in it (deadlock).
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.size, context, pool_worker.initialise_worker)
            self._ready = self._pool.submit(pool_worker.confirm_start)
        return self._pool

    def _check_starts(self) -> None:
        """Close a broken pool; if none of its processes had started, raise unless a new one does.

        Without this every piece would be blamed, after two starts each, for what stops all.
        """
        started = self._ready is not None and _is_done_well(self._ready)
        self.close()
        if started:
            return
        self._start()
        if self._ready is not None and isinstance(self._ready.exception(), BrokenProcessPool):
            self.close()
            raise PoolStartError

    def _submit_piece(self, call: Path, piece: Any) -> Future[Any]:
        try:
            content = frame_pickle.dump(piece, call.parent)
            return self._start().submit(pool_worker.run_piece, call, content)
        except BrokenProcessPool as error:
            broken: Future[Any] = Future()
            broken.set_exception(error)
            return broken

    def _retry_alone(self, call: Path, piece: Any) -> Any:
        """Retry a piece with nothing else running: if a worker dies now, this piece killed it."""
        try:
            return frame_pickle.load(self._submit_piece(call, piece).result())
        except BrokenProcessPool:
            self.close()
            return LostPiece(
                "El proceso que lo calculaba murió dos veces; suele ser falta de memoria."
            )


def _is_done_well(future: Future[Any]) -> bool:
    """Return True if a piece finished before the pool broke."""
    return future.done() and not isinstance(future.exception(), BrokenProcessPool)


def _describe_failure(error: BaseException) -> str:
    """Return the error message, and for unexpected errors also file and line."""
    if isinstance(error, IppError):
        return str(error)
    if isinstance(error, MemoryError):
        return "Falta memoria para calcularlo."
    first, *frames = traceback.extract_tb(error.__traceback__)  # The first frame is `try_piece`.
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE_FOLDER)]
    where = (ours or frames or [first])[-1]
    return f"{type(error).__name__}: {error} ({Path(where.filename).name}, línea {where.lineno})"
