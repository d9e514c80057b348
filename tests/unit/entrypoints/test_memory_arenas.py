"""How a server keeps its memory together, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ipp.entrypoints.memory_arenas import limit_arenas

SETTING = "_RJEM_MALLOC_CONF"


def test_what_is_begun_after_the_block_has_the_settings_of_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    with pytest.raises(KeyError), limit_arenas():
        assert os.environ[SETTING] == "narenas:2,tcache:false"
        raise KeyError
    assert SETTING not in os.environ
    monkeypatch.setenv(SETTING, "narenas:7")
    with limit_arenas():
        assert os.environ[SETTING] == "narenas:7", "whoever chose otherwise knows why"
    assert os.environ[SETTING] == "narenas:7"


def test_the_commands_load_nothing_that_allocates_before_the_block() -> None:
    """Or the settings would come too late."""
    code = (
        "import sys, ipp.cli.serve_command; "
        "print(sorted({'polars', 'deltalake', 'numpy'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="the arenas are glibc's, and /proc is Linux's")
def test_many_threads_share_two_arenas() -> None:
    """By default glibc gives each thread that allocates beside others 64 MB of addresses."""
    code = """
import threading, ctypes
from pathlib import Path
from ipp.entrypoints.memory_arenas import limit_arenas

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def arenas():
    gate = threading.Barrier(9)
    def hold():
        kept = [libc.malloc(1_000) for _ in range(100)]
        gate.wait(); gate.wait()
        for address in kept: libc.free(address)
    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads: thread.start()
    gate.wait()
    spans = [line.split()[0].split("-") \
for line in Path("/proc/self/maps").read_text().splitlines()]
    found = sum(1 for start, _ in spans if int(start, 16) % (64 << 20) == 0)
    gate.wait()
    for thread in threads: thread.join()
    return found

with limit_arenas():
    print(arenas())
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(told.stdout) <= 2
