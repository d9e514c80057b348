"""Read people's files in child processes with limits, so that no file ends or stalls the server.

The readers are native code: a file may make them allocate without end, loop, panic or abort, and
nothing in the process that runs them could stop that.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from ipp.errors import BusyError, InvalidInputError, IppError, UnreadableFileError

if sys.platform != "win32":
    import resource

_LOG: Final = logging.getLogger("ipp.formats")

MAX_MEMORY_BYTES: Final = 640 << 20
"""Private memory of a child. An idle one has 180 MB of it, mostly reserved and never touched."""

MAX_CPU_SECONDS: Final = 20
"""Processor time of a child; 10,000 mostradores take less than one."""

MAX_SECONDS: Final = 60.0
"""Time after which a child is killed, whatever it waits for."""

MAX_ANSWER_BYTES: Final = 16 << 20
MAX_FILE_BYTES: Final = 512 << 20
"""Bytes of a file that a child may write."""

_RUNNING_READS: Final = 2
_WAITING_READS: Final = 6
"""Reads that wait for others to end; each holds a thread of the server."""

_READER_THREADS: Final = "2"
_CPU_SIGNALS: Final = ("SIGXCPU",)
_MEMORY_SIGNALS: Final = ("SIGABRT", "SIGKILL")
"""Rust aborts where memory cannot be allocated; the system kills where it has none left."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """The limits of one child process."""

    memory_bytes: int = MAX_MEMORY_BYTES
    cpu_seconds: int = MAX_CPU_SECONDS
    seconds: float = MAX_SECONDS


@dataclass(frozen=True, slots=True)
class _Failure:
    """An error that is no `IppError`: its type and text."""

    kind: str
    text: str


class BoundedReader:
    """A reader of files, one child process each, a few at a time.

    A child is forked from a process that has imported ``modules`` and reads nothing itself, which
    takes some 30 ms. Where the system cannot fork, each child is started anew.
    """

    def __init__(self, modules: Sequence[str] = (), limits: ReadLimits | None = None) -> None:
        self._limits = limits or ReadLimits()
        self._running = threading.BoundedSemaphore(_RUNNING_READS)
        self._places = threading.BoundedSemaphore(_RUNNING_READS + _WAITING_READS)
        forks = "forkserver" in multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            self._context.set_forkserver_preload(list(modules))

    def warm_up(self) -> None:
        """Start, in the background, the process from which children are forked."""
        threading.Thread(
            target=self.read, args=(len, Path("nada"), ""), name="warm-reader", daemon=True
        ).start()

    def read(self, function: Callable[..., Answer], file: Path, *arguments: Any) -> Answer:
        """Return ``function(*arguments)``, which reads ``file``, from a child process.

        All must be picklable. Raises the `IppError` that ``function`` raises, `InvalidInputError`
        where it exceeds a limit, `UnreadableFileError` where it fails in any other way, and
        `BusyError` where too many other reads wait.
        """
        deadline = time.monotonic() + self._limits.seconds
        with self._take_turn():
            answer = self._run_child(function, arguments, file, deadline)
        if isinstance(answer, IppError):
            raise answer
        if isinstance(answer, _Failure):
            _LOG.warning("reading %s failed: %s: %s", file.name, answer.kind, answer.text)
            raise (
                _memory_error(file, self._limits)
                if answer.kind == MemoryError.__name__
                else _unreadable_error(file)
            )
        return cast("Answer", answer)

    @contextmanager
    def _take_turn(self) -> Iterator[None]:
        busy = BusyError("Se están leyendo otros archivos.", hint="Espere un minuto y repita.")
        if not self._places.acquire(blocking=False):
            raise busy
        try:
            if not self._running.acquire(timeout=self._limits.seconds / 2):
                raise busy
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._places.release()

    def _run_child(
        self,
        function: Callable[..., Any],
        arguments: Sequence[Any],
        file: Path,
        deadline: float,
    ) -> Any:
        receiving, sending = self._context.Pipe(duplex=False)
        child = self._context.Process(
            target=_answer, args=(sending, function, arguments, self._limits), daemon=True
        )
        with receiving:
            with sending:
                child.start()
            try:
                if not receiving.poll(max(deadline - time.monotonic(), 0)):
                    raise _time_error(file, self._limits.seconds)
                content = receiving.recv_bytes(MAX_ANSWER_BYTES)
                return pickle.loads(content)  # noqa: S301  # our own child wrote it, memory-safe
            except EOFError:
                child.join()
                raise _death_error(file, child.exitcode, self._limits) from None
            except OSError:
                raise _memory_error(file, self._limits) from None
            finally:
                child.kill()
                child.join()
                child.close()


def _answer(
    sending: Connection, function: Callable[..., Any], arguments: Sequence[Any], limits: ReadLimits
) -> None:
    """Send what ``function`` returns or raises; runs in the child."""
    _apply_limits(limits)
    answer: Any
    try:
        answer = function(*arguments)
    except IppError as error:
        answer = _portable_error(error)
    except BaseException as error:  # A panic of Rust is no Exception.
        answer = _Failure(type(error).__name__, str(error)[:2_000])
    with suppress(BrokenPipeError):
        sending.send_bytes(pickle.dumps(answer))
        sending.close()
    # Threads of the libraries may still be at work, and there is nothing to clean up.
    os._exit(0)


def _portable_error(error: IppError) -> IppError:
    """Return ``error`` as one that can be unpickled, of its own class where that can be."""
    with suppress(Exception):
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own error, pickled on this line
        return error
    return InvalidInputError(error.message, hint=error.hint)


def _apply_limits(limits: ReadLimits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["POLARS_MAX_THREADS"] = _READER_THREADS
    # A panic writes to stderr what the answer says too, and not as a line of our log.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    if sys.platform == "win32":
        return
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
    ):
        # A limit that the system sets lower stays.
        _, hard = resource.getrlimit(kind)
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (wanted, hard))


def _death_error(file: Path, status: int | None, limits: ReadLimits) -> IppError:
    """Return why a child ended without an answer."""
    names = {-member.value: member.name for member in signal.Signals}
    name = names.get(status or 0, str(status))
    _LOG.warning("the process that read %s ended by %s", file.name, name)
    if name in _CPU_SIGNALS:
        return _time_error(file, limits.cpu_seconds)
    return _memory_error(file, limits) if name in _MEMORY_SIGNALS else _unreadable_error(file)


def _time_error(file: Path, seconds: float) -> IppError:
    return InvalidInputError(
        f"Leer {file.name} tarda más de {seconds:,.0f} segundos, que es el límite.",
        hint="Deje en él sólo la tabla, sin formatos ni otras hojas, o guárdela como CSV.",
    )


def _memory_error(file: Path, limits: ReadLimits) -> IppError:
    return InvalidInputError(
        f"Leer {file.name} necesita más de {limits.memory_bytes >> 20:,} MB de memoria, "
        "que es el límite.",
        hint="Deje en él sólo la tabla, sin formatos ni otras hojas, o guárdela como CSV.",
    )


def _unreadable_error(file: Path) -> IppError:
    return UnreadableFileError(
        f"No se puede leer {file.name}: está dañado, o no es como los programas los escriben.",
        hint="Ábralo en Excel y guárdelo otra vez como .xlsx o CSV UTF-8.",
    )
