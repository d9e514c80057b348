"""A container engine with a store of its own, and containers as compose.yaml describes them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # its types are no dependency of ours

ROOT: Final = Path(__file__).parents[2]

STORE: Final = ROOT / "dist" / "image"
"""What engine and bootstrap leave, so that a second run builds only what has changed."""

BASE: Final = "localhost/python:bookworm"
"""The base as Debian has it: no registry of images is asked."""

IMAGE: Final = "localhost/ipp:test"

_NEEDED_COMMANDS: Final = ("podman", "runc", "mmdebstrap", "caddy")

_ULIMITS: Final = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
"""Below the engine's own, which a machine may not allow."""


def why_not() -> str:
    """Return why no container can run here; empty if one can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "only root builds a root file system here"
    missing = [command for command in _NEEDED_COMMANDS if shutil.which(command) is None]
    return f"{', '.join(missing)} not installed: tests/image/install" if missing else ""


def podman(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the engine over the store."""
    store = ("--root", str(STORE / "store"), "--runroot", "/run/ipp-image", "--runtime", "runc")
    ended = subprocess.run(
        ["podman", *store, *arguments], check=False, capture_output=True, text=True
    )
    assert not check or ended.returncode == 0, f"{arguments}: {ended.stdout}\n{ended.stderr}"
    return ended


def build_image(commit: str) -> None:
    """Build the image as the Dockerfile says, over Debian's Python."""
    if podman("image", "exists", BASE, check=False).returncode:
        _import_base()
    podman(
        "build", "--quiet", "--format", "docker", "--network", "host", *_ULIMITS,
        "--build-arg", f"PYTHON_IMAGE={BASE}", "--build-arg", f"COMMIT={commit}",
        "--tag", IMAGE, str(ROOT),
    )  # fmt: skip


def _import_base() -> None:
    """Bootstrap the Debian of the Dockerfile's base, with a ``python`` where that has one."""
    (debian,) = re.findall(r"^ARG PYTHON_IMAGE=python:.*-slim-(\w+)$", dockerfile(), re.MULTILINE)
    archive = STORE / "base.tar"
    STORE.mkdir(parents=True, exist_ok=True)
    # Downloads of the build pass through this machine's proxy, if any, whose authority is ours.
    authorities = "/etc/ssl/certs/ca-certificates.crt"
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--variant=minbase", "--mode=root",
            "--include=python3,python3-venv,ca-certificates", "--dpkgopt=force-unsafe-io",
            '--customize-hook=ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
            f'--customize-hook=cp {authorities} "$1{authorities}"',
            debian, str(archive),
        ],
        check=True,
    )  # fmt: skip
    podman("import", "--quiet", str(archive), BASE)
    archive.unlink()


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def composed(service: str) -> dict[str, Any]:
    """Return a service of compose.yaml, without its variables' defaults filled in."""
    described = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    found: dict[str, Any] = described["services"][service]
    return found


def options(service: str) -> list[str]:
    """Return the engine's options for what compose.yaml restricts a service to."""
    described = composed(service)
    assert described["read_only"]
    assert described["init"]
    memory = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", described["mem_limit"])
    security = [name.removesuffix(":true") for name in described["security_opt"]]
    return [
        "--read-only", "--read-only-tmpfs=false", "--init", "--memory", memory,
        "--pids-limit", str(described["pids_limit"]),
        *(word for name in described["cap_drop"] for word in ("--cap-drop", name)),
        *(word for name in security for word in ("--security-opt", name)),
        *(word for mount in described["tmpfs"] for word in ("--tmpfs", mount)),
    ]  # fmt: skip


class Container:
    """A container over the volume ``data``, as restricted as the service ``service``."""

    def __init__(self, name: str, service: str, data: str) -> None:
        self.name = name
        self._service = service
        self._data = data

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None, network: str = "host"
    ) -> None:
        """Start it in the background; no argument is the image's own command."""
        podman("run", "--detach", *self._words(network, environment or {}), IMAGE, *arguments)

    def start_again(self) -> None:
        podman("start", self.name)

    def stop(self) -> int:
        """Ask it to end as the image says, within compose.yaml's time; its exit status."""
        seconds = composed(self._service)["stop_grace_period"].removesuffix("s")
        podman("stop", "--time", seconds, self.name)
        return self.status()

    def kill(self) -> None:
        podman("kill", self.name)

    def status(self) -> int:
        return int(podman("wait", self.name).stdout)

    def execute(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return podman("exec", self.name, *arguments, check=False)

    def is_healthy(self) -> bool:
        """Run the image's own health check."""
        return podman("healthcheck", "run", self.name, check=False).returncode == 0

    def log(self) -> str:
        ended = podman("logs", self.name)
        return ended.stdout + ended.stderr

    def remove(self) -> None:
        podman("rm", "--force", "--time", "0", self.name, check=False)

    def _words(self, network: str, environment: Mapping[str, str]) -> list[str]:
        variables = (f"{name}={value}" for name, value in environment.items())
        return [
            "--name", self.name, "--network", network, "--volume", f"{self._data}:/data", *_ULIMITS,
            *options(self._service), *(word for said in variables for word in ("--env", said)),
        ]  # fmt: skip


def run_command(data: str, *arguments: str) -> str:
    """Run a command in a container of its own over ``data``; what it printed."""
    restricted = (*options("worker"), "--network", "none", *_ULIMITS)
    return podman("run", "--rm", *restricted, "--volume", f"{data}:/data", IMAGE, *arguments).stdout


@contextmanager
def run_container(
    name: str,
    service: str,
    data: str,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    network: str = "host",
) -> Iterator[Container]:
    """Run a container while the block lasts."""
    container = Container(name, service, data)
    container.remove()
    container.run(*arguments, environment=environment, network=network)
    try:
        yield container
    finally:
        container.remove()


def inspect_image() -> dict[str, Any]:
    (described,) = json.loads(podman("image", "inspect", IMAGE).stdout)
    found: dict[str, Any] = described
    return found
