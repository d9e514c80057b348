"""A line of a server's log is JSON, and has no colour codes."""

from __future__ import annotations

import json
import subprocess
import sys

LOGGING = """
import logging
from ipp.entrypoints.json_log import log_as_json
log_as_json()
message = "Started server process [%d]"
coloured = {"color_message": "Started server process [" + chr(27) + "[36m%d]"}
logging.getLogger("uvicorn.error").info(message, 7, extra=coloured | {"sub": "ana"})
"""


def test_a_line_has_its_extra_fields_and_no_colours() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, check=True)
    line = json.loads(done.stderr)
    assert line.pop("timestamp")
    assert line == {
        "level": "INFO",
        "logger": "uvicorn.error",
        "message": "Started server process [7]",
        "sub": "ana",
    }
