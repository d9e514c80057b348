"""An AWS, and the functions of a stack in it beside a Databricks that answers by a script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cloud import spark
from tests.cloud.aws import run_moto
from tests.cloud.functions import Functions
from tests.cloud.scripted_answers import Say, serve_script
from tests.cloud.stack import Stack, build_stack


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_moto(tmp_path_factory.mktemp("aws")) as address:
        yield address


@pytest.fixture(scope="session")
def spark_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Spark Connect server, for all stages that are run."""
    spark.needed()
    with spark.run_spark_server(tmp_path_factory.mktemp("spark")) as address:
        yield address


@pytest.fixture(scope="module")
def deployed(aws: str, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return build_stack(aws, tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def ask(deployed: Stack) -> Iterator[Functions]:
    with serve_script(Say(500)) as workspace, ExitStack() as started:
        yield Functions(deployed, workspace, started)


@pytest.fixture
def alone(aws: str, tmp_path: Path) -> Iterator[tuple[Stack, Functions]]:
    """A stack of one's own, for what looks at every job there is."""
    made = build_stack(aws, tmp_path)
    with serve_script(Say(500)) as workspace, ExitStack() as started:
        yield made, Functions(made, workspace, started)
