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
from ipp.pipeline.runners.stage_run import Failure, Progress, Work
from ipp.pipeline.stages.factor_stage import round_job
from ipp.pipeline.stages.normaliser_stage import normalise_job
from ipp.pipeline.stages.publication_stage import publish_job
from ipp.storage.files.file_store import Files

_NAMES: Final = ("normalizador", "factor", "publicacion")


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage by its ``name``; a mostrador that fails in it is left out from then on, and the others are done."""

    name: str
    compute: Callable[[JobSpec, Runner, Work], None]

    def __call__(
        self, spec: JobSpec, runner: Runner, progress: Progress, *, only: Collection[int] | None = None
    ) -> None:
        """Run the stage of a job, or of it ``only`` the mostradores that failed the last time.

        Raises `ipp.pipeline.runners.stage_run.AllFailedError` where no mostrador of the job is left.
        """
        asked = frozenset(spec.mostradores if only is None else only)
        work = Work(spec.job_id, self.name, spec.mostradores, asked, progress)
        before = _NAMES.index(self.name) - 1
        if before >= 0:
            work.failures.update(failed_until(_NAMES[before], spec, runner.files))
        self.compute(spec, runner, work)
        if self.name != _NAMES[-1]:  # what it publishes tells of them, too
            _note(spec, runner.files, self.name, work.failures)


STAGES: Final[Mapping[str, Stage]] = {
    name: Stage(name, compute) for name, compute in zip(_NAMES, (normalise_job, round_job, publish_job), strict=True)
}
"""The stages in order, by the name people read."""


def failed_until(stage: str, spec: JobSpec, files: Files) -> dict[int, Failure]:
    """The mostradores that failed in ``stage``, which is not the last, or in one before it."""
    try:
        noted = json.loads(files.local(_notes(stage, spec)).read_text(encoding="utf-8"))
    except NotFoundError:  # an older version ran it, for which one failure was the whole job's
        return {}
    return {int(mostrador): Failure(**failure) for mostrador, failure in noted.items()}


def _note(spec: JobSpec, files: Files, stage: str, failures: Mapping[int, Failure]) -> None:
    noted = {str(mostrador): asdict(failure) for mostrador, failure in sorted(failures.items())}
    with files.writing(_notes(stage, spec)) as path:
        path.write_text(json.dumps(noted, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _notes(stage: str, spec: JobSpec) -> str:
    return (spec.raw if stage == _NAMES[0] else spec.processed)("fallas.json")


__all__ = ["STAGES", "Stage", "failed_until"]
