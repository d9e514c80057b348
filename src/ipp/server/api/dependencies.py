"""FastAPI dependencies: the application's services and the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute

from ipp.jobs.job_service import Caller, JobService
from ipp.server.api.claims import Authenticator, Role
from ipp.server.api.problem_response import ForbiddenError
from ipp.server.api.request_counter import RequestCounter
from ipp.storage.files.file_store import FileStore
from ipp.storage.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Services:
    """The services that the routes use."""

    jobs: JobService
    warehouse: Warehouse
    files: FileStore
    authenticator: Authenticator
    counts: RequestCounter

    def counter_name(self, mostrador: int) -> str:
        """Return the name of ``mostrador``, empty where it has none."""
        return self.warehouse.counter_names([mostrador]).get(mostrador, "")


def select_routes(router: APIRouter, *names: str) -> APIRouter:
    """Return a router with some routes of ``router``, by the names of their functions."""
    routes = {route.name: route for route in router.routes if isinstance(route, APIRoute)}
    selected = APIRouter()
    selected.routes.extend(routes[name] for name in names)
    return selected


async def get_services(request: Request) -> Services:
    """Return the application's services; async, because FastAPI runs sync ones in a thread."""
    return _app_services(request)


async def get_caller(request: Request) -> Caller:
    """Return the caller, whom the request's log line then names.

    Raises `UnauthenticatedError` or `ForbiddenError`.
    """
    caller = await _app_services(request).authenticator.identify_caller(request)
    request.state.caller = caller.user.sub
    return caller


CallerDep = Annotated[Caller, Depends(get_caller)]


async def require_editor(caller: CallerDep) -> Caller:
    """Return the caller of an operation that changes what everybody shares.

    Raises `ForbiddenError` for one who may not, which names the group that is missing.
    """
    if not caller.may_edit:
        raise ForbiddenError(
            f"Cambiar lo que todos comparten es de quien está en el grupo {Role.EDITOR}, "
            "y usted no está en él.",
            hint="Pida a quien administra los usuarios de IPP que lo agregue, "
            "y después inicie sesión otra vez.",
        )
    return caller


def prefixed_path(request: Request, path: str) -> str:
    """Return ``path`` as the client sees it, below the gateway's root path."""
    return f"{request.scope.get('root_path', '')}{path}"


def _app_services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


ServicesDep = Annotated[Services, Depends(get_services)]
EditorDep = Annotated[Caller, Depends(require_editor)]
"""The caller of an operation that changes what everybody shares."""
