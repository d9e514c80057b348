"""The three stages of a job: read tables, compute some counters at a time, write tables and files.

A stage is idempotent: it reads only what the previous one wrote, so it can be run again at any
time, also after a crash, with the same result. A `ipp.pipeline.runners.runner.Runner` computes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final

from ipp.errors import NotFoundError
from ipp.jobs.job import Stage
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import Runner
from ipp.pipeline.runners.stage_execution import CounterFailure, ReportCounter, StageExecution
from ipp.pipeline.stages.factor_stage import run_factor_stage
from ipp.pipeline.stages.normaliser_stage import run_normaliser_stage
from ipp.pipeline.stages.publication_stage import run_publication_stage
from ipp.storage.files.file_store import FileStore

_COMPUTATIONS: Final[Mapping[Stage, Callable[[JobSpec, Runner, StageExecution], None]]] = {
    Stage.NORMALISER: run_normaliser_stage,
    Stage.FACTOR: run_factor_stage,
    Stage.PUBLICATION: run_publication_stage,
}

_STAGE_ORDER: Final = tuple(_COMPUTATIONS)


def run_stage(stage: Stage, spec: JobSpec, runner: Runner, progress: ReportCounter) -> None:
    """Run a stage for all counters of a job, or for those of them that it retries.

    A counter that fails is skipped from then on, the others continue. Raises
    `ipp.pipeline.runners.stage_execution.AllFailedError` if no counter of the job is left.
    """
    asked = frozenset(spec.computed_counters)
    work = StageExecution(spec.job_id, stage.value, spec.mostradores, asked, progress)
    if stage is not _STAGE_ORDER[0]:
        before = _STAGE_ORDER[_STAGE_ORDER.index(stage) - 1]
        work.failures.update(read_failures(before, spec, runner.files))
    _COMPUTATIONS[stage](spec, runner, work)
    if stage is not _STAGE_ORDER[-1]:  # The last stage publishes the failures as a table.
        _save_failures(spec, runner.files, stage, work.failures)


def read_failures(stage: Stage, spec: JobSpec, files: FileStore) -> dict[int, CounterFailure]:
    """Return the counters that failed in ``stage``, not the last one, or in an earlier stage."""
    try:
        failures = json.loads(
            files.local_path(_failures_key(stage, spec)).read_text(encoding="utf-8")
        )
    except NotFoundError:  # Written by an older version, which failed the whole job instead.
        return {}
    return {int(mostrador): CounterFailure(**failure) for mostrador, failure in failures.items()}


def _save_failures(
    spec: JobSpec, files: FileStore, stage: Stage, failures: Mapping[int, CounterFailure]
) -> None:
    document = {str(mostrador): asdict(failure) for mostrador, failure in sorted(failures.items())}
    with files.write_object(_failures_key(stage, spec)) as path:
        path.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _failures_key(stage: Stage, spec: JobSpec) -> str:
    return (spec.raw_key if stage is Stage.NORMALISER else spec.processed_key)("fallas.json")
