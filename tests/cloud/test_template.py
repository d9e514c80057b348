"""What the template of the stack on AWS must say, whatever account it is deployed to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from fastapi import FastAPI
from infra import package
from moto.events.models import EventPattern

from ipp.core.parameters import Parameters
from ipp.entrypoints import cloud_metric, lambda_functions
from ipp.entrypoints.aws_wiring import LambdaParts, build_lambda_parts
from ipp.entrypoints.clock import utc_now
from ipp.formats.exports.export import Export, ExportFormat
from ipp.jobs.job import RETENTION
from ipp.jobs.job_spec import JobSpec
from ipp.server.api import redirect_download
from ipp.server.api.app import create_app
from ipp.server.api.claims import GatewayAuthenticator, Role
from ipp.server.api.dependencies import Services
from ipp.server.api.full_app import create_full_app
from ipp.server.api.metrics import Metrics
from ipp.server.web.oidc import OIDC_SCOPE
from tests.cloud.aws import REGION
from tests.cloud.template import ACCOUNT, FUNCTION, Template, load_template, role_statements

STAGES = ("jul-dev", "jul-qa", "nadro-qa", "nadro-prod")

DATABRICKS = {
    "DatabricksWorkspaceUrl": "https://adb-1.example",
    "DatabricksJob1Id": "789",
    "DatabricksFactorJobId": "790",
    "DatabricksJob2Id": "791",
    "DatabricksWarehouseId": "abc",
}

CREDENTIALS = {"DATABRICKS_ACCESS_TOKEN", "DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"}
"""What a function has of a secret, and none of it in its environment."""

BEHIND_THE_GATEWAY = ("IppVerificador", "IppIniciador", "IppStatus", "IppResults")
BY_THEMSELVES = ("IppReconciler", "IppAutomatico")

METRIC_SOURCES = "".join(
    Path(cast("str", module.__file__)).read_text(encoding="utf-8")
    for module in (cloud_metric, lambda_functions)
)
"""What names the metrics."""

HEALTH = ("GET", "/healthz")

EVENTS = ("GET", "/ipp/jobs/{job_id}/events")
"""What only a server offers: the gateway hands on an answer at its end. Polling says the same."""

Route = tuple[str, str]


@cache
def template(**parameters: str) -> Template:
    return Template({"Stage": "jul-dev", **DATABRICKS, **parameters})


@pytest.fixture(autouse=True, scope="module")
def somewhere() -> Iterator[None]:
    """A client of AWS is of some region, also where it is never used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        yield


@cache
def made() -> LambdaParts:
    """What the functions are made of, of the environment that the template gives them."""
    return build_lambda_parts(
        {**template().environment, "DATABRICKS_SECRET": "", "DATABRICKS_ACCESS_TOKEN": "t"}
    )


def services() -> Services:
    return Services(
        made().service, made().warehouse, made().files, GatewayAuthenticator(), Metrics()
    )


def served(app: FastAPI) -> set[Route]:
    """The operations that an application describes."""
    return {
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }


def handler(function: str) -> str:
    """Return the handler in `ipp.entrypoints.lambda_functions`, named as its contract part."""
    return str(template().functions[function]["Handler"].rpartition(".")[2])


def events(function: str, kind: str) -> Iterator[Mapping[str, Any]]:
    for event in template().functions[function]["Events"].values():
        if event["Type"] == kind:
            yield event["Properties"]


def routed(function: str) -> set[Route]:
    return {(event["Method"], event["Path"]) for event in events(function, "HttpApi")}


