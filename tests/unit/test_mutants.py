"""The changes that `make mutants` makes, and what names them."""

from __future__ import annotations

import pytest

from tests.mutants.mutation import Module, Mutation


def mutate(source: str) -> list[Mutation]:
    return Module("a.py", source).find_mutations()


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("return a < b", {"return a <= b"}),
        ("return a + b", {"return a - b", "return a", "return b"}),
        ("return a and b", {"return a or b", "return (a)", "return (b)"}),
        ("return f(a, key=b)", {"return f(a)"}),
        ("return min(a, 2)", {"return max(a, 2)", "return min(a, 3)"}),
        ("return -a if b else 0.5", {
            "return a if b else 0.5", "return -a if True else 0.5",
            "return -a if False else 0.5", "return -a if b else 1.0",
        }),
        ("a.b = 'text'; return a", {"pass; return a"}),
        ("c: int = a; return f'{a + b}'", set()),
    ],
)  # fmt: skip
def test_what_is_changed_in_a_line(line: str, changes: set[str]) -> None:
    found = mutate(f"def f(a, b):\n    {line}\n")
    assert {mutation.after for mutation in found} == changes
    assert all(mutation.lines == {2} for mutation in found)


def test_a_mutation_keeps_its_name_where_lines_come_before_it() -> None:
    source = "def f(a):\n    if a > 1:\n        return 2\n    return 3\n"
    assert [m.key for m in mutate("import os\n\n\n" + source)] == [m.key for m in mutate(source)]


def test_a_default_is_reached_by_whoever_reaches_the_body_and_a_constant_by_all() -> None:
    default, constant = mutate("def f(a=1):\n    b = a\n    return b\n\nLIMIT = 3\n")
    assert default.lines == {2, 3}
    assert (constant.scope, constant.lines) == ("", frozenset())
