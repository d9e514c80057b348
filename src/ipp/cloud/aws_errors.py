"""Translate boto3 errors into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from ipp.errors import UnavailableError


@contextmanager
def translate_aws_errors(
    what: str, *, hint: str = "Repita en un momento; si sigue, avise a quien opera IPP."
) -> Iterator[None]:
    """Raise boto3 errors as `UnavailableError`; ``what`` names the service, in Spanish."""
    try:
        yield
    except ClientError as error:
        raise UnavailableError(
            f"{what} no respondió ({error.response['Error']['Code']}).", hint=hint
        ) from error
    except (BotoCoreError, Boto3Error) as error:
        raise UnavailableError(
            f"{what} no respondió ({type(error).__name__}).", hint=hint
        ) from error
