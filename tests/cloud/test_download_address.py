"""Where a download address leads: a double of S3 answers to any host, a region to its own alone."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from ipp.entrypoints.aws_wiring import build_lambda_parts

BUCKET = "invenadro-backend-jul-dev-ipp-processed-123456789012"
REGIONS = sorted(boto3.session.Session().get_available_regions("s3"))


def test_regions_of_every_age_are_looked_at() -> None:
    assert {"us-east-1", "us-west-2", "mx-central-1"} <= set(REGIONS)


@pytest.mark.parametrize("region", REGIONS)
def test_a_download_is_signed_for_the_host_of_its_own_region(
    monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    """The names of the whole world lead into no region that was opened after March 2019."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    for name, value in ({"AWS_REGION": region, "AWS_DEFAULT_REGION": region} | credentials).items():
        monkeypatch.setenv(name, value)
    files = build_lambda_parts(
        {"IPP_JOBS_TABLE": "jobs", "IPP_RAW_BUCKET": "raw", "IPP_PROCESSED_BUCKET": BUCKET}
    ).files
    link = files._client.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "a/b"}
    )
    signed = urlsplit(link)
    assert (signed.scheme, signed.hostname) == ("https", f"{BUCKET}.s3.{region}.amazonaws.com")
    (scope,) = parse_qs(signed.query)["X-Amz-Credential"]
    assert scope.split("/")[2:] == [region, "s3", "aws4_request"]
