"""The three stages as Databricks runs them: the entry points of the wheel, one for each task.

``ipp-normalise --job_id=JOB`` and its like; `StageSettings` lists the other arguments.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path

from ipp.entrypoints.spark_wiring import stage_runner
from ipp.jobs.job import Stage
from ipp.jobs.job_spec import load_spec
from ipp.pipeline.precomputed_export import precompute_exports
from ipp.pipeline.stages import run_stage
from ipp.settings import StageSettings


def run_normaliser() -> None:
    """Run Job 1."""
    run_task(Stage.NORMALISER, *_parse_arguments(sys.argv[1:]))


def run_factor() -> None:
    """Run the factor step."""
    run_task(Stage.FACTOR, *_parse_arguments(sys.argv[1:]))


def run_publication() -> None:
    """Run Job 2, and write the files that people download."""
    run_task(Stage.PUBLICATION, *_parse_arguments(sys.argv[1:]))


def run_task(stage: Stage, job_id: str, settings: StageSettings, run_id: str = "") -> None:
    """Run ``stage`` of a job, as the run ``run_id`` of the workspace.

    Errors are raised, so that the workspace shows their message. Raises `NotFoundError` if there is
    no such job.
    """
    with stage_runner(settings) as runner:
        spec = load_spec(job_id, runner.files).with_run(stage.value, run_id)
        run_stage(stage, spec, runner, lambda _mostrador: None)
        if stage is Stage.PUBLICATION:
            precompute_exports(spec, runner)


def _parse_arguments(arguments: Sequence[str]) -> tuple[str, StageSettings, str]:
    """Return the job id, settings and run id; missing or empty arguments get their default.

    Raises `InvalidInputError` for an argument that is not possible.
    """
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--job_id", required=True)
    parser.add_argument("--run_id")
    for setting in fields(StageSettings):
        parser.add_argument(
            f"--{setting.name}",
            type=Path if setting.name in {"files", "tables"} else str,
            required=setting.default is MISSING,
        )
    values = {
        name: value
        for name, value in vars(parser.parse_args(arguments)).items()
        if value not in {None, "", Path()}
    }
    job_id, run_id = values.pop("job_id"), values.pop("run_id", "")
    return job_id, StageSettings(**values), run_id