class TestRoutes:
    @pytest.mark.parametrize("function", BEHIND_THE_GATEWAY)
    def test_a_function_is_asked_for_all_that_it_serves_and_nothing_else(
        self, function: str
    ) -> None:
        app = create_app(services(), lambda_functions._function_routers(handler(function), made()))
        also = {HEALTH} if function == "IppStatus" else set()
        assert routed(function) == (served(app) - {HEALTH}) | also

    def test_no_route_leads_to_two_functions(self) -> None:
        routes = [route for function in template().functions for route in routed(function)]
        assert len(routes) == len(set(routes))

    def test_the_gateway_has_the_whole_contract_but_for_events(self) -> None:
        whole = create_full_app(
            services(), Metrics(), redirect_download.redirect_router(made().files)
        )
        routes = {route for function in template().functions for route in routed(function)}
        assert routes == served(whole) - {EVENTS}
        assert EVENTS in served(whole)

    def test_every_route_takes_a_token_of_our_pool_for_our_page_except_for_health(self) -> None:
        auth = template().properties("Api")["Auth"]
        token = auth["Authorizers"][auth["DefaultAuthorizer"]]
        assert token["IdentitySource"] == "$request.header.Authorization"
        assert token["JwtConfiguration"] == {
            "issuer": "https://cognito-idp.us-east-1.amazonaws.com/UserPool",
            "audience": ["UserPoolClient"],
        }
        unlike = {
            (event["Method"], event["Path"]): event["Auth"]
            for function in template().functions
            for event in events(function, "HttpApi")
            if "Auth" in event
        }
        assert unlike == {HEALTH: {"Authorizer": "NONE"}}

    def test_no_page_may_call_it_unless_it_is_named(self) -> None:
        assert "CorsConfiguration" not in template().properties("Api")

    def test_a_page_that_is_named_may_what_it_may_on_a_server(self) -> None:
        pages = "https://a.example,https://b.example"
        cors = template(AllowedOrigins=pages).properties("Api")["CorsConfiguration"]
        app = create_app(services(), [], origins=pages.split(","))
        (there,) = [it.kwargs for it in app.user_middleware if "allow_origins" in it.kwargs]
        assert cors["AllowOrigins"] == there["allow_origins"]
        assert cors["AllowMethods"] == there["allow_methods"]
        assert {*cors["AllowHeaders"], "Last-Event-ID"} == {
            *cast("list[str]", there["allow_headers"])
        }  # that of events
        assert cors["ExposeHeaders"] == there["expose_headers"]

    def test_an_answer_is_given_before_the_gateway_gives_up(self) -> None:
        assert {template().functions[function]["Timeout"] for function in BEHIND_THE_GATEWAY} == {
            29
        }


class TestFunctions:
    def test_every_handler_is_there_and_serves_one_function(self) -> None:
        handlers = [function["Handler"] for function in template().functions.values()]
        assert len(set(handlers)) == len(handlers) == len(BEHIND_THE_GATEWAY + BY_THEMSELVES)
        for name in handlers:
            module, _, attribute = name.rpartition(".")
            assert callable(getattr(import_module(module), attribute))

    def test_they_run_what_is_packaged(self) -> None:
        for function in template().functions.values():
            assert function["Runtime"] == f"python{'.'.join(map(str, package.PYTHON))}"
            assert package.PLATFORM == "manylinux2014_aarch64"
            assert function["Architectures"] == ["arm64"]
            assert function["CodeUri"] == "../dist/lambda"

    def test_each_has_the_variables_that_the_code_reads_and_no_other(self) -> None:
        class Read(dict[str, str]):
            def get(self, name: str, default: Any = None) -> Any:
                asked.add(name)
                return super().get(name, default)

        asked: set[str] = set()
        environment = template().environment
        found = build_lambda_parts(Read({**environment, "DATABRICKS_SECRET": ""}))
        assert asked - CREDENTIALS == {
            name for name in environment if name.startswith(("IPP_", "DATABRICKS_"))
        }
        assert found.settings.jobs_table == "invenadro-backend-jul-dev-ipp-jobs"
        assert not any("Environment" in own for own in template().of(FUNCTION).values())

    def test_with_the_secret_nothing_is_missing_of_databricks(self) -> None:
        assert (
            template().environment["DATABRICKS_SECRET"]
            == "secretsmanager:invenadro-backend/ipp-databricks"
        )
        made().settings.databricks.check_complete()

    def test_no_credential_is_a_parameter_or_a_variable(self) -> None:
        assert not CREDENTIALS & set(template().environment)
        assert not [
            name
            for name in load_template()["Parameters"]
            if re.search("token|password|secret(?!name)", name, re.I)
        ]

    def test_each_has_its_share_of_the_account_where_it_can_have_one(self) -> None:
        for function in template().functions.values():
            assert int(function["ReservedConcurrentExecutions"]) >= 1
        for function in template(ReserveConcurrency="false").functions.values():
            assert "ReservedConcurrentExecutions" not in function

    def test_each_writes_json_to_a_log_that_is_kept_for_a_while(self) -> None:
        logs = [function["LoggingConfig"]["LogGroup"] for function in template().functions.values()]
        kept = {
            log["LogGroupName"]: log["RetentionInDays"]
            for log in template().of("AWS::Logs::LogGroup").values()
        }
        assert len(set(logs)) == len(logs)
        assert {kept[log] for log in logs} == {30}
        assert {
            function["LoggingConfig"]["LogFormat"] for function in template().functions.values()
        } == {"JSON"}
        # REPORT lines, which have each call's memory and start, are of this level.
        assert {
            function["LoggingConfig"]["SystemLogLevel"]
            for function in template().functions.values()
        } == {"INFO"}

    def test_each_is_traced_and_may_say_what_it_traced(self) -> None:
        for function in template().functions.values():
            assert function["Tracing"] == "Active"

    @pytest.mark.parametrize("function", BY_THEMSELVES)
    def test_an_event_that_is_given_up_is_kept(self, function: str) -> None:
        assert (
            template()
            .functions[function]["DeadLetterQueue"]["TargetArn"]
            .endswith("-ipp-dead-letters")
        )


