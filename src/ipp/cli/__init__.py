"""The command line: ``ipp import``, ``validate``, ``run``, ``results``, ``serve`` and others.

Exit statuses: 0 success; 1 a failure that is not the caller's fault; 2 invalid input, and nothing
was changed; 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

from cyclopts import App, CycloptsError, Group

from ipp.cli.spanish_help import SpanishHelp, explain_error
from ipp.entrypoints.exit_status import DONE, report_error
from ipp.entrypoints.home_rights import restrict_new_files
from ipp.errors import InvalidInputError
from ipp.settings import is_debugging

_COMMANDS = {
    "import": ("ipp.cli.import_command:import_", "Importa un archivo a una tabla."),
    "validate": ("ipp.cli.run_command:validate", "Dice qué mostradores tienen configuración."),
    "run": (
        "ipp.cli.run_command:run",
        "Calcula el inventario de los mostradores y publica el resultado.",
    ),
    "cancel": ("ipp.cli.run_command:cancel", "Cancela un proceso que no ha terminado."),
    "results": (
        "ipp.cli.results_command:results",
        "Muestra o guarda los resultados de un proceso.",
    ),
    "audit": (
        "ipp.cli.audit_command:audit",
        "Muestra quién cambió lo que todos comparten, y cómo estaba.",
    ),
    "factor": (
        "ipp.cli.factor_command:factor",
        "Aplica el factor de redondeo a un libro de Excel, csv o Parquet.",
    ),
    "backtest": (
        "ipp.cli.backtest_command:backtest",
        "Repite la historia: cuánto habría costado una política.",
    ),
    "serve": (
        "ipp.cli.serve_command:serve",
        "Sirve IPP por HTTP en esta máquina, con un trabajador.",
    ),
    "worker": ("ipp.entrypoints.worker:worker", "Añade un trabajador a esta máquina."),
    "compact": (
        "ipp.cli.maintenance_command:compact",
        "Pone en orden los archivos de las tablas, aunque otros las lean; ningún renglón cambia.",
    ),
    "vacuum": (
        "ipp.cli.maintenance_command:vacuum",
        "Borra los archivos que ninguna versión reciente de las tablas usa, aunque otros las lean.",
    ),
    "backup": (
        "ipp.cli.backup_command:backup",
        "Respalda todos los datos en otra carpeta, aunque otros los usen.",
    ),
    "restore": (
        "ipp.cli.backup_command:restore",
        "Restaura un respaldo en una carpeta IPP_HOME vacía.",
    ),
    "sample": (
        "ipp.cli.sample_command:sample",
        "Crea una cadena de farmacias inventada para probar.",
    ),
}
"""The commands, each imported on first use: the help alone needs none of them."""


def _build_app() -> App:
    app = App(
        name="ipp",
        help="IPP, Inventario de Precisión Predictiva: "
        "cuántas piezas de cada producto conviene tener.\n\n"
        "Los datos están en la carpeta IPP_HOME (~/ipp si no se indica otra). "
        "Termina con 0 si todo salió bien; 1 si algo falló; "
        "2 si lo que se dio no sirve y nada cambió, o hubo "
        "renglones rechazados; 130 si se interrumpió.",
        help_flags=["--help", "--ayuda", "-h"],
        version_flags=["--version"],
        help_formatter=SpanishHelp(),
        group_commands=Group("Comandos"),
        group_parameters=Group("Opciones"),
        group_arguments=Group("Argumentos"),
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    app["--help"].help = "Muestra esta ayuda."
    app["--version"].help = "Muestra la versión."
    for order, (name, (path, text)) in enumerate(_COMMANDS.items()):
        app.command(path, name=name, help=text, sort_key=order)
    return app


def main() -> None:
    """Run the command line and exit with its status."""
    if sys.stdout is None:  # closed by the parent process
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # for the life of the process
    # Exit by exception on SIGTERM, so that open files and context managers are closed.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    # A command tells its own errors; the log is for servers, which send it to stderr.
    logging.getLogger("ipp").addHandler(logging.NullHandler())
    sys.unraisablehook = _ignore_os_errors
    restrict_new_files()
    sys.exit(run_cli(sys.argv[1:]))


def _ignore_os_errors(unraisable: sys.UnraisableHookArgs) -> None:
    """Print what a destructor could not raise, except that the disk is still full."""
    if not issubclass(unraisable.exc_type, OSError) or is_debugging():
        sys.__unraisablehook__(unraisable)


def run_cli(arguments: list[str]) -> int:
    """Run one command and return its exit status; errors go to stderr, in Spanish."""
    try:
        status = _build_app()(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except BrokenPipeError:
        sys.stderr.close()  # the reader of the output has gone, so there is nobody to tell
        return DONE
    except SystemExit:
        raise
    except BaseException as error:
        return _report(error)
    return status if isinstance(status, int) else DONE


def _report(error: BaseException) -> int:
    """Report an error of a command, explaining Cyclopts' own errors in Spanish."""
    if isinstance(error, CycloptsError):
        hint = "`ipp --ayuda` muestra los comandos; `ipp COMANDO --ayuda`, sus opciones."
        return report_error(InvalidInputError(explain_error(error), hint=hint))
    return report_error(error)
