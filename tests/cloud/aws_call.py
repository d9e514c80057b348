"""Record the calls that a program makes to AWS, and the permissions that IAM would ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.cloud.aws import REGION
from tests.cloud.template import ACCOUNT

Permission = tuple[str, str]
"""An action, and the resource it is for."""

_RECORDER: Final = """
import json, os, sys
import boto3
{imports}
NAMES = ("TableName", "IndexName", "RequestItems", "Bucket", "Key", "SecretId")
def record(params, model, **_):
    with open(os.environ["NOTES"], "a") as notes:
        call = [model.name, {{name: params[name] for name in NAMES if name in params}}]
        print(json.dumps(call), file=notes)
boto3.setup_default_session()
boto3.DEFAULT_SESSION.events.register("before-parameter-build", record)
{run}
"""


def recording_program(imports: str, run: str) -> str:
    """Return Python that records calls to AWS in the file NOTES while the line ``run`` runs.

    ``imports`` are its imports, executed before AWS's session is set up. A presigned URL counts as
    a call.
    """
    return _RECORDER.format(imports=imports, run=run)


def read_permissions(notes: Path) -> set[Permission]:
    """Return what IAM is asked for by the recorded calls."""
    calls = map(json.loads, notes.read_text(encoding="utf-8").splitlines())
    return {asked for operation, given in calls for asked in required_permissions(operation, given)}


def required_permissions(operation: str, given: Mapping[str, Any]) -> set[Permission]:
    """Return what IAM is asked for when a client calls an operation."""
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{given.get('TableName')}"
    bucket = f"arn:aws:s3:::{given.get('Bucket')}"
    match operation:
        case "BatchGetItem":
            (name,) = given["RequestItems"]
            return {("dynamodb:BatchGetItem", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}")}
        case "Query":
            return {("dynamodb:Query", f"{table}/index/{given['IndexName']}")}
        case "GetItem" | "PutItem" | "UpdateItem":
            return {(f"dynamodb:{operation}", table)}
        case "HeadObject" | "ListObjectsV2":
            # HeadObject has no action of its own; without ListBucket, what is missing is forbidden.
            named = {("s3:GetObject", f"{bucket}/{given['Key']}")} if "Key" in given else set()
            return {*named, ("s3:ListBucket", bucket)}
        case "GetObject" | "PutObject":
            return {(f"s3:{operation}", f"{bucket}/{given['Key']}")}
        case "GetSecretValue":
            secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{given['SecretId']}-AbCdEf"
            return {("secretsmanager:GetSecretValue", secret)}
    raise AssertionError(f"{operation} is not expected")


def covers(pattern: str, text: str) -> bool:
    """Return whether IAM takes a pattern, of which * is any text and ? one sign, for a name."""
    plain = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(plain, text) is not None
