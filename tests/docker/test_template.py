"""The template for Lambda: what CloudFormation and SAM accept, and what sources/README.md says of its permissions."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cfnlint.decode.cfn_yaml import load

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "docker" / "template.yaml"


@pytest.fixture(scope="module")
def template():
    return load(str(TEMPLATE))


def named(value):
    """All names that a part of the template refers to."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "Ref":
                yield inner
            elif key == "Fn::GetAtt":
                yield (inner if isinstance(inner, list) else inner.split("."))[0]
            elif key == "Fn::Sub":
                yield from (name.split(".")[0] for name in re.findall(r"\$\{([^}]+)\}", inner))
            else:
                yield from named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from named(inner)


def statements(template):
    return template["Resources"]["Facecraft"]["Properties"]["Policies"][0]["Statement"]


def test_cfn_lint_finds_nothing():
    tool = Path(sys.executable).with_name("cfn-lint")
    command = [tool, "--include-checks", "I", "--non-zero-exit-code", "informational", "--", TEMPLATE]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_whatever_it_refers_to_is_there(template):
    there = {*template["Resources"], *template["Parameters"]}
    assert {name for name in named(template) if not name.startswith("AWS::")} <= there


def test_messages_are_hidden_six_times_as_long_as_a_call_may_take(template):
    hidden = template["Mappings"]["Hidden"]["Seconds"]
    timeout = template["Parameters"]["TimeoutSeconds"]
    assert hidden == {str(seconds): 6 * seconds for seconds in timeout["AllowedValues"]}
    assert str(timeout["Default"]) in hidden
    assert template["Resources"]["Arrivals"]["Properties"]["VisibilityTimeout"] == {
        "Fn::FindInMap": ["Hidden", "Seconds", {"Ref": "TimeoutSeconds"}]
    }
    assert template["Resources"]["Facecraft"]["Properties"]["Timeout"] == {"Ref": "TimeoutSeconds"}


def test_only_messages_that_were_not_settled_come_again_and_not_for_ever(template):
    told = template["Resources"]["Facecraft"]["Properties"]["Events"]["Photo"]["Properties"]
    assert told["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert template["Resources"]["Arrivals"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] > 3


def test_the_function_may_do_what_readme_says_and_no_more(template):
    readme = (ROOT / "sources" / "README.md").read_text("utf-8")
    (policy,) = re.findall(r"```json\n(\{\"Version\": \"2012-10-17\".*?)```", readme, re.DOTALL)
    allowed = {action for each in statements(template) for action in _list(each["Action"])}
    assert allowed == set(re.findall(r"s3:\w+", policy))
    assert all("*" not in str(each["Action"]) for each in statements(template))


def _list(value):
    return value if isinstance(value, list) else [value]


def test_its_variables_are_settings_and_its_places_do_not_overlap(template):
    from handler.config.load import load_lambda

    values = template["Resources"]["Facecraft"]["Properties"]["Environment"]["Variables"]
    settings = load_lambda(
        {name: re.sub(r"\$\{(\w+)\}", r"\1", value["Fn::Sub"]).lower() for name, value in values.items()}
    )
    assert (str(settings.inbox), str(settings.outbox)) == ("s3://photos/in", "s3://portraits/out")
