"""Small changes of a module's source, one at a time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

COMPARISONS: Final[dict[type[ast.cmpop], tuple[str, str]]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}

OPERATORS: Final[dict[type[ast.operator], tuple[str, str]]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}

DROPPED_TERMS: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.BitAnd, ast.BitOr)

_OPPOSITES: Final = (
    ("minimum", "maximum"), ("min", "max"), ("any", "all"), ("floor", "ceil"),
    ("argmin", "argmax"), ("head", "tail"), ("first", "last"), ("is_null", "is_not_null"),
    ("min_horizontal", "max_horizontal"), ("cum_min", "cum_max"),
    ("startswith", "endswith"),
)  # fmt: skip
NAMES: Final = dict(_OPPOSITES) | {b: a for a, b in _OPPOSITES}

_COMPOUND = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match,
)  # fmt: skip
_NOT_MUTATED: Final = frozenset({"annotation", "decorator_list"})
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOOSE = (ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Lambda, ast.NamedExpr)


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of the module ``file``; ``scope`` is the function or class that holds it.

    ``before`` and ``after`` are the changed lines, which name the mutation whatever its line
    number is. ``lines`` are those a test has to execute to notice it; empty outside of functions.
    """

    file: str
    line: int
    scope: str
    before: str
    after: str
    source: str
    lines: frozenset[int]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from other mutations, without line numbers."""
        return self.file, self.scope, self.before, self.after


class Module:
    """The source of one module, with the mutations it has."""

    def __init__(self, file: str, source: str) -> None:
        self.file = file
        self.source = source.encode()
        self.lines = self.source.splitlines(keepends=True)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))

    def find_mutations(self) -> list[Mutation]:
        """Return every mutation that parses and differs, in the order of the lines."""
        tree = ast.parse(self.source)
        plain, found = ast.dump(tree), dict[bytes, Mutation]()
        for node, scope, reach in _walk(tree, (), None):
            for first, last, text in self._edits(node):
                source = self.source[:first] + text.encode() + self.source[last:]
                if source not in found and _differs(source, plain):
                    found[source] = self._describe(first, last, text, scope, reach, source)
        return sorted(found.values(), key=lambda mutation: mutation.line)

    def _describe(
        self, first: int, last: int, text: str, scope: str, reach: frozenset[int], source: bytes
    ) -> Mutation:
        top = self.source.count(b"\n", 0, first)
        bottom = self.source.count(b"\n", 0, last)
        start, end = self.starts[top], self.starts[bottom + 1]
        before = self.source[start:end].decode()
        after = (self.source[start:first] + text.encode() + self.source[last:end]).decode()
        was, now = (" ".join(part.split()) for part in (before, after))
        return Mutation(self.file, top + 1, scope, was, now, source.decode(), reach)

    def _span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        first = self.starts[node.lineno - 1] + node.col_offset
        return first, self.starts[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.expr) -> str:
        first, last = self._span(node)
        text = self.source[first:last].decode()
        return f"({text})" if isinstance(node, _LOOSE) or "\n" in text else text

    def _edits(self, node: ast.AST) -> Iterator[tuple[int, int, str]]:
        """Yield the edits of one node: first and last byte, and the text in their place."""
        match node:
            case ast.Compare() | ast.BoolOp() | ast.BinOp():
                yield from self._edit_operation(node)
            case ast.UnaryOp():
                yield (*self._span(node), self._text(node.operand))
            case ast.Constant():
                for text in _change_constant(node.value):
                    yield (*self._span(node), text)
            case ast.If() | ast.IfExp() | ast.While() | ast.comprehension():
                yield from self._edit_condition(node)
            case ast.Call():
                yield from self._edit_call(node)
            case ast.stmt() if _may_be_removed(node):
                yield (*self._span(node), "pass")

    def _edit_condition(
        self, node: ast.If | ast.IfExp | ast.While | ast.comprehension
    ) -> Iterator[tuple[int, int, str]]:
        """Yield the condition replaced by a constant."""
        for test in node.ifs if isinstance(node, ast.comprehension) else [node.test]:
            if not isinstance(node, ast.While):
                yield (*self._span(test), "True")
            if not isinstance(node, ast.comprehension):
                yield (*self._span(test), "False")

    def _edit_operation(
        self, node: ast.Compare | ast.BoolOp | ast.BinOp
    ) -> Iterator[tuple[int, int, str]]:
        """Yield the edits that change an operator or drop a term."""
        if isinstance(node, ast.Compare):
            sides = pairwise([node.left, *node.comparators])
            for (left, right), sign in zip(sides, node.ops, strict=True):
                yield from self._swap(left, right, *COMPARISONS[type(sign)])
        elif isinstance(node, ast.BoolOp):
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in pairwise(node.values):
                yield from self._swap(left, right, old, new)
            yield from self._drop_operands(node)
        else:
            if type(node.op) in OPERATORS:
                yield from self._swap(node.left, node.right, *OPERATORS[type(node.op)])
            if isinstance(node.op, DROPPED_TERMS):
                yield (*self._span(node), self._text(node.left))
            if isinstance(node.op, ast.Add | ast.BitAnd | ast.BitOr):
                yield (*self._span(node), self._text(node.right))

    def _swap(
        self, left: ast.expr, right: ast.expr, old: str, new: str
    ) -> Iterator[tuple[int, int, str]]:
        """Yield the operator between two operands replaced by another."""
        first, last = self._span(left)[1], self._span(right)[0]
        between = self.source[first:last].decode()
        if old in between and "#" not in between:
            yield first, last, between.replace(old, new, 1)

    def _drop_operands(self, node: ast.BoolOp) -> Iterator[tuple[int, int, str]]:
        word = " and " if isinstance(node.op, ast.And) else " or "
        for left_out in node.values:
            kept = [self._text(value) for value in node.values if value is not left_out]
            yield (*self._span(node), f"({word.join(kept)})")

    def _edit_call(self, node: ast.Call) -> Iterator[tuple[int, int, str]]:
        function = node.func
        name = getattr(function, "attr", getattr(function, "id", ""))
        if name in NAMES:
            last = self._span(function)[1]
            yield last - len(name), last, NAMES[name]
        for keyword in node.keywords:
            if keyword.arg is None:
                continue
            first, last = self._span(keyword)
            ahead = self.source[:first].rstrip()
            behind = self.source[last:]
            if ahead.endswith(b","):
                first = len(ahead) - 1
            elif behind.lstrip().startswith(b","):
                last += len(behind) - len(behind.lstrip()) + 1
            yield first, last, ""


def _differs(source: bytes, plain: str) -> bool:
    try:
        return ast.dump(ast.parse(source)) != plain
    except SyntaxError:
        return False


def _change_constant(value: object) -> tuple[str, ...]:
    match value:
        case bool():
            return (str(not value),)
        case int():
            return (str(value + 1),)
        case float():
            return (repr(value * 2 if value else 1.0),)
        case _:
            return ()


def _may_be_removed(node: ast.stmt) -> bool:
    """Tell whether the rest could still run: a name that is never assigned would be too easy."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return False
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return True
        case _:
            return False


