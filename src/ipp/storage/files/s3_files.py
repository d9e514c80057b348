"""Objects in S3: a bucket for each first part of a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ipp.cloud.aws_errors import translate_aws_errors
from ipp.errors import NotFoundError
from ipp.storage.files.atomic_file import replace_file

_NOT_FOUND_CODES: Final = frozenset({"404", "NoSuchKey"})

LINK_VALID_SECONDS: Final = 900
"""Seconds that a link can be used."""


class S3Files:
    """`Files` in ``buckets``, by the first part of a key: ``ipp-raw/ipp-1/a`` is ``ipp-1/a`` in ``buckets["ipp-raw"]``.

    ``connect`` makes boto3's client when it is first needed; how long a call takes and how often it is repeated is that
    one's to say. Every call raises `UnavailableError` for its errors. What is written or read passes through
    ``folder``.
    """

    def __init__(
        self, connect: Callable[[], Any], buckets: Mapping[str, str], folder: Path
    ) -> None:
        self._connect = connect
        self._buckets = dict(buckets)
        self._folder = folder

    @contextmanager
    def write_object(self, key: str) -> Iterator[Path]:
        """Give a path to write to; the object appears under ``key`` when the block ends without an error."""
        bucket, name = self._bucket_and_name(key)
        path = self._temporary_path(key)
        with replace_file(path) as partial:
            yield partial
        with translate_aws_errors("S3"):
            self._client.upload_file(str(path), bucket, name)
        path.unlink()

    def local_path(self, key: str) -> Path:
        """A path to read the object from, as it is now."""
        bucket, name = self._bucket_and_name(key)
        path = self._temporary_path(key)
        with translate_aws_errors("S3"):
            try:
                with replace_file(path) as partial:
                    self._client.download_file(bucket, name, str(partial))
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in _NOT_FOUND_CODES:
                    raise _not_found_error(key) from None
                raise
        return path

    def list_keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with ``prefix``, sorted."""
        top, _, rest = prefix.partition("/")
        if top not in self._buckets:
            return
        with translate_aws_errors("S3"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._buckets[top], Prefix=rest
            )
            for page in pages:
                yield from (f"{top}/{item['Key']}" for item in page.get("Contents", ()))

    def address(self, key: str) -> str:
        """Where a person finds the object."""
        bucket, name = self._bucket_and_name(key)
        return f"s3://{bucket}/{name}"

    def presign_download(self, key: str, *, name: str, media_type: str) -> str | None:
        """An address from which whoever has it may fetch the object for a while, as ``name``; None where it is not."""
        bucket, place = self._bucket_and_name(key)
        with translate_aws_errors("S3"):
            try:
                self._client.head_object(Bucket=bucket, Key=place)
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in _NOT_FOUND_CODES:
                    return None
                raise
        given = {
            "Bucket": bucket,
            "Key": place,
            "ResponseContentDisposition": f'attachment; filename="{name}"',
            "ResponseContentType": media_type,
        }
        link: str = self._client.generate_presigned_url(
            "get_object", Params=given, ExpiresIn=LINK_VALID_SECONDS
        )
        return link

    @cached_property
    def _client(self) -> Any:
        return self._connect()

    def _bucket_and_name(self, key: str) -> tuple[str, str]:
        """The bucket and the name in it. Raises `NotFoundError` for a key that leads nowhere."""
        top, *rest = key.split("/")
        if top not in self._buckets or ".." in rest:
            raise _not_found_error(key)
        return self._buckets[top], "/".join(rest)

    def _temporary_path(self, key: str) -> Path:
        path = self._folder.joinpath(*key.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _not_found_error(key: str) -> NotFoundError:
    return NotFoundError(f"No existe el archivo {key}.")
