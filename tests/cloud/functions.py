"""The functions of a stack as a test asks them, and what it asks of their answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from tests.cloud.runtime import Function
from tests.cloud.scripted_answers import Say, Scripted
from tests.cloud.stack import Stack

Answer = Mapping[str, Any]


class Functions:
    """The functions of a stack, each in a process that is started when it is first asked for."""

    def __init__(self, deployed: Stack, workspace: Scripted, started: ExitStack) -> None:
        self._deployed = deployed
        self._workspace = workspace
        self._started = started
        self._functions: dict[str, Function] = {}

    def __call__(self, handler: str, event: Mapping[str, Any], *databricks: Say) -> Any:
        """Return a function's answer while Databricks answers by a script.

        By default the script says that Databricks must not be called.
        """
        self._workspace.script[:] = databricks or [Say(500)]
        self._workspace.asked.clear()
        if handler not in self._functions:
            environ = self._deployed.settings(self._workspace.url)
            self._functions[handler] = self._started.enter_context(
                self._deployed.function(handler, environ)
            )
        answer = self._functions[handler].invoke(event)
        if not databricks:
            assert self._workspace.asked == []
        return answer

    @property
    def runs_asked_for(self) -> list[Any]:
        """The body of each run that Databricks was asked to start."""
        return [
            json.loads(body)
            for _, path, _, body in self._workspace.asked
            if path.endswith("/run-now")
        ]

    @property
    def bearers(self) -> set[str | None]:
        """What Databricks was shown."""
        return {headers.get("Authorization") for _, _, headers, _ in self._workspace.asked}


def read_body(answer: Answer) -> Any:
    return json.loads(answer["body"])


def is_problem(answer: Answer, status: int) -> bool:
    kind = answer["headers"]["content-type"]
    statuses = {answer["statusCode"], read_body(answer)["status"]}
    return kind == "application/problem+json" and statuses == {status}


def read_log(deployed: Stack, handler: str) -> list[dict[str, Any]]:
    """Return a function's log, of which every line is JSON."""
    return [
        json.loads(line) for line in (deployed.folder / f"{handler}.log").read_text().splitlines()
    ]
