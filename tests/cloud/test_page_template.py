"""The template of the page on Fargate: what runs, who reaches it, and what it may do."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ipp.cli.serve_command import serve
from ipp.core.tables import RESULTS
from ipp.entrypoints.cloud_server import KEEP_ALIVE_SECONDS
from ipp.jobs.job import JobStatus
from ipp.server.api.claims import Role
from ipp.server.api.event_stream import KEEPALIVE_SECONDS
from ipp.settings import CloudSettings, WebSettings, check_cloud_server
from tests.cloud.aws import REGION, client_of
from tests.cloud.aws_call import Permission, covers, read_permissions, recording_program
from tests.cloud.scripted_answers import Say, Scripted, serve_script
from tests.cloud.stack import STARTED, TO_START, USER, Stack, build_stack, run_in, statement_answer
from tests.cloud.template import ACCOUNT, ROLE, Template, load_template, role_statements
from tests.contract.warehouses import build_results
from tests.e2e.server import Server
from tests.unit.server.api.callers import AUDIENCE
from tests.unit.server.web.oidc_issuer import PretendIssuer, run_issuer

PAGE = Path(__file__).parents[2] / "infra" / "page.yaml"
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "pagina-en-aws.md"

GIVEN = {
    "Stage": "jul-dev",
    "Image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/ipp:abc",
    "RepositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/ipp",
    "Domain": "ipp.example.mx",
    "CertificateArn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1",
    "VpcId": "vpc-1",
    "LoadBalancerSubnets": "subnet-1",
    "TaskSubnets": "subnet-2",
    "CallersCidr": "10.0.0.0/8",
    "UserPoolId": f"{REGION}_abc",
    "UserPoolClientId": "client-1",
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
    "DatabricksWorkspaceUrl": "https://adb-1.example",
    "DatabricksJob1Id": "789",
    "DatabricksFactorJobId": "790",
    "DatabricksJob2Id": "791",
    "DatabricksWarehouseId": "abc",
}

OF_AWS = {"JobsTable": "JobsTable", "RawBucket": "RawBucket", "ProcessedBucket": "ProcessedBucket"}
"""Parameters that are outputs of the other stack, by the name of the output."""

RECORDING = recording_program("from ipp.cli import main", "main()")
"""The command line, which records its calls to AWS."""


def template(**parameters: str) -> Template:
    names = {name: f"stage-{name.lower()}" for name in OF_AWS}
    return Template({**GIVEN, **names, **parameters}, PAGE)


def container(**parameters: str) -> Mapping[str, Any]:
    (only,) = template(**parameters).properties("Task")["ContainerDefinitions"]
    found: Mapping[str, Any] = only
    return found


def environment(**parameters: str) -> dict[str, str]:
    """Return the variables of the task."""
    return {each["Name"]: str(each["Value"]) for each in container(**parameters)["Environment"]}


class TestTask:
    def test_it_serves_over_aws_where_the_load_balancer_asks(self) -> None:
        command = container()["Command"]
        assert command == ["serve", "--nube", "--host", "0.0.0.0", "--port", "8000"]
        assert "nube" in (serve.__kwdefaults__ or {})
        target = template().properties("Targets")
        (port,) = container()["PortMappings"]
        assert {int(command[-1]), target["Port"], port["ContainerPort"]} == {8000}
        assert target["HealthCheckPath"] == "/healthz"

    def test_it_has_the_variables_that_the_code_reads_and_no_other(self) -> None:
        class Read(dict[str, str]):
            def get(self, name: str, default: Any = None) -> Any:
                asked.add(name)
                return super().get(name, default)

        asked: set[str] = set()
        variables = environment()
        check_cloud_server(variables)
        CloudSettings.from_environment(Read({**variables, "DATABRICKS_SECRET": ""}), str)
        WebSettings.from_environment(Read(variables))
        ours = {name for name in variables if name.startswith(("IPP_", "DATABRICKS_"))}
        assert ours <= asked
        optional = {"IPP_JWKS_URL", "IPP_CLIENT_SECRET", "IPP_ORIGINS"}
        credentials = {f"DATABRICKS_{it}" for it in ("ACCESS_TOKEN", "CLIENT_ID", "CLIENT_SECRET")}
        assert asked - ours == optional | credentials

    def test_no_credential_is_a_parameter_or_a_variable(self) -> None:
        assert (
            environment()["DATABRICKS_SECRET"] == "secretsmanager:invenadro-backend/ipp-databricks"
        )
        assert not [
            name
            for name in (*load_template(PAGE)["Parameters"], *environment())
            if re.search("token|password|client_secret|secret(?!name|$)", name, re.I)
        ]

    def test_people_sign_in_at_the_pool_of_the_other_stack(self) -> None:
        issuer = f"https://cognito-idp.{REGION}.amazonaws.com/{GIVEN['UserPoolId']}"
        assert environment()["IPP_ISSUER"] == issuer
        assert environment()["IPP_AUDIENCE"] == GIVEN["UserPoolClientId"]
        outputs = {
            name: template().resolved(it["Value"])
            for name, it in load_template(PAGE)["Outputs"].items()
        }
        assert outputs["CallbackUrl"] == "https://ipp.example.mx/entrada"
        assert outputs["LogoutUrl"] == "https://ipp.example.mx/salir"

    def test_it_is_no_root_user_and_writes_to_one_folder_that_passes(self) -> None:
        said = container()
        assert said["ReadonlyRootFilesystem"] is True
        assert said["Privileged"] is False
        assert said["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert int(said["User"].partition(":")[0]) > 0
        (mounted,) = said["MountPoints"]
        assert mounted["ContainerPath"] == environment()["TMPDIR"]
        (volume,) = template().properties("Task")["Volumes"]
        assert volume == {"Name": mounted["SourceVolume"]}, (
            "it is on no disk that outlives the task"
        )

    def test_its_log_is_kept_for_a_while_and_stops_nobody(self) -> None:
        options = container()["LogConfiguration"]["Options"]
        logs = template().properties("Logs")
        assert (options["awslogs-group"], logs["RetentionInDays"]) == (logs["LogGroupName"], 30)
        assert options["mode"] == "non-blocking"

    def test_one_task_is_replaced_by_one_that_answers_or_stays(self) -> None:
        service = template().properties("Service")
        deployment = service["DeploymentConfiguration"]
        assert service["DesiredCount"] == 1
        assert deployment["MinimumHealthyPercent"] == 100
        assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


class TestWayIn:
    def test_it_speaks_https_alone(self) -> None:
        listeners = template().of("AWS::ElasticLoadBalancingV2::Listener").values()
        assert [(it["Protocol"], it["Port"]) for it in listeners] == [("HTTPS", 443)]
        assert [it["Certificates"] for it in listeners] == [
            [{"CertificateArn": GIVEN["CertificateArn"]}]
        ]
        (way,) = template().properties("LoadBalancerGroup")["SecurityGroupIngress"]
        assert (way["FromPort"], way["ToPort"], way["CidrIp"]) == (443, 443, "10.0.0.0/8")

    def test_the_load_balancer_alone_reaches_the_task_and_reaches_nothing_else(self) -> None:
        (way,) = template().properties("TaskGroup")["SecurityGroupIngress"]
        assert way["SourceSecurityGroupId"] == "LoadBalancerGroup"
        assert "CidrIp" not in way
        on = template().properties("LoadBalancerToTask")
        assert (on["GroupId"], on["DestinationSecurityGroupId"], on["FromPort"]) == (
            "LoadBalancerGroup", "TaskGroup", 8000,
        )  # fmt: skip
        (nowhere,) = template().properties("LoadBalancerGroup")["SecurityGroupEgress"]
        assert nowhere["CidrIp"] == "127.0.0.1/32"

    def test_a_silent_stream_outlasts_the_load_balancer_and_the_task_the_connections(self) -> None:
        attributes = template().properties("LoadBalancer")["LoadBalancerAttributes"]
        idle = {it["Key"]: it["Value"] for it in attributes}["idle_timeout.timeout_seconds"]
        assert 4 * KEEPALIVE_SECONDS <= int(idle) < KEEP_ALIVE_SECONDS

    def test_the_name_is_made_where_the_zone_is_known(self) -> None:
        assert not template().of("AWS::Route53::RecordSet")
        (name,) = template(HostedZoneId="Z1").of("AWS::Route53::RecordSet").values()
        assert name["Name"] == GIVEN["Domain"]


def test_a_job_that_the_page_sees_fail_is_counted_where_the_other_stack_looks() -> None:
    other = Template({"Stage": GIVEN["Stage"]})
    name = "POWERTOOLS_SERVICE_NAME"
    assert environment()[name] == other.environment[name]


def test_somebody_is_told_of_each_alarm() -> None:
    alarms = template().of("AWS::CloudWatch::Alarm")
    assert {it["MetricName"] for it in alarms.values()} >= {
        "UnHealthyHostCount",
        "HealthyHostCount",
    }
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [GIVEN["AlarmTopicArn"]]
        assert [it["Name"] for it in alarm["Dimensions"]] == ["LoadBalancer", "TargetGroup"]


def test_every_parameter_has_a_place_where_it_is_asked_for() -> None:
    content = load_template(PAGE)
    groups = content["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [parameter for group in groups for parameter in group["Parameters"]]
    assert sorted(grouped) == sorted(content["Parameters"])


def test_the_guide_sets_every_parameter_without_a_default() -> None:
    parameters = load_template(PAGE)["Parameters"]
    (block,) = re.findall(
        r"--parameter-overrides.*?```", GUIDE.read_text(encoding="utf-8"), re.DOTALL
    )
    given = set(re.findall(r"(\w+)=", block))
    assert given <= set(parameters)
    assert {name for name, it in parameters.items() if "Default" not in it} <= given
    outputs = set(re.findall(r"\(output (\w+)\)", block))
    assert outputs <= set(load_template()["Outputs"])


def test_what_it_shares_is_what_the_other_stack_tells() -> None:
    outputs = load_template()["Outputs"]
    assert {*OF_AWS.values(), "UserPoolId", "UserPoolClientId", "Alarms"} <= set(outputs)


@pytest.fixture(scope="module")
def issuer() -> Iterator[PretendIssuer]:
    with run_issuer() as made:
        yield made


class Watched:
    """A server with the variables of the task; ``asked`` is what its calls ask IAM for."""

    def __init__(self, stack: Stack, workspace: Scripted, server: Server, notes: Path) -> None:
        self.stack, self.workspace, self.server, self._notes = stack, workspace, server, notes

    @property
    def asked(self) -> set[Permission]:
        return read_permissions(self._notes)


@pytest.fixture
def watched(aws: str, issuer: PretendIssuer, tmp_path: Path) -> Iterator[Watched]:
    stack, notes = build_stack(aws, tmp_path), tmp_path / "calls.jsonl"
    name = f"databricks-{stack.name}"
    client_of(aws, "secretsmanager").create_secret(Name=name, SecretString="dapi-1")
    with serve_script(Say(500)) as workspace:
        here = {"DATABRICKS_WORKSPACE_URL": workspace.url, "IPP_ISSUER": issuer.url}
        own = {"IPP_AUDIENCE": AUDIENCE, "NOTES": str(notes), "IPP_MAX_JOBS": "2"}
        names = {
            parameter: stack.settings("")[variable]
            for parameter, variable in {
                "JobsTable": "IPP_JOBS_TABLE",
                "RawBucket": "IPP_RAW_BUCKET",
                "ProcessedBucket": "IPP_PROCESSED_BUCKET",
            }.items()
        }
        variables = environment(**names, DatabricksSecretName=name)
        environ = stack.settings("") | variables | here | own | {"TMPDIR": str(tmp_path)}
        server = Server(
            tmp_path / "home", environ, "--nube", program=[sys.executable, "-c", RECORDING]
        )
        server.start()
        try:
            yield Watched(stack, workspace, server, notes)
        finally:
            server.stop()


def do_everything(watched: Watched, issuer: PretendIssuer) -> None:
    """Make the requests after which the server has called all that it may."""
    stack, script = watched.stack, watched.workspace.script
    ana = {"Authorization": f"Bearer {issuer.token_of(USER.sub)}"}
    admin = {"Authorization": f"Bearer {issuer.token_of('jefa', Role.ADMIN)}"}
    with httpx2.Client(base_url=watched.server.address, timeout=60, headers=ana) as client:
        script[:] = list(TO_START)
        body = {"mostradores": ["7051602", "7051603"]}
        assert (
            client.post("/ipp/start", json=body, headers={"Idempotency-Key": "a"}).status_code
            == 202
        )
        running = stack.put(JobStatus.JOB1_RUNNING, running="4711")
        script[:] = [*TO_START]
        assert client.post("/ipp/start", json=body).status_code == 429, "it has its two"
        script[:] = [run_in("RUNNING")]
        assert client.get(f"/ipp/status/{running.job_id}").status_code == 200
        for caller in (ana, admin):
            assert client.get("/ipp/jobs", headers=caller).status_code == 200
        assert client.get("/metrics", headers=admin).status_code == 200
        script[:] = [STARTED]
        assert client.post(f"/ipp/jobs/{running.job_id}/cancel").status_code == 200
        done = stack.put(JobStatus.COMPLETED)
        assert client.get(f"/ipp/results/{done.job_id}/download").status_code == 404
        (row, *_) = build_results(1)
        labelled = {label: row[name] for label, name in RESULTS.names.items()}
        script[:] = [statement_answer([json.dumps(labelled, default=str)])]
        address = f"/procesos/{done.job_id}/resultados/7051602/productos/1"
        assert client.get(address, headers={"HX-Request": "true"}).status_code == 200


def test_the_task_may_what_the_server_asks_for_and_nothing_else(
    watched: Watched, issuer: PretendIssuer
) -> None:
    do_everything(watched, issuer)
    settings = watched.stack.settings("")
    mine = template(
        JobsTable=settings["IPP_JOBS_TABLE"],
        RawBucket=settings["IPP_RAW_BUCKET"],
        ProcessedBucket=settings["IPP_PROCESSED_BUCKET"],
        DatabricksSecretName=f"databricks-{watched.stack.name}",
    )
    granted = {
        (action, resource)
        for statement in role_statements(mine.properties("TaskRole"))
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    asked = watched.asked
    refused = [
        one for one in asked if not any(one[0] == g and covers(p, one[1]) for g, p in granted)
    ]
    assert not refused
    idle = {
        (given, pattern)
        for given, pattern in granted
        if not any(action == given and covers(pattern, resource) for action, resource in asked)
    }
    assert not idle


@pytest.mark.parametrize("role", template().of(ROLE))
def test_no_action_is_every_one_and_no_resource_but_of_what_knows_none(role: str) -> None:
    properties = template().properties(role)
    assert "ManagedPolicyArns" not in properties
    for statement in role_statements(properties):
        assert not [action for action in statement["Action"] if "*" in action]
        if statement["Action"] != ["ecr:GetAuthorizationToken"]:
            for resource in statement["Resource"]:
                named = re.sub(
                    r"^arn:aws:logs:[^*]+:log-group:[^*]+:\*$|^arn:aws:s3:::[^*/]+/.+$",
                    "",
                    resource,
                )
                assert "*" not in named, resource
    (trusted,) = properties["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert trusted["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_an_image_that_anybody_may_read_needs_no_repository() -> None:
    (log,) = role_statements(template(RepositoryArn="").properties("ExecutionRole"))
    assert log["Sid"] == "Log"
