"""The Kubernetes manifests: held against Kubernetes' own schemas, and against the worker."""

import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from streams.app import PUBLISH_DRAIN_S
from streams.integration_table import INTEGRATION_WAY
from streams.integrations_file import IntegrationsError, read
from streams.ops.cli import COMMANDS
from streams.settings import Settings, load

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "deploy" / "kubernetes"
# The oldest that is supported by anybody, and the newest that the schemas know.
VERSIONS = ("1.31", "1.37")
SECONDS_FOR_KAFKA = 15  # to leave the group, after everything has been drained


def documents() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted(DIRECTORY.glob("*.yaml")):
        found += [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
    return found


def named(kind: str, name: str = "moment-sync") -> dict[str, Any]:
    return next(
        one for one in documents() if (one["kind"], one["metadata"]["name"]) == (kind, name)
    )


def pods() -> list[dict[str, Any]]:
    return [
        named("Deployment")["spec"]["template"]["spec"],
        named("Job", "moment-sync-set-up")["spec"]["template"]["spec"],
    ]


def containers() -> list[dict[str, Any]]:
    return [one for pod in pods() for one in (*pod.get("initContainers", ()), *pod["containers"])]


def settings() -> Settings:
    return load(named("ConfigMap")["data"])


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_understands_every_member(version: str) -> None:
    for one in documents():
        kubernetes_validate.validate(one, version, strict=True)


def test_a_member_that_is_misspelt_is_found() -> None:
    """The schemas are only as good as what they refuse."""
    wrong = named("Deployment")
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_a_stop_has_time_for_the_drain() -> None:
    needed = settings().drain_s + PUBLISH_DRAIN_S + SECONDS_FOR_KAFKA
    assert pods()[0]["terminationGracePeriodSeconds"] >= needed


def test_the_settings_are_ours_and_hold_no_secret() -> None:
    found = settings()
    assert found.kafka_password_file == "/run/secrets/moment-sync/kafka"
    assert found.ledger.startswith("postgresql://moment_sync@")
    for container in containers():
        for variable in container.get("env", ()):
            assert variable["valueFrom"]["secretKeyRef"]["name"] == "moment-sync-secrets"


def test_the_integrations_are_a_file_that_we_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but its secret, which is not there to be read."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "integrations.toml"
    path.write_text(named("ConfigMap", "moment-sync-integrations")["data"]["integrations.toml"])
    with pytest.raises(IntegrationsError) as refused:
        read(str(path), {})
    assert {one.key for one in refused.value.refusals} == {"key_file"}
    assert INTEGRATION_WAY not in str(refused.value)


def test_probes_ask_what_the_worker_serves_and_give_it_time_to_start() -> None:
    worker = pods()[0]["containers"][0]
    (port,) = worker["ports"]
    assert port["containerPort"] == settings().web.port
    paths = {name: worker[name]["httpGet"]["path"] for name in worker if name.endswith("Probe")}
    assert paths == {
        "startupProbe": "/readyz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    start = worker["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= 90


def test_nothing_runs_with_rights_that_it_does_not_need() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001, "as the image has it"
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
    for one in containers():
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, one["name"]
        assert "memory" in one["resources"]["limits"], one["name"]


def test_a_drained_node_takes_one_worker_at_a_time() -> None:
    budget, deployment = named("PodDisruptionBudget")["spec"], named("Deployment")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["selector"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"].items() <= labels.items()
    assert named("Service")["spec"]["selector"].items() <= labels.items()


def test_what_is_mounted_is_there_and_images_are_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for pod in pods():
        volumes = {one["name"] for one in pod["volumes"]}
        for one in (*pod.get("initContainers", ()), *pod["containers"]):
            assert {mount["name"] for mount in one["volumeMounts"]} <= volumes
            assert one["image"] == f"moment-sync:{version}"
            assert one["args"][0] in COMMANDS
