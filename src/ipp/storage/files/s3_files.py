"""File store in S3, with a bucket for each first part of a key."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from ipp.cloud.aws_errors import translate_aws_errors
from ipp.errors import NotFoundError
from ipp.storage.files.atomic_file import replace_file
from ipp.storage.files.file_store import FileStore

_NOT_FOUND_CODES: Final = frozenset({"404", "NoSuchKey"})

_COPY_KEPT_SECONDS: Final = 600.0
"""Seconds for which the copy of an object is kept; its caller opens it at once."""

LINK_VALID_SECONDS: Final = 900
"""Validity of a download link, in seconds."""


class S3Files(FileStore):
    """`FileStore` in S3; the first part of a key selects the bucket.

    For example, ``ipp-raw/ipp-1/a`` is the object ``ipp-1/a`` in ``buckets["ipp-raw"]``.
    ``connect`` creates the boto3 client on first use and configures its timeouts and retries.
    Every call translates its errors into `UnavailableError`. Objects pass through ``folder``; a
    copy that was read stays there for some `_COPY_KEPT_SECONDS`.
    """

    def __init__(
        self, connect: Callable[[], Any], buckets: Mapping[str, str], folder: Path
    ) -> None:
        self._connect = connect
        self._buckets = dict(buckets)
        self._folder = folder
        self._connecting = threading.Lock()
        self._connected: Any = None

    @override
    @contextmanager
    def write_object(self, key: str) -> Iterator[Path]:
        bucket, name = self._bucket_and_name(key)
        self._folder.mkdir(parents=True, exist_ok=True)
        # Of its own, because another thread may be writing the same object.
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            path = Path(folder) / key.rpartition("/")[2]
            with replace_file(path) as partial:
                yield partial
            with translate_aws_errors("S3"):
                self._client.upload_file(str(path), bucket, name)

    @override
    def local_path(self, key: str) -> Path:
        """Download the object and return the path of the copy."""
        bucket, name = self._bucket_and_name(key)
        self._remove_old_copies()
        path = self._folder.joinpath(*key.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with translate_aws_errors("S3"):
            try:
                with replace_file(path) as partial:
                    self._client.download_file(bucket, name, str(partial))
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in _NOT_FOUND_CODES:
                    raise _not_found_error(key) from None
                raise
        return path

    @override
    def list_keys(self, prefix: str) -> Iterator[str]:
        top, _, rest = prefix.partition("/")
        if top not in self._buckets:
            return
        with translate_aws_errors("S3"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._buckets[top], Prefix=rest
            )
            for page in pages:
                yield from (f"{top}/{item['Key']}" for item in page.get("Contents", ()))

    @override
    def address(self, key: str) -> str:
        bucket, name = self._bucket_and_name(key)
        return f"s3://{bucket}/{name}"

    def presign_download(self, key: str, *, name: str, media_type: str) -> str | None:
        """Return a presigned URL that downloads the object as ``name``; None if it does not exist.

        It is valid for `LINK_VALID_SECONDS`.
        """
        bucket, object_name = self._bucket_and_name(key)
        with translate_aws_errors("S3"):
            try:
                self._client.head_object(Bucket=bucket, Key=object_name)
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in _NOT_FOUND_CODES:
                    return None
                raise
        parameters = {
            "Bucket": bucket,
            "Key": object_name,
            "ResponseContentDisposition": f'attachment; filename="{name}"',
            "ResponseContentType": media_type,
        }
        link: str = self._client.generate_presigned_url(
            "get_object", Params=parameters, ExpiresIn=LINK_VALID_SECONDS
        )
        return link

    @property
    def _client(self) -> Any:
        with self._connecting:  # boto3's default session is not made for several threads
            if self._connected is None:
                self._connected = self._connect()
            return self._connected

    def _bucket_and_name(self, key: str) -> tuple[str, str]:
        """Return the bucket and the name in it. Raises `NotFoundError` for an invalid key."""
        top, *rest = key.split("/")
        if top not in self._buckets or ".." in rest:
            raise _not_found_error(key)
        return self._buckets[top], "/".join(rest)

    def _remove_old_copies(self) -> None:
        """Remove the copies that nobody can still be opening."""
        oldest = time.time() - _COPY_KEPT_SECONDS
        for path in self._folder.glob("*/*/**/*"):
            # Another thread may be removing it too.
            with suppress(FileNotFoundError):
                if path.is_file() and path.stat().st_mtime < oldest:
                    path.unlink()


def _not_found_error(key: str) -> NotFoundError:
    return NotFoundError(f"No existe el archivo {key}.")
