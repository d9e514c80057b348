"""The child process of a stage, as its worker sees it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Final

_MAX_LINE_BYTES: Final = 8_192
_KEPT_LINES: Final = 20
_SHOWN_LINES: Final = 3
_MAX_MESSAGE_CHARACTERS: Final = 2_000
_MAX_COUNT: Final = 10**9


class StageProcess:
    """A child process in its own process group; its stdin is a pipe that closes when we end.

    ``done`` is how many mostradores it has reported as done. Raises OSError if it cannot start.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.done = 0
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process = subprocess.Popen(  # noqa: S603  # the command is ours
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self._closed = False
        self._reader = threading.Thread(
            target=self._read_stderr, args=(self._process.stderr,), daemon=True
        )
        try:
            self._reader.start()
        except RuntimeError:  # The process table is full, or the limit of threads reached.
            self._kill_unread()
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None

    @property
    def status(self) -> int:
        """The exit status, waiting for the end; minus the signal's number if a signal killed it."""
        return self._process.wait()

    def wait_for_end(self, within: float) -> bool:
        """Wait at most ``within`` seconds and return whether it has ended."""
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, within: float) -> None:
        """Terminate the group, letting it clean up its files; kill it after ``within`` seconds."""
        self._signal_group(signal.SIGTERM)
        self.wait_for_end(within)
        self.close()

    def close(self) -> None:
        """Kill whatever is left of the group and read the rest of its stderr."""
        if self._closed:
            return
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        self._closed = True
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        # It lasts longer only if a process left the group and keeps stderr open.
        self._reader.join(1.0)

    def _kill_unread(self) -> None:
        """Kill the group of a process that nobody reads from."""
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def failure_message(self) -> str:
        """Return why it failed, for people: its own error, else how it ended and its last lines."""
        lines = [line for line in self._lines.copy() if line.strip()]
        errors = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
        if errors and self.status > 0:
            own = (
                line.strip().removeprefix("Error: ").removeprefix("→ ")
                for line in lines[errors[-1] :]
            )
            return " ".join(own)[:_MAX_MESSAGE_CHARACTERS]
        last = "\n".join(line.strip() for line in lines[-_SHOWN_LINES:])
        output = f"Lo último que dijo: {last}" if last else "No dijo nada."
        return f"{_describe_exit(self.status)} {output}"[:_MAX_MESSAGE_CHARACTERS]

    def _signal_group(self, number: signal.Signals) -> None:
        # Either error means that the group is gone or that only zombies are left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _read_stderr(self, pipe: IO[bytes]) -> None:
        with pipe:
            while raw := pipe.readline(_MAX_LINE_BYTES):
                line = raw.decode(errors="replace").rstrip()
                done = _parse_progress(line)
                if done is None:
                    self._lines.append(line)
                else:
                    self.done = done


def _parse_progress(line: str) -> int | None:
    """Return the mostradores done according to a progress line; None for any other line."""
    if not line.startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    done = entry.get("hechos")
    return done if isinstance(done, int) and 0 <= done <= _MAX_COUNT else None


def _describe_exit(status: int) -> str:
    if status >= 0:
        return f"El proceso de la etapa terminó con {status}."
    number = -status
    known = {member.value: member.name for member in signal.Signals}
    cause = " Suele ser falta de memoria." if number == signal.SIGKILL else ""
    return f"El proceso de la etapa terminó por la señal {known.get(number, number)}.{cause}"
