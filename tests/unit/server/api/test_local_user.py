"""The person at this machine: nobody else passes for them, and which server has one."""

from __future__ import annotations

import getpass

import pytest

from ipp.errors import InvalidInputError
from ipp.jobs.job import JobOwner
from ipp.jobs.job_service import Caller
from ipp.server.api.auth import LocalAuthenticator, TokenAuthenticator, build_authenticator
from ipp.server.api.jwks import is_loopback
from ipp.server.api.problem_response import ForbiddenError, UnauthenticatedError
from tests.unit.server.api.callers import AUDIENCE, ISSUER, build_request, caller_of

HERE = ("127.0.0.1", 5_000)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:8000"},
        {"host": "LOCALHOST:8000"},
        {
            "host": "127.0.0.1:8000",
            "origin": "http://127.0.0.1:8000",
            "sec-fetch-site": "same-origin",
        },
        {"host": "[::1]:8000", "origin": "http://[::1]:8000"},
        {"host": "localhost:8000", "sec-fetch-site": "none"},
    ],
    ids=str,
)
@pytest.mark.parametrize("client", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_the_person_at_this_machine_is_let_in(headers: dict[str, str], client: str) -> None:
    caller = caller_of(
        LocalAuthenticator(8_000), build_request(*headers.items(), client=(client, 5_000))
    )
    user = JobOwner(sub="local", username=getpass.getuser(), name=getpass.getuser())
    assert caller == Caller(user, admin=False, local=True)


@pytest.mark.parametrize("host", ["localhost", "localhost:80", "127.0.0.1"])
@pytest.mark.parametrize("port", ["", ":80"])
def test_browsers_leave_out_port_80(host: str, port: str) -> None:
    origin = ("origin", f"http://{host.removesuffix(':80')}{port}")
    assert (
        caller_of(LocalAuthenticator(80), build_request(("host", host), origin)).user.sub == "local"
    )


OTHER_HOST = "La dirección por la que se llama no es la de este servidor."
PROXY = "La petición viene a través de otro servidor."
OTHER_PAGE = "La petición viene de una página que no es la de IPP."


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([("host", "evil.com")], OTHER_HOST),
        ([("host", "evil.com:8000")], OTHER_HOST),
        ([("host", "localhost.evil.com:8000")], OTHER_HOST),
        ([("host", "127.0.0.1.nip.io:8000")], OTHER_HOST),
        ([("host", "evil.com@localhost:8000")], OTHER_HOST),
        ([("host", "localhost")], OTHER_HOST),
        ([("host", "localhost:8001")], OTHER_HOST),
        ([("host", "127.1:8000")], OTHER_HOST),
        ([("host", "0.0.0.0:8000")], OTHER_HOST),
        ([("host", "")], OTHER_HOST),
        ([], OTHER_HOST),
        ([("host", "localhost:8000"), ("host", "evil.com")], OTHER_HOST),
        ([("host", "localhost:8000"), ("origin", "https://evil.com")], OTHER_PAGE),
        ([("host", "localhost:8000"), ("origin", "null")], OTHER_PAGE),
        ([("host", "localhost:8000"), ("origin", "")], OTHER_PAGE),
        ([("host", "localhost:8000"), ("origin", "http://localhost:3000")], OTHER_PAGE),
        ([("host", "localhost:8000"), ("origin", "https://localhost:8000")], OTHER_PAGE),
        ([("host", "localhost:8000"), ("origin", "http://127.0.0.1:8000")], OTHER_PAGE),
        ([("host", "localhost:8000"), ("origin", "http://localhost:8000.evil.com")], OTHER_PAGE),
        ([("host", "localhost:8000"), ("origin", "http://localhost:8000"),
          ("origin", "http://evil.com")], OTHER_PAGE),
        ([("host", "localhost:8000"), ("sec-fetch-site", "cross-site")], OTHER_PAGE),
        ([("host", "localhost:8000"), ("sec-fetch-site", "same-site")], OTHER_PAGE),
        ([("host", "localhost:8000"), ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
         OTHER_PAGE),
        ([("host", "localhost:8000"), ("x-forwarded-for", "127.0.0.1")], PROXY),
        ([("host", "localhost:8000"), ("forwarded", "for=9.9.9.9")], PROXY),
    ],
    ids=str,
)  # fmt: skip
def test_pages_elsewhere_do_not_pass_for_the_person(
    headers: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(ForbiddenError) as caught:
        caller_of(LocalAuthenticator(8_000), build_request(*headers, client=HERE))
    assert caught.value.message == message
    assert caught.value.hint


@pytest.mark.parametrize(
    "client", [None, ("192.168.1.20", 1), ("0.0.0.0", 1), ("::ffff:9.9.9.9", 1), ("testclient", 1)]
)
def test_other_machines_are_refused(client: tuple[str, int] | None) -> None:
    with pytest.raises(ForbiddenError, match=r"Sólo se atiende a este mismo equipo.*IPP_ISSUER"):
        caller_of(
            LocalAuthenticator(8_000), build_request(("host", "localhost:8000"), client=client)
        )


def test_whoever_has_no_login_name_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nameless)
    request = build_request(("host", "localhost:8000"))
    assert caller_of(LocalAuthenticator(8_000), request).user == JobOwner(
        sub="local", username="local", name="local"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost", "LocalHost"])
def test_a_loopback_address_without_issuer_has_a_local_user(host: str) -> None:
    assert is_loopback(host)
    assert isinstance(build_authenticator(host=host, port=8_000), LocalAuthenticator)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "192.168.1.20", "8.8.8.8", "mi-equipo", "localhost.evil.com",
     "127.0.0.1.nip.io"],
)  # fmt: skip
def test_any_other_address_needs_an_issuer(host: str) -> None:
    with pytest.raises(InvalidInputError, match="no se sabe quién llama") as caught:
        build_authenticator(host=host, port=8_000)
    assert "IPP_ISSUER" in caught.value.hint
    assert "IPP_AUDIENCE" in caught.value.hint
    by = build_authenticator(host=host, port=8_000, issuer=ISSUER, audience=AUDIENCE)
    assert isinstance(by, TokenAuthenticator)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_issuer_and_an_audience_go_together(host: str) -> None:
    with pytest.raises(InvalidInputError, match=r"IPP_ISSUER.*IPP_AUDIENCE"):
        build_authenticator(host=host, port=8_000, issuer=ISSUER)
    with pytest.raises(InvalidInputError, match=r"IPP_AUDIENCE.*IPP_ISSUER"):
        build_authenticator(host=host, port=8_000, audience=AUDIENCE)


def test_an_issuer_on_loopback_means_tokens() -> None:
    by = build_authenticator(host="127.0.0.1", port=8_000, issuer=ISSUER, audience=AUDIENCE)
    with pytest.raises(UnauthenticatedError, match=r"Falta identificarse.*Authorization"):
        caller_of(by, build_request(("host", "localhost:8000")))
