"""The three stages of a job: tables in, the core one mostrador at a time, tables and files out.

A stage reads what the one before it wrote and nothing else, so it may be run again at any time, after any
crash, and leaves the same rows. What computes them is a `ipp.pipeline.runners.runner.Runner`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from ipp.errors import NotFoundError
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import Runner
from ipp.pipeline.runners.stage_run import CounterFailure, ReportCounter, StageRun
from ipp.pipeline.stages.factor_stage import run_factor_stage
from ipp.pipeline.stages.normaliser_stage import run_normaliser_stage
from ipp.pipeline.stages.publication_stage import run_publication_stage
from ipp.storage.files.file_store import FileStore

_STAGE_NAMES: Final = ("normalizador", "factor", "publicacion")


@dataclass(frozen=True, slots=True)
class PipelineStage:
    """A stage by its ``name``; a mostrador that fails in it is left out from then on, and the others are done."""

    name: str
    compute: Callable[[JobSpec, Runner, StageRun], None]

    def __call__(
        self,
        spec: JobSpec,
        runner: Runner,
        progress: ReportCounter,
        *,
        only: Collection[int] | None = None,
    ) -> None:
        """Run the stage of a job, or of it ``only`` the mostradores that failed the last time.

        Raises `ipp.pipeline.runners.stage_run.AllFailedError` where no mostrador of the job is left.
        """
        asked = frozenset(spec.mostradores if only is None else only)
        work = StageRun(spec.job_id, self.name, spec.mostradores, asked, progress)
        before = _STAGE_NAMES.index(self.name) - 1
        if before >= 0:
            work.failures.update(read_failures(_STAGE_NAMES[before], spec, runner.files))
        self.compute(spec, runner, work)
        if self.name != _STAGE_NAMES[-1]:  # what it publishes tells of them, too
            _save_failures(spec, runner.files, self.name, work.failures)


STAGES: Final[Mapping[str, PipelineStage]] = {
    name: PipelineStage(name, compute)
    for name, compute in zip(
        _STAGE_NAMES, (run_normaliser_stage, run_factor_stage, run_publication_stage), strict=True
    )
}
"""The stages in order, by the name people read."""


def read_failures(stage: str, spec: JobSpec, files: FileStore) -> dict[int, CounterFailure]:
    """The mostradores that failed in ``stage``, which is not the last, or in one before it."""
    try:
        noted = json.loads(files.local_path(_failures_key(stage, spec)).read_text(encoding="utf-8"))
    except NotFoundError:  # an older version ran it, for which one failure was the whole job's
        return {}
    return {int(mostrador): CounterFailure(**failure) for mostrador, failure in noted.items()}


def _save_failures(
    spec: JobSpec, files: FileStore, stage: str, failures: Mapping[int, CounterFailure]
) -> None:
    noted = {str(mostrador): asdict(failure) for mostrador, failure in sorted(failures.items())}
    with files.write_object(_failures_key(stage, spec)) as path:
        path.write_text(json.dumps(noted, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _failures_key(stage: str, spec: JobSpec) -> str:
    return (spec.raw_key if stage == _STAGE_NAMES[0] else spec.processed_key)("fallas.json")


__all__ = ["STAGES", "PipelineStage", "read_failures"]
