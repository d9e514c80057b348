"""``ipp backup`` and ``ipp restore``: copies of the home, and homes from copies."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ipp import console
from ipp.backup.backup_folder import recover_folder
from ipp.backup.home_backup import back_up_home
from ipp.backup.home_restore import restore_home
from ipp.backup.manifest import Manifest, read_manifest, verify_files
from ipp.cli.option import AsJson
from ipp.settings import Settings

_BYTES_PER_MEGABYTE: Final = 1e6

_BackupFolder = Annotated[
    Path,
    Parameter(help="Carpeta del respaldo, fuera de IPP_HOME: vacía, nueva o de uno anterior."),
]
_Restored = Annotated[Path, Parameter(help="Carpeta que dejó `ipp backup`.")]
_Verify = Annotated[
    bool,
    Parameter(
        name="--verificar",
        negative="",
        help="No respalda: lee el respaldo que hay en CARPETA y nombra lo que esté dañado.",
    ),
]


def backup(
    carpeta: _BackupFolder, /, *, verificar: _Verify = False, as_json: AsJson = False
) -> int:
    """Respalda IPP_HOME en una carpeta, aunque otros la usen en ese momento.

    Donde ya hay un respaldo copia sólo lo que cambió, y lo reemplaza cuando el nuevo está completo:
    si algo falla, queda el anterior. Un proceso sin terminar sigue al restaurar.
    """
    folder = carpeta.expanduser().resolve()
    with console.progress_reporter(lines=False) as report:
        if verificar:
            recover_folder(folder)
            manifest = read_manifest(folder)
            verify_files(folder, manifest, partial(report, "verificación"))
        else:
            settings = Settings.from_environment()
            result = back_up_home(settings, folder, partial(report, "respaldo"))
    if verificar:
        return _print_manifest(f"Respaldo íntegro: {folder}", manifest, as_json=as_json)
    if as_json:
        console.print_json({"carpeta": str(folder), **asdict(result)})
        return 0
    console.print_line(
        f"Respaldo en {folder}: {result.tables} tablas, {result.files:,} archivos, "
        f"{result.size / _BYTES_PER_MEGABYTE:,.1f} MB; "
        f"se copiaron {result.copied_bytes / _BYTES_PER_MEGABYTE:,.1f} MB."
    )
    return 0


def restore(carpeta: _Restored, /, *, as_json: AsJson = False) -> int:
    """Restaura un respaldo en IPP_HOME, que debe estar vacía o no existir.

    Verifica cada archivo; si uno está dañado lo nombra y no restaura nada. Los procesos que no
    habían terminado siguen en cuanto haya un trabajador (`ipp serve`, `ipp worker`).
    """
    settings, folder = Settings.from_environment(), carpeta.expanduser().resolve()
    with console.progress_reporter(lines=False) as report:
        manifest = restore_home(settings, folder, partial(report, "restauración"))
    return _print_manifest(f"Restaurado en {settings.home}", manifest, as_json=as_json)


def _print_manifest(title: str, manifest: Manifest, *, as_json: bool) -> int:
    size = sum(file.size for file in manifest.files.values())
    if as_json:
        console.print_json(
            {
                "created_at": manifest.created_at,
                "release": manifest.release,
                "tables": {name: asdict(table) for name, table in manifest.tables.items()},
                "files": len(manifest.files),
                "size": size,
            }
        )
        return 0
    console.print_line(
        f"{title}, de {manifest.created_at} (IPP {manifest.release}): {len(manifest.tables)} "
        f"tablas, {len(manifest.files):,} archivos, {size / _BYTES_PER_MEGABYTE:,.1f} MB."
    )
    return 0
