"""Translate Cyclopts' help and errors into Spanish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve
from cyclopts import CycloptsError
from cyclopts.exceptions import (
    ArgumentOrderError,
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)
from cyclopts.help import ColumnSpec, DefaultFormatter, HelpEntry, NameRenderer
from cyclopts.help.specs import DescriptionRenderer

from ipp.errors import shorten
from ipp.formats.written_number import WrittenNumberError

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType


_NAME_COLUMN_WIDTH = 38
"""Maximum width of the options' names, in terminal columns."""

_TYPE_NAMES = {"FLOAT": "NÚMERO", "INT": "ENTERO", "STR": "TEXTO", "PATH": "ARCHIVO"}
"""The type of an option's value; `_SEVERAL_MARK` follows it if it takes several."""

_SEVERAL_MARK = "..."


class SpanishHelp(DefaultFormatter):
    """Cyclopts' own help formatter, with its few English words in Spanish."""

    def __init__(self) -> None:
        super().__init__(
            column_specs=(
                ColumnSpec(
                    renderer=_render_name, style="cyclopts.name", max_width=_NAME_COLUMN_WIDTH
                ),
                ColumnSpec(renderer=_render_description, overflow="fold"),
            )
        )

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:  # noqa: ARG002  # overrides
        """Write the usage line of a command."""
        text = (
            str(usage)
            .strip()
            .replace("COMMAND", "COMANDO")
            .replace("[ARGS]", "[JOB]")
            .replace("[OPTIONS]", "[OPCIONES]")
        )
        if text:
            console.print(f"Uso: {text}\n", style="bold", highlight=False, markup=False)


_default_name_renderer = NameRenderer(max_width=_NAME_COLUMN_WIDTH)


def _render_name(entry: HelpEntry) -> RenderableType:
    kind = (entry.metavar or "").removesuffix(_SEVERAL_MARK)
    many = _SEVERAL_MARK if (entry.metavar or "").endswith(_SEVERAL_MARK) else ""
    return _default_name_renderer(evolve(entry, metavar=_TYPE_NAMES.get(kind, kind) + many or None))


_default_description_renderer = DescriptionRenderer()


def _render_description(entry: HelpEntry) -> RenderableType:
    notes = []
    if entry.choices:
        notes.append(f"[opciones: {', '.join(entry.choices)}]")
    if entry.default not in {None, "", "False"}:
        notes.append(f"[por omisión: {entry.default}]")
    if entry.required:
        notes.append("[obligatorio]")
    bare = evolve(entry, choices=None, default=None, required=False, env_var=None)
    described = _default_description_renderer(bare)
    from rich.text import Text  # noqa: PLC0415  # 30 ms that only the help should pay

    for note in notes:
        described.append(Text(note, "cyclopts.default"))  # type: ignore[union-attr]  # an InlineText
    return described


def explain_error(error: CycloptsError) -> str:
    """Return in Spanish what was wrong with a command's arguments."""
    name = error.argument.name if error.argument is not None else ""
    unused = " ".join(error.unused_tokens or ())
    match error:
        case UnknownCommandError():
            text = f"No existe el comando {unused!r}."
        case UnknownOptionError():
            text = f"No existe la opción {error.token.keyword or error.token.value}."
        case UnusedCliTokensError():
            text = f"Sobra {unused!r}."
        case MissingArgumentError():
            text = (
                f"A {name} le falta un valor."
                if error.tokens_so_far or error.keyword
                else f"Falta {name}."
            )
        case RepeatArgumentError():
            text = f"{name or error.token.keyword} está dos veces."
        case CoercionError() if isinstance(error.__cause__, WrittenNumberError):
            written = error.token.value if error.token else ""
            text = f"{name} «{shorten(written)}» {error.__cause__}."
        case CoercionError():
            text = f"{error.token.value if error.token else ''!r} no es un valor de {name}."
        case ValidationError():
            text = error.exception_message or f"El valor de {name} no sirve."
        case ArgumentOrderError():
            text = f"{error.token!r} está en un lugar que no le toca."
        case _:
            text = str(error)
    return text