def _walk(
    node: ast.AST, scope: tuple[str, ...], reach: frozenset[int] | None
) -> Iterator[tuple[ast.AST, str, frozenset[int]]]:
    """Yield the nodes that may be mutated, their scope and the lines that reach them."""
    if isinstance(node, ast.JoinedStr) or _is_only_for_types(node):
        return
    if isinstance(node, ast.stmt) and reach is not None:
        reach = _executed_lines(node)
    yield node, ".".join(scope), reach or frozenset()
    if isinstance(node, (*_FUNCTION, ast.ClassDef)):
        scope = (*scope, node.name)
    if isinstance(node, _FUNCTION):
        reach = frozenset(range(node.body[0].lineno, (node.end_lineno or 0) + 1))
    for child in _children(node):
        yield from _walk(child, scope, reach)


def _children(node: ast.AST) -> list[ast.AST]:
    """Return the nodes below, without what is for types or decorates."""
    if isinstance(node, _FUNCTION):
        return [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body]
    kept = [field for name, field in ast.iter_fields(node) if name not in _NOT_MUTATED]
    below = [child for field in kept for child in (field if isinstance(field, list) else [field])]
    return [child for child in below if isinstance(child, ast.AST)]


def _is_only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _executed_lines(node: ast.stmt) -> frozenset[int]:
    last = node.end_lineno or node.lineno
    if isinstance(node, _COMPOUND):
        inside = node.cases[0].pattern if isinstance(node, ast.Match) else node.body[0]
        last = max(node.lineno, inside.lineno - 1)
    return frozenset(range(node.lineno, last + 1))
