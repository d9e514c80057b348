"""The three stages of a job: read tables, compute counter by counter, write tables and files.

A stage is idempotent: it reads only what the previous one wrote, so it can be run again at any
time, also after a crash, with the same result. A `ipp.pipeline.runners.runner.Runner` computes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from ipp.errors import NotFoundError
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import Runner
from ipp.pipeline.runners.stage_execution import CounterFailure, ReportCounter, StageExecution
from ipp.pipeline.stages.factor_stage import run_factor_stage
from ipp.pipeline.stages.normaliser_stage import run_normaliser_stage
from ipp.pipeline.stages.publication_stage import run_publication_stage
from ipp.storage.files.file_store import FileStore

_STAGE_NAMES: Final = ("normalizador", "factor", "publicacion")


@dataclass(frozen=True, slots=True)
class PipelineStage:
    """A named stage; a counter that fails in it is skipped from then on, the others continue."""

    name: str
    compute: Callable[[JobSpec, Runner, StageExecution], None]

    def __call__(
        self,
        spec: JobSpec,
        runner: Runner,
        progress: ReportCounter,
        *,
        only: Collection[int] | None = None,
    ) -> None:
        """Run the stage for a job, or for ``only`` the counters that failed last time.

        Raises `ipp.pipeline.runners.stage_execution.AllFailedError` if no counter of the job is left.
        """
        requested = frozenset(spec.mostradores if only is None else only)
        work = StageExecution(spec.job_id, self.name, spec.mostradores, requested, progress)
        before = _STAGE_NAMES.index(self.name) - 1
        if before >= 0:
            work.failures.update(read_failures(_STAGE_NAMES[before], spec, runner.files))
        self.compute(spec, runner, work)
        if self.name != _STAGE_NAMES[-1]:  # The last stage publishes the failures as a table.
            _save_failures(spec, runner.files, self.name, work.failures)


STAGES: Final[Mapping[str, PipelineStage]] = {
    name: PipelineStage(name, compute)
    for name, compute in zip(
        _STAGE_NAMES, (run_normaliser_stage, run_factor_stage, run_publication_stage), strict=True
    )
}
"""The stages in order, by their Spanish name."""


def read_failures(stage: str, spec: JobSpec, files: FileStore) -> dict[int, CounterFailure]:
    """Return the counters that failed in ``stage``, not the last one, or in an earlier stage."""
    try:
        failures = json.loads(
            files.local_path(_failures_key(stage, spec)).read_text(encoding="utf-8")
        )
    except NotFoundError:  # Written by an older version, which failed the whole job instead.
        return {}
    return {int(mostrador): CounterFailure(**failure) for mostrador, failure in failures.items()}


def _save_failures(
    spec: JobSpec, files: FileStore, stage: str, failures: Mapping[int, CounterFailure]
) -> None:
    document = {str(mostrador): asdict(failure) for mostrador, failure in sorted(failures.items())}
    with files.write_object(_failures_key(stage, spec)) as path:
        path.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _failures_key(stage: str, spec: JobSpec) -> str:
    return (spec.raw_key if stage == _STAGE_NAMES[0] else spec.processed_key)("fallas.json")


__all__ = ["STAGES", "PipelineStage", "read_failures"]
