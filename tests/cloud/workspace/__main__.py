"""Run a workspace until told to stop or orphaned: ``python -m tests.cloud.workspace CONFIG``."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from tests.cloud.workspace.access import Access
from tests.cloud.workspace.admin import AdminApi
from tests.cloud.workspace.definition import Definition
from tests.cloud.workspace.fault import Faults
from tests.cloud.workspace.jobs import JobsApi
from tests.cloud.workspace.json_body import SpokenApi
from tests.cloud.workspace.route import Route
from tests.cloud.workspace.scheduler import Scheduler
from tests.cloud.workspace.secret import SecretApi
from tests.cloud.workspace.server import Application, server_of


def main(path: Path) -> None:
    definition = Definition.read(path)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    threading.Thread(target=_follow_starter, daemon=True).start()
    with ExitStack() as stack:
        scheduler, access, faults = Scheduler(definition), Access(definition), Faults()
        stack.callback(scheduler.close)
        routes: list[Route] = []
        application = Application(routes, access, faults)
        server = server_of(application, ("127.0.0.1", 0))
        stack.callback(server.server_close)
        url = f"http://127.0.0.1:{server.server_port}"
        routes.extend(JobsApi(definition, scheduler, url).routes())
        routes.extend(SecretApi(definition.secrets).routes())
        routes.extend(AdminApi(scheduler, faults, access, application.asked).routes())
        if definition.tables:
            from tests.cloud.workspace.statements import StatementApi

            statements = StatementApi(Path(definition.tables), warehouse=definition.warehouse)
            stack.callback(statements.close)
            routes.extend(statements.routes())
        else:
            routes.extend(SpokenApi(definition.spoken).routes())
        print(f"Workspace at {url}", flush=True)  # noqa: T201  # for whoever started this
        server.serve_forever()


def _follow_starter() -> None:
    """End when whoever started this has: it holds the other end of stdin and never writes."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    main(Path(sys.argv[1]))
