"""One event for each handler, answered once in a fresh Python: the answer and its cost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ipp.jobs.job import JobStatus
from tests.cloud.gateway import build_event
from tests.cloud.scripted_answers import Say, serve_script
from tests.cloud.stack import CLAIMS, CONFIGURED, TO_START, Stack, run_in, statement_answer
from tests.waiting import PATIENCE_SECONDS

HANDLERS = ("verificador", "iniciador", "status", "results", "reconciler", "automatic")

NO_ROW = statement_answer()
"""What is told of a job that published before it was told whose it is."""

CODE = """
import json, sys
import ipp.entrypoints.lambda_functions
handler, event = json.load(sys.stdin)
answer = getattr(ipp.entrypoints.lambda_functions, handler)(event, None)
print(json.dumps([answer, list(sys.modules)]))
"""


@dataclass(frozen=True)
class Answered:
    """A handler's answer, the modules loaded after it, and how often it called Databricks."""

    answer: Mapping[str, Any]
    modules: frozenset[str]
    asked: int


def answer_event(
    deployed: Stack,
    handler: str,
    command: Sequence[str] = (sys.executable, "-c", CODE),
    databricks: Sequence[Say] = (),
) -> Answered:
    """Have the handler answer an event that needs what any of its events needs.

    ``command`` runs `CODE`; Databricks answers by a script, by default as it does where nothing
    goes wrong.
    """
    asked, usual = _exchange(deployed, handler)
    with serve_script(*(databricks or usual)) as workspace:
        ended = subprocess.run(
            command,
            input=json.dumps([handler, asked]),
            env=deployed.settings(workspace.url),
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
    answer, modules = json.loads(ended.stdout.splitlines()[-1])
    return Answered(answer, frozenset(modules), len(workspace.asked))


def _exchange(deployed: Stack, handler: str) -> tuple[Mapping[str, Any], Sequence[Say]]:
    """An event, and what Databricks answers meanwhile."""
    asked = {"mostradores": ["7051602", "7051603"]}
    match handler:
        case "verificador":
            return build_event("POST", "/ipp/validate-clients", claims=CLAIMS, body=asked), [
                CONFIGURED
            ]
        case "iniciador":
            return build_event("POST", "/ipp/start", claims=CLAIMS, body=asked), TO_START
        case "status":
            job = deployed.put(JobStatus.JOB1_RUNNING, running="4711")
            return build_event("GET", f"/ipp/status/{job.job_id}", claims=CLAIMS), [
                run_in("RUNNING")
            ]
        case "results":
            job = deployed.put(JobStatus.COMPLETED)
            decided = statement_answer(
                ["7051602", "10", "5", "100", "1000.0", "1200.0", "1.1", "0.95", "2", "80.0"]
            )
            failed = statement_answer(["7051603", "factor", "No hay objetivo."])
            return build_event("GET", f"/ipp/results/{job.job_id}", claims=CLAIMS), [
                NO_ROW,
                decided,
                failed,
                statement_answer(),
            ]
        case "reconciler":
            deployed.put(JobStatus.JOB1_RUNNING, running="4711")
            return {}, [run_in("RUNNING")]
        case _:
            return {"mode": "automatic"}, [CONFIGURED, CONFIGURED, *TO_START]


def is_success(handler: str, answer: Mapping[str, Any]) -> bool:
    """Return whether an answer is what the handler is for."""
    match handler:
        case "reconciler":
            return bool(answer["waiting"])
        case "automatic":
            return bool(answer["job_id"])
        case _:
            return answer["statusCode"] in {200, 202}
