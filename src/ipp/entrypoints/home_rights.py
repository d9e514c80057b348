"""Rights to the home: the owner's alone, unless others were given some."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from ipp.errors import InvalidInputError
from ipp.settings import Settings

_LOG: Final = logging.getLogger("ipp")

_PRIVATE_UMASK: Final = 0o077
_OTHERS_RIGHTS: Final = 0o007
_SHARED_RIGHTS: Final = 0o077


def restrict_new_files() -> None:
    """Let nobody but the owner read what this process and its children write.

    Where others already have rights to the home, a group may share it, so nothing changes.
    """
    with suppress(InvalidInputError):  # The command tells it.
        if not _rights(Settings.from_environment().home) & _SHARED_RIGHTS:
            os.umask(_PRIVATE_UMASK)


def warn_of_open_home(home: Path) -> None:
    """Write to the log if every account of the machine can read the home."""
    if _rights(home) & _OTHERS_RIGHTS:
        _LOG.warning("every account of this machine can read %s; chmod o-rwx it if not meant", home)


def _rights(folder: Path) -> int:
    """Return the permission bits of a folder; 0 if it does not exist."""
    try:
        return folder.stat().st_mode & 0o777
    except OSError:
        return 0
