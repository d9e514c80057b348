"""What the template makes in an AWS, as that one's own services show it.

The AWS is moto's. Its stacks end as CREATE_COMPLETE whatever it made of them, so that no status is
looked at here. It leaves out of a table its expiry and recovery, of a bucket all but its name and
encryption, and it makes no user pool, no bucket policy and no alarm: those are held by what the
template says (test_template.py) and by what checkov looks for, and the user pool is made here by
the calls that CloudFormation makes for it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
import pytest

from ipp.jobs.dynamodb_table import create_table
from ipp.server.api.claims import caller_of_claims
from tests.cloud.aws import client_of, run_moto
from tests.cloud.stack import Stack
from tests.cloud.template import ROLE, Template, create_stack, role_statements

TEMPLATE = Template(
    {
        "Stage": "jul-dev",
        "ProtectData": "true",
        "DatabricksPrincipalArn": "arn:aws:iam::414351767826:role/unity",
        "DatabricksExternalId": "e-1",
    }
)
TABLE = "invenadro-backend-jul-dev-ipp-jobs"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with run_moto(tmp_path_factory.mktemp("aws")) as address:
        create_stack(address, TEMPLATE.parameters)
        yield Stack(address, "invenadro-backend-jul-dev", tmp_path_factory.mktemp("logs"))


class TestTable:
    def test_it_is_the_one_that_the_store_makes_for_itself(self, deployed: Stack) -> None:
        client = client_of(deployed.address, "dynamodb")
        create_table(client, "of-the-code")
        assert self.shape(client, TABLE) == self.shape(client, "of-the-code")

    def test_it_forgets_as_the_one_that_the_store_makes(self, deployed: Stack) -> None:
        client = client_of(deployed.address, "dynamodb")
        create_table(client, "of-the-code-too")
        expiry = client.describe_time_to_live(TableName="of-the-code-too")["TimeToLiveDescription"]
        said = TEMPLATE.properties("JobsTable")["TimeToLiveSpecification"]
        assert (said["AttributeName"], said["Enabled"]) == (expiry["AttributeName"], True)
        assert TEMPLATE.properties("JobsTable")["PointInTimeRecoverySpecification"] == {
            "PointInTimeRecoveryEnabled": True
        }

    def shape(self, client: Any, name: str) -> Mapping[str, Any]:
        table = client.describe_table(TableName=name)["Table"]
        return {
            "keys": table["KeySchema"],
            "attributes": sorted(
                (it["AttributeName"], it["AttributeType"]) for it in table["AttributeDefinitions"]
            ),
            "indexes": {
                index["IndexName"]: (index["KeySchema"], index["Projection"])
                for index in table["GlobalSecondaryIndexes"]
            },
            "paid": table["BillingModeSummary"]["BillingMode"],
        }


class TestBuckets:
    @pytest.mark.parametrize("bucket", ["RawBucket", "ProcessedBucket", "AccessLogsBucket"])
    def test_what_lies_in_one_is_encrypted(self, deployed: Stack, bucket: str) -> None:
        found = client_of(deployed.address, "s3").get_bucket_encryption(
            Bucket=TEMPLATE.properties(bucket)["BucketName"]
        )
        (rule,) = found["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_roles_say_what_was_read_of_them_here(deployed: Stack) -> None:
    """The other laws of roles read the template by a reader of ours; this AWS has its own."""
    iam = client_of(deployed.address, "iam")
    names = {it["RoleName"].split("-")[1]: it["RoleName"] for it in iam.list_roles()["Roles"]}
    names["DatabricksRole"] = names.pop("backend")
    roles = {
        name: role for name, role in TEMPLATE.of(ROLE).items() if name != "SchedulerRole"
    }  # it is of functions
    assert names.keys() == roles.keys()
    for role, properties in roles.items():
        document = iam.get_role_policy(RoleName=names[role], PolicyName="ipp")["PolicyDocument"]
        found = role_statements(
            {"Policies": [{"PolicyDocument": ast.literal_eval(document)}]}
        )  # its own way to write it
        ours = {it["Sid"]: it for it in role_statements(properties)}
        assert (
            ours.pop("Log", None) is not None or role == "DatabricksRole"
        )  # without the streams, in this AWS
        assert {it["Sid"]: it for it in found if it["Sid"] != "Log"} == ours


def test_events_that_were_given_up_are_encrypted_and_kept_for_two_weeks(deployed: Stack) -> None:
    sqs = client_of(deployed.address, "sqs")
    (url,) = sqs.list_queues()["QueueUrls"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (found["SqsManagedSseEnabled"], found["MessageRetentionPeriod"]) == ("true", "1209600")


@pytest.fixture(scope="module")
def cognito(deployed: Stack) -> Any:
    return client_of(deployed.address, "cognito-idp")


@pytest.fixture(scope="module")
def pool(cognito: Any) -> str:
    said = dict(TEMPLATE.properties("UserPool"))
    del said["EnabledMfas"]  # which CloudFormation sets by a call of its own
    made = cognito.create_user_pool(PoolName=said.pop("UserPoolName"), **said)
    return str(made["UserPool"]["Id"])


@pytest.fixture(scope="module")
def page(cognito: Any, pool: str) -> Mapping[str, Any]:
    said = {**TEMPLATE.properties("UserPoolClient"), "UserPoolId": pool}
    return dict(cognito.create_user_pool_client(**said)["UserPoolClient"])


def test_whoever_signs_in_is_who_they_are_called_and_of_their_group(
    cognito: Any, pool: str, page: Mapping[str, Any]
) -> None:
    who = {"UserPoolId": pool, "Username": "user@example.com"}
    attributes = {"email": "user@example.com", "name": "Usuaria"}
    cognito.admin_create_user(
        **who, UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()]
    )
    cognito.admin_set_user_password(**who, Password="Contrasena-123", Permanent=True)
    group = TEMPLATE.properties("AdminGroup")
    cognito.create_group(
        UserPoolId=pool, GroupName=group["GroupName"], Description=group["Description"]
    )
    cognito.admin_add_user_to_group(**who, GroupName=group["GroupName"])
    tokens = cognito.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=page["ClientId"],
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "user@example.com", "PASSWORD": "Contrasena-123"},
    )["AuthenticationResult"]
    claims = jwt.decode(
        tokens["IdToken"], options={"verify_signature": False}
    )  # API Gateway's part
    assert claims["aud"] == page["ClientId"]
    caller = caller_of_claims(claims)
    assert (caller.user.username, caller.user.email, caller.user.name) == (
        "user@example.com",
        "user@example.com",
        "Usuaria",
    )
    assert caller.admin
