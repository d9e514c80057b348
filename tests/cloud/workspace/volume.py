"""Unity Catalog external volumes over S3: what a run sees as files are the buckets' objects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3
from botocore.config import Config

from tests.cloud.workspace.definition import Volumes
from tests.waiting import PATIENCE_SECONDS

_JOB = re.compile(r"[A-Za-z0-9_-]+")


class ExternalVolumes:
    """The objects of one job at a time: files while its process runs, objects before and after."""

    def __init__(self, volumes: Volumes) -> None:
        self._folder = Path(volumes.folder)
        self._buckets = volumes.buckets
        self._s3 = boto3.client(
            "s3",
            endpoint_url=volumes.endpoint,
            region_name="us-east-1",
            aws_access_key_id="volume",
            aws_secret_access_key="volume",
            config=Config(
                connect_timeout=PATIENCE_SECONDS,
                read_timeout=PATIENCE_SECONDS,
                retries={"total_max_attempts": 3},
                proxies={},
                max_pool_connections=20,
            ),
        )
        for name in self._buckets:
            (self._folder / name).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def mounted(self, job_id: str) -> Iterator[None]:
        """Expose the objects below ``job_id/`` as files in the block, then upload changed files."""
        if not _JOB.fullmatch(job_id):
            yield
            return
        for name, bucket in self._buckets.items():
            self._bring(bucket, self._folder / name, job_id)
        before = {name: _files(self._folder / name / job_id) for name in self._buckets}
        try:
            yield
        finally:
            for name, bucket in self._buckets.items():
                self._put(bucket, self._folder / name, job_id, before[name])

    def _bring(self, bucket: str, folder: Path, job_id: str) -> None:
        there = set()
        for page in self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=f"{job_id}/"
        ):
            for item in page.get("Contents", ()):
                path = folder / item["Key"]
                path.parent.mkdir(parents=True, exist_ok=True)
                self._s3.download_file(bucket, item["Key"], str(path))
                there.add(path)
        for path in _files(folder / job_id).keys() - there:
            path.unlink()

    def _put(
        self, bucket: str, folder: Path, job_id: str, before: dict[Path, tuple[int, int]]
    ) -> None:
        after = _files(folder / job_id)
        for path, seen in after.items():
            if before.get(path) != seen:
                with suppress(FileNotFoundError):  # where a run is stopped, Spark still tidies up
                    self._s3.upload_file(str(path), bucket, path.relative_to(folder).as_posix())
        for path in before.keys() - after.keys():
            self._s3.delete_object(Bucket=bucket, Key=path.relative_to(folder).as_posix())


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    """The files below a folder, each with what changes when it is written."""
    found = {}
    for below, _, names in os.walk(folder):
        for name in names:
            path = Path(below, name)
            with suppress(FileNotFoundError):
                seen = path.stat()
                found[path] = (seen.st_size, seen.st_mtime_ns)
    return found
