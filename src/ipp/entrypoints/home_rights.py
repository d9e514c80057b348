"""Who may read the home: its owner alone, unless somebody gave others rights to it."""

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
_OTHERS: Final = 0o007
_NOT_THE_OWNER: Final = 0o077


def restrict_new_files() -> None:
    """Let nobody but the owner read what this process and its children write.

    A home to which somebody gave others rights is left as it is, with what is written to it: a
    group may share it.
    """
    with suppress(InvalidInputError):  # The command tells it.
        if not _rights(Settings.from_environment().home) & _NOT_THE_OWNER:
            os.umask(_PRIVATE_UMASK)


def warn_of_open_home(home: Path) -> None:
    """Write to the log if every account of the machine can read the home."""
    if _rights(home) & _OTHERS:
        _LOG.warning("every account of this machine can read %s; chmod o-rwx it if not meant", home)


def _rights(folder: Path) -> int:
    """Return the permission bits of a folder; 0 if it does not exist."""
    try:
        return folder.stat().st_mode & 0o777
    except OSError:
        return 0