class TestNetwork:
    """Where Databricks lets in only known addresses, the functions have one."""

    IN: ClassVar = {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}

    def test_it_is_awss_own_unless_subnets_are_named(self) -> None:
        for function in template().functions.values():
            assert "VpcConfig" not in function
        inside = template(**self.IN)
        for function in inside.functions.values():
            assert function["VpcConfig"] == {
                "SubnetIds": ["subnet-1", "subnet-2"],
                "SecurityGroupIds": ["sg-1"],
            }

    def test_a_role_may_make_the_interfaces_that_it_needs_there_and_nowhere_else(self) -> None:
        for name, role in template(**self.IN).of("AWS::IAM::Role").items():
            within = [it for it in role.get("ManagedPolicyArns", []) if "ENIManagement" in it]
            assert bool(within) == (name not in {"SchedulerRole", "DatabricksRole"})
        assert not any(
            "ManagedPolicyArns" in role for role in template().of("AWS::IAM::Role").values()
        )


class TestSchedules:
    def test_the_morning_is_off_until_somebody_turns_it_on(self) -> None:
        assert [event["State"] for event in events("IppAutomatico", "ScheduleV2")] == ["DISABLED"]
        on = template(AutomaticRun="true").functions["IppAutomatico"]["Events"]
        assert [event["Properties"]["State"] for event in on.values()] == ["ENABLED"]

    def test_the_morning_is_the_seeds_and_says_which_day_it_is(self) -> None:
        (morning,) = events("IppAutomatico", "ScheduleV2")
        assert morning["ScheduleExpression"] == "cron(0 8 * * ? *)"
        assert json.loads(morning["Input"]) == {
            "mode": "automatic",
            "time": "<aws.scheduler.scheduled-time>",
        }

    def test_jobs_are_moved_on_every_minute(self) -> None:
        assert [event["ScheduleExpression"] for event in events("IppReconciler", "ScheduleV2")] == [
            "rate(1 minute)"
        ]
        assert (
            lambda_functions._START_ANOTHER_WITHIN.total_seconds()
            < template().functions["IppReconciler"]["Timeout"]
        )

    def test_a_schedule_may_start_the_functions_of_schedules_alone(self) -> None:
        arns = [
            f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{template().functions[function]['FunctionName']}"
            for function in BY_THEMSELVES
        ]
        invoke, _ = role_statements(template().properties("SchedulerRole"))
        assert (invoke["Action"], invoke["Resource"]) == (["lambda:InvokeFunction"], arns)


class TestObjects:
    """Of what lies in the buckets, which moves a job on."""

    SPEC = JobSpec("ipp-1", (7,), Parameters(), utc_now().date(), utc_now())

    @pytest.mark.parametrize(
        ("key", "moves"),
        [
            (SPEC.raw_key("raw_data.xlsx"), True),
            (SPEC.processed_key("processed_data.csv"), True),
            (
                Export(
                    "ipp-1", (7, 8), ExportFormat.CSV, False, SPEC.created_at, whole=True
                ).object_key,
                True,
            ),
            (
                Export(
                    "ipp-1", (7,), ExportFormat.CSV, False, SPEC.created_at, whole=False
                ).object_key,
                False,
            ),
            (SPEC.raw_key("solicitud.json"), False),
            (SPEC.raw_key("7.parquet"), False),
        ],
    )
    def test_a_stages_own_object_does_and_those_of_each_mostrador_do_not(
        self, key: str, moves: bool
    ) -> None:
        top, _, below = key.partition("/")
        assert self.matched(f"invenadro-backend-jul-dev-{top}-{ACCOUNT}", below) is moves

    def test_those_of_another_stage_do_not(self) -> None:
        assert not self.matched(
            f"invenadro-backend-jul-qa-ipp-raw-{ACCOUNT}", "ipp-1/raw_data.xlsx"
        )

    def matched(self, bucket: str, key: str) -> bool:
        (rule,) = events("IppReconciler", "EventBridgeRule")
        detail = {"bucket": {"name": bucket}, "object": {"key": key, "size": 4}}
        created: Any = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
        return bool(EventPattern.load(json.dumps(rule["Pattern"])).matches_event(created))


