"""A SQL warehouse that says what it was told to say: where statements are not what is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.cloud.workspace.definition import Rows
from tests.cloud.workspace.route import Answer, Route, build_route, error_answer


class SpokenApi:
    """Answers each statement at once, by the first of the ``answers`` whose key it contains."""

    def __init__(self, answers: Mapping[str, Rows]) -> None:
        self._answers = answers

    def routes(self) -> Sequence[Route]:
        return [
            build_route(
                "POST",
                "/api/2.0/sql/statements",
                lambda call: self._said(call.body["statement"]),
            )
        ]

    def _said(self, statement: str) -> Answer:
        rows = next((rows for word, rows in self._answers.items() if word in statement), None)
        if rows is None:
            return error_answer(
                400, "INVALID_PARAMETER_VALUE", f"Nobody told what to say to: {statement}"
            )
        return 200, {
            "statement_id": "1",
            "status": {"state": "SUCCEEDED"},
            "result": {"data_array": rows},
        }
