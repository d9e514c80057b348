"""What a request is answered with: the services an application carries, and who is calling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute

from ipp.jobs.job_service import Caller, JobService
from ipp.server.api.claims import Authenticator
from ipp.server.api.request_log import RequestCounter
from ipp.storage.files.file_store import FileStore
from ipp.storage.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes work with."""

    jobs: JobService
    warehouse: Warehouse
    files: FileStore
    authenticator: Authenticator
    counts: RequestCounter


def select_routes(router: APIRouter, *names: str) -> APIRouter:
    """Some of the operations of ``router``, by the names of their functions."""
    found = {route.name: route for route in router.routes if isinstance(route, APIRoute)}
    some = APIRouter()
    some.routes.extend(found[name] for name in names)
    return some


async def get_services(request: Request) -> Services:
    """The application's services; asynchronous, for what is not costs a hop to a thread and back."""
    return _app_services(request)


async def get_caller(request: Request) -> Caller:
    """Who is calling. Raises `UnauthenticatedError` or `ForbiddenError`."""
    return await _app_services(request).authenticator.identify_caller(request)


def prefixed_path(request: Request, path: str) -> str:
    """Where whoever asked finds ``path``: below what a gateway has before it."""
    return f"{request.scope.get('root_path', '')}{path}"


def _app_services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


ServicesDep = Annotated[Services, Depends(get_services)]
CallerDep = Annotated[Caller, Depends(get_caller)]
