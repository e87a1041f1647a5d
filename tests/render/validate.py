"""Holds documents against what others say they must be. Arguments: a folder of documents, named TARGET.NUMBER.

Kubernetes: the published schemas (kubernetes-validate). Compose: the published schema (a copy in check-jsonschema). ECS:
the API's own model (botocore). Elastic Beanstalk: the fields of its pages, and the API's model of containers. Helm: names
and types of the chart (helm-values.txt). docker run: a parser of its flags, after a shell has read the script.
"""
import json
import pathlib
import re
import shlex
import sys

import botocore.session
import botocore.validate
import check_jsonschema
import jsonschema
import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).parent
FOLDER = pathlib.Path(sys.argv[1])
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
ECS = botocore.session.get_session().get_service_model("ecs")
VENDORED = pathlib.Path(check_jsonschema.__file__).parent / "builtin_schemas/vendor/compose-spec.json"
COMPOSE = json.loads(VENDORED.read_text())
COMPOSE = jsonschema.validators.validator_for(COMPOSE)(COMPOSE)
VALUES = dict(
    line.split()[:2] for line in (HERE / "helm-values.txt").read_text().splitlines() if line and not line.startswith("#")
)
TYPES = {"string": str, "bool": bool, "int": int}
# Flags of docker run, and how many values each takes.
FLAGS = {
    "-d": 0, "--name": 1, "--restart": 1, "--pid": 1, "--cgroupns": 1, "--security-opt": 1, "--cap-add": 1,
    "-v": 1, "-e": 1, "--network": 1,
}
# appArmorProfile came with 1.30.
VERSIONS = ["1.31", "1.34"]


def kubernetes(text):
    count = 0
    for document in yaml.load_all(text, LOADER):
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)
        count += 1
    assert count >= 5, count


def compose(text):
    COMPOSE.validate(yaml.load(text, LOADER))


def shape(value, model):
    report = botocore.validate.ParamValidator().validate(value, model)
    assert not report.has_errors(), report.generate_report()


def ecs(text):
    task = json.loads(text)
    shape(task, ECS.operation_model("RegisterTaskDefinition").input_shape)
    if "FARGATE" in task["requiresCompatibilities"]:
        assert task["networkMode"] == "awsvpc" and "pidMode" not in task
        for container in task["containerDefinitions"]:
            assert "dockerSecurityOptions" not in container and "privileged" not in container
            added = container.get("linuxParameters", {}).get("capabilities", {}).get("add", [])
            assert set(added) <= {"SYS_PTRACE"}, added
        assert all("host" not in volume for volume in task["volumes"])
        total = sum(container.get("memory", 0) for container in task["containerDefinitions"])
        assert total <= int(task["memory"]), total
    names = {volume["name"] for volume in task["volumes"]}
    for container in task["containerDefinitions"]:
        assert {mount["sourceVolume"] for mount in container.get("mountPoints", [])} <= names


def beanstalk(text):
    document = json.loads(text)
    assert set(document) <= {"AWSEBDockerrunVersion", "volumes", "containerDefinitions", "authentication"}
    assert document["AWSEBDockerrunVersion"] == 2
    names = set()
    for volume in document["volumes"]:
        assert set(volume) == {"name", "host"} and set(volume["host"]) == {"sourcePath"}
        names.add(volume["name"])
    model = ECS.shape_for("ContainerDefinition")
    fields = {
        "name", "image", "environment", "essential", "memory", "memoryReservation", "mountPoints", "portMappings",
        "links", "volumesFrom", "command", "entryPoint", "dockerSecurityOptions", "linuxParameters",
    }
    for container in document["containerDefinitions"]:
        assert set(container) <= fields, container.keys()
        shape(container, model)
        assert {mount["sourceVolume"] for mount in container["mountPoints"]} <= names


def helm(text):
    def leaves(path, value):
        if isinstance(value, dict):
            for key, below in value.items():
                yield from leaves(f"{path}.{key}" if path else key, below)
        elif isinstance(value, list):
            for below in value:
                yield from leaves(f"{path}.*", below)
        else:
            yield path, value

    for path, value in leaves("", yaml.load(text, LOADER)):
        assert path in VALUES, f"{path} is no value of the chart"
        assert type(value) is TYPES[VALUES[path]], f"{path}: {value!r}"


def docker(text):
    joined = text.replace("\\\n", " ")
    runs = [line for line in joined.splitlines() if line.startswith("docker run")]
    assert runs
    for line in runs:
        words = shlex.split(line)[2:]
        while words[0].startswith("-"):
            flag = words.pop(0)
            assert flag in FLAGS, f"docker run has no {flag}"
            values = [words.pop(0) for _ in range(FLAGS[flag])]
            if flag == "-v":
                assert re.fullmatch(r"[^:]+:/[^:]+(:ro)?", values[0]), values
            if flag == "-e":
                assert re.match(r"[A-Z_][A-Z0-9_]*(=|$)", values[0]), values
        assert len(words) == 1 and re.fullmatch(r"[a-z0-9.-]+/[a-z/-]+:[A-Za-z0-9._-]+", words[0]), words


CHECKS = {
    "kubernetes": kubernetes, "compose": compose, "ecs-fargate": ecs, "ecs-ec2": ecs, "beanstalk": beanstalk,
    "helm": helm, "docker": docker,
}
bad = 0
counts = {}
for file in sorted(FOLDER.iterdir()):
    target = file.name.split(".")[0]
    try:
        CHECKS[target](file.read_text())
        counts[target] = counts.get(target, 0) + 1
    except Exception as why:
        bad += 1
        print(f"{file.name}: {type(why).__name__}: {str(why)[:500]}")
print("valid:", ", ".join(f"{target} {count}" for target, count in sorted(counts.items())))
sys.exit(1 if bad else 0)