class TestNames:
    @pytest.mark.parametrize("stage", STAGES)
    def test_they_are_the_seeds(self, stage: str) -> None:
        found = Template({"Stage": stage})
        named = {function["FunctionName"] for function in found.functions.values()}
        assert named >= {
            f"invenadro-backend-{stage}-ipp{it}"
            for it in ("Verificador", "Iniciador", "Status", "Results")
        }
        assert found.properties("JobsTable")["TableName"] == f"invenadro-backend-{stage}-ipp-jobs"
        assert found.properties("Api")["StageName"] == stage

    @pytest.mark.parametrize("stage", STAGES)
    def test_a_bucket_has_a_name_that_s3_takes_and_no_other_account_has(self, stage: str) -> None:
        found = Template({"Stage": stage})
        for it in ("raw", "processed"):
            name = found.properties(f"{it.title()}Bucket")["BucketName"]
            assert name == f"invenadro-backend-{stage}-ipp-{it}-{ACCOUNT}"
            assert re.fullmatch(r"[a-z0-9-]{3,63}", name)

    def test_the_stages_are_those_of_the_seed_and_ours(self) -> None:
        assert tuple(load_template()["Parameters"]["Stage"]["AllowedValues"]) == STAGES


class TestAlarms:
    @pytest.mark.parametrize(
        "name_of_alarm",
        ["StuckJobsAlarm", "UnreadableJobsAlarm", "FailedJobsAlarm", "NobodyThisMorningAlarm"],
    )
    def test_a_job_in_trouble_is_looked_for_where_it_is_counted(
        self,
        name_of_alarm: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        name = "POWERTOOLS_SERVICE_NAME"
        monkeypatch.setenv(name, template().environment[name])
        alarm = template(AutomaticRun="true").properties(name_of_alarm)
        assert f'"{alarm["MetricName"]}"' in METRIC_SOURCES
        cloud_metric.publish_counts({alarm["MetricName"]: 1})
        counted = json.loads(capsys.readouterr().out)
        (metric,) = counted["_aws"]["CloudWatchMetrics"]
        assert alarm["Namespace"] == metric["Namespace"]
        assert alarm["MetricName"] in {it["Name"] for it in metric["Metrics"]}
        assert [{it["Name"] for it in alarm["Dimensions"]}] == [
            set(names) for names in metric["Dimensions"]
        ]
        assert all(counted[it["Name"]] == it["Value"] for it in alarm["Dimensions"])

    def test_a_morning_that_does_not_come_is_missed_only_where_there_should_be_one(self) -> None:
        alarms = template().of("AWS::CloudWatch::Alarm")
        assert "NobodyThisMorningAlarm" not in alarms
        alarm = template(AutomaticRun="true").properties("NobodyThisMorningAlarm")
        assert (alarm["Period"], alarm["TreatMissingData"]) == (86_400, "breaching")

    @pytest.mark.parametrize(
        ("name_of_alarm", "functions"),
        [
            ("ThrottlesAlarm", BEHIND_THE_GATEWAY + BY_THEMSELVES),
            ("SlowAnswersAlarm", BEHIND_THE_GATEWAY),
        ],
    )
    def test_every_function_that_callers_wait_for_is_looked_at(
        self, name_of_alarm: str, functions: tuple[str, ...]
    ) -> None:
        total, *single = template().properties(name_of_alarm)["Metrics"]
        assert "METRICS()" in total["Expression"]
        assert [it["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for it in single] == [
            template().functions[name]["FunctionName"] for name in functions
        ]
        assert not any(it["ReturnData"] for it in single)

    def test_the_dashboard_shows_what_is_counted_of_what_is_there(self) -> None:
        body = json.loads(template().properties("Dashboard")["DashboardBody"])
        assert len(body["widgets"]) == 6
        text = json.dumps(body)
        for name in [function["FunctionName"] for function in template().functions.values()]:
            assert name in text
        assert "${" not in text

    def test_somebody_is_told_of_each(self) -> None:
        for alarm in template().of("AWS::CloudWatch::Alarm").values():
            assert alarm["AlarmActions"] == ["invenadro-backend-jul-dev-ipp-alarms"]
        assert "Subscription" not in template().properties("Alarms")
        told = template(AlarmEmail="a@example.com").properties("Alarms")["Subscription"]
        assert told == [{"Protocol": "email", "Endpoint": "a@example.com"}]


def test_the_group_that_sees_all_is_the_one_that_the_code_knows() -> None:
    groups = {template().properties(name)["GroupName"] for name in ("AdminGroup", "EditorGroup")}
    assert groups == set(Role)


def test_whoever_signs_in_needs_a_code_and_the_page_has_no_secret() -> None:
    page = template().properties("UserPoolClient")
    assert page["AllowedOAuthFlows"] == ["code"]
    assert page["GenerateSecret"] is False
    assert set(page["AllowedOAuthScopes"]) == set(OIDC_SCOPE.split())
    assert template().properties("UserPool")["AdminCreateUserConfig"] == {
        "AllowAdminCreateUserOnly": True
    }


BUCKETS = ("RawBucket", "ProcessedBucket", "AccessLogsBucket")


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_is_nobody_elses_keeps_what_is_overwritten_and_forgets_in_time(
    bucket: str,
) -> None:
    said = template().properties(bucket)
    assert len(said["PublicAccessBlockConfiguration"]) == 4
    assert set(said["PublicAccessBlockConfiguration"].values()) == {True}
    assert said["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = said["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert (
        min(int(rule["ExpirationInDays"]), rule["NoncurrentVersionExpiration"]["NoncurrentDays"])
        >= RETENTION.days
    )


@pytest.mark.parametrize("bucket", BUCKETS[:2])
def test_who_reads_a_jobs_files_is_noted_and_what_is_written_is_told(bucket: str) -> None:
    said = template().properties(bucket)
    assert said["LoggingConfiguration"]["DestinationBucketName"].endswith(
        f"-ipp-access-logs-{ACCOUNT}"
    )
    assert said["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }


@pytest.mark.parametrize("bucket", BUCKETS)
def test_nothing_goes_to_a_bucket_or_comes_from_it_in_the_clear(bucket: str) -> None:
    statement = template().properties(f"{bucket}Policy")["PolicyDocument"]["Statement"][-1]
    arn = f"arn:aws:s3:::{template().properties(bucket)['BucketName']}"
    assert statement == {
        "Sid": "NothingInTheClear",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_every_parameter_has_a_place_where_it_is_asked_for() -> None:
    groups = load_template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [parameter for group in groups for parameter in group["Parameters"]]
    assert sorted(grouped) == sorted(load_template()["Parameters"])


KEPT_TYPES = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Cognito::UserPool"}


def test_what_is_kept_outlives_the_stack() -> None:
    kept = [it for it in load_template()["Resources"].values() if it["Type"] in KEPT_TYPES]
    assert len(kept) == 5
    for resource in kept:
        assert resource["DeletionPolicy"] in {"Retain", "RetainExceptOnCreate"}
        assert resource["UpdateReplacePolicy"] == "Retain"


def test_a_first_deployment_that_fails_leaves_nothing_in_the_way_of_the_next() -> None:
    """All names are fixed: one that CloudFormation kept, or could not delete, would stay taken."""
    for name, resource in template().resources.items():
        assert resource.get("DeletionPolicy") in {None, "RetainExceptOnCreate"}, name
        protection = {
            label: it
            for label, it in resource["Properties"].items()
            if label.startswith("DeletionProtect")
        }
        assert set(protection.values()) <= {False, "INACTIVE"}, name


def test_a_stack_that_is_there_is_protected_from_whoever_would_delete_its_data() -> None:
    protected = template(ProtectData="true")
    assert protected.properties("JobsTable")["DeletionProtectionEnabled"] is True
    assert protected.properties("UserPool")["DeletionProtection"] == "ACTIVE"
