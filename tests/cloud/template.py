"""The template as CloudFormation reads it for one set of parameters: all functions resolved."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # its types are no dependency of ours

from tests.cloud.aws import REGION, client_of

TEMPLATE: Final = Path(__file__).parents[2] / "infra" / "template.yaml"

ACCOUNT: Final = "123456789012"

FUNCTION: Final = "AWS::Serverless::Function"
ROLE: Final = "AWS::IAM::Role"

_LEFT_OUT: Final = object()
"""What ``AWS::NoValue`` stands for."""

_NAMES: Final = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::Logs::LogGroup": "LogGroupName",
    FUNCTION: "FunctionName",
}
"""The property that is what ``Ref`` gives, or as good as it for a test."""

_ARNS: Final = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/%s",
    "AWS::S3::Bucket": "arn:aws:s3:::%s",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:%s",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:%s:*",
    "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:%s",
    FUNCTION: f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:%s",
    ROLE: f"arn:aws:iam::{ACCOUNT}:role/%s",
}


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # of a package without types
    """YAML with CloudFormation's tags, each as the mapping that it is short for."""


def _tagged(loader: _Loader, tag: str, node: Any) -> dict[str, Any]:
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_scalar(node)
    if tag == "GetAtt":
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _tagged)


def load_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """Return the template as it is written."""
    loaded: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    return loaded


@dataclass(frozen=True)
class Template:
    """The template with ``parameters``; those not given have their defaults."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    path: Path = TEMPLATE

    @cached_property
    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        """What it makes: type and properties of each resource, by its name in the template."""
        return {
            name: {**resource, "Properties": self.resolved(resource.get("Properties", {}))}
            for name, resource in self._content["Resources"].items()
            if "Condition" not in resource or self._condition(resource["Condition"])
        }

    def of(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """The properties of the resources of a type."""
        return {
            name: made["Properties"]
            for name, made in self.resources.items()
            if made["Type"] == kind
        }

    def properties(self, name: str) -> Mapping[str, Any]:
        """The properties of a resource."""
        properties: Mapping[str, Any] = self.resources[name]["Properties"]
        return properties

    @cached_property
    def functions(self) -> Mapping[str, Mapping[str, Any]]:
        """The functions, each with what all of them have."""
        shared = self.resolved(self._content["Globals"]["Function"])
        return {name: {**shared, **own} for name, own in self.of(FUNCTION).items()}

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """The variables that every function has."""
        variables = self.resolved(self._content["Globals"]["Function"]["Environment"]["Variables"])
        return {name: str(value) for name, value in variables.items()}

    def resolved(self, node: Any) -> Any:
        """A part of the template with every function of CloudFormation's in its place."""
        if isinstance(node, list):
            return [value for value in map(self.resolved, node) if value is not _LEFT_OUT]
        if not isinstance(node, dict):
            return node
        if len(node) == 1 and (made := self._called(*next(iter(node.items())))) is not None:
            return made
        values = {name: self.resolved(value) for name, value in node.items()}
        return {name: value for name, value in values.items() if value is not _LEFT_OUT}

    def _called(self, name: str, of: Any) -> Any:
        match name:
            case "Ref":
                return self._meant(of)
            case "Fn::GetAtt":
                return self._attribute(*of)
            case "Fn::Sub":
                return self._substituted(*((of, {}) if isinstance(of, str) else of))
            case "Fn::Join":
                return of[0].join(self.resolved(of[1]))
            case "Fn::If":
                return self.resolved(of[1] if self._condition(of[0]) else of[2])
        return self.resolved(of[1]).split(of[0]) if name == "Fn::Split" else None

    def _substituted(self, text: str, own: Mapping[str, Any]) -> str:
        given = self.resolved(own)
        return re.sub(
            r"\$\{([^}]+)\}",
            lambda found: str(given.get(found[1]) or self._named(found[1])),
            text,
        )

    def _named(self, text: str) -> Any:
        return self._attribute(*text.split(".", 1)) if "." in text else self._meant(text)

    def _meant(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _LEFT_OUT
        pseudo = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws"}
        if name.startswith("AWS::"):
            return {**pseudo, "AWS::URLSuffix": "amazonaws.com"}[name]
        if name in self._content["Parameters"]:
            return self._parameter(name)
        return self._name(name)

    def _parameter(self, name: str) -> Any:
        declared = self._content["Parameters"][name]
        value = self.parameters.get(name, declared.get("Default"))
        if value is None:
            raise KeyError(name)
        return value.split(",") if declared["Type"] == "CommaDelimitedList" else value

    def _name(self, resource: str) -> str:
        """Return a resource's own name where it has one, else its name in the template."""
        declared = self._content["Resources"][resource]
        named = _NAMES.get(declared["Type"])
        return str(self.resolved(declared["Properties"][named])) if named else resource

    def _attribute(self, resource: str, attribute: str) -> str:
        kind = self._content["Resources"][resource]["Type"]
        if attribute == "Arn":
            return _ARNS[kind] % self._name(resource)
        return self._name(resource) if attribute == "QueueName" else f"{resource}.{attribute}"

    def _condition(self, condition: Any) -> bool:
        if isinstance(condition, str):
            return self._condition(self._content["Conditions"][condition])
        ((name, of),) = condition.items()
        match name:
            case "Fn::Equals":
                return bool(self.resolved(of[0]) == self.resolved(of[1]))
            case "Fn::Not":
                return not self._condition(of[0])
            case "Fn::Or":
                return any(map(self._condition, of))
        raise KeyError(name)

    @cached_property
    def _content(self) -> Mapping[str, Any]:
        return load_template(self.path)


def without_serverless() -> str:
    """Return the template as a body for an AWS without SAM's transformation.

    Functions, the API and what belongs to them are left out.
    """
    left = load_template()
    gone = {
        name
        for name, resource in left["Resources"].items()
        if resource["Type"].startswith("AWS::Serverless::")
    }
    while of_them := {
        name for name, it in left["Resources"].items() if name not in gone and _mentioned(it) & gone
    }:
        gone |= of_them
    resources = {name: resource for name, resource in left["Resources"].items() if name not in gone}
    outputs = {
        name: output for name, output in left["Outputs"].items() if not _mentioned(output) & gone
    }
    kept = ("AWSTemplateFormatVersion", "Description", "Parameters", "Conditions")
    return json.dumps(
        {name: left[name] for name in kept} | {"Resources": resources, "Outputs": outputs}
    )


def create_stack(address: str, parameters: Mapping[str, str]) -> None:
    """Create a stack of the template in the AWS at ``address``, without what that one lacks."""
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    client_of(address, "cloudformation").create_stack(
        StackName="ipp",
        TemplateBody=without_serverless(),
        Parameters=given,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )


def _mentioned(node: Any) -> set[str]:
    """The names that a part of the template refers to."""
    if isinstance(node, list):
        return {name for value in node for name in _mentioned(value)}
    if not isinstance(node, dict):
        return set()
    own = (
        {node["Ref"]}
        if "Ref" in node
        else {node["Fn::GetAtt"][0]}
        if "Fn::GetAtt" in node
        else set()
    )
    text = node.get("Fn::Sub", "")
    text = text if isinstance(text, str) else text[0]
    written = re.findall(r"\$\{([A-Za-z0-9]+)", text)
    return own.union(written, *map(_mentioned, node.values()))


def role_statements(role: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a role may do, its actions and resources always lists."""
    found = [
        statement
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    return [
        {
            **statement,
            "Action": _listed(statement["Action"]),
            "Resource": _listed(statement["Resource"]),
        }
        for statement in found
    ]


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
