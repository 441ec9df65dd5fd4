"""Compose file and manifests are what their schemas say, name settings that there are, and probe what answers."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from backend.app import create_app
from backend.cli import carillon
from backend.deploy import release
from backend.lib import settings
from backend.lib.settings_catalogue import unknown

DEPLOY = Path(__file__).parents[2] / "backend" / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
# A release that is still served by the large providers.
_VERSION = "1.33"


def documents() -> list[dict[str, Any]]:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(path.name for path in KUBERNETES.glob("*.yaml") if path.stem != "kustomization")
    return [one for name in listed for one in yaml.safe_load_all((KUBERNETES / name).read_text())]


def pods() -> dict[str, dict[str, Any]]:
    """Return the specification of each pod by the name of what makes it."""
    found = {}
    for one in documents():
        spec = one.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found[one["metadata"]["name"]] = spec["template"]["spec"]
    return found


PODS = pods()


@pytest.mark.parametrize("document", documents(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_each_manifest_is_of_its_schema(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, _VERSION, strict=True)


def test_a_manifest_with_a_fault_would_be_found() -> None:
    document = next(one for one in documents() if one["kind"] == "Deployment")
    document["spec"]["replicas"] = "two"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, _VERSION, strict=True)


def test_the_compose_file_is_of_its_schema() -> None:
    checker = [release.tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*checker, DEPLOY / "compose.yaml"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", [DEPLOY / "compose.yaml", DEPLOY / "Containerfile", *KUBERNETES.glob("*.yaml")], ids=lambda path: path.name
)
def test_what_is_set_is_a_setting(path: Path) -> None:
    assert unknown(dict.fromkeys(re.findall(r"\bCARILLON_[A-Z_]+", path.read_text()), "x")) == []


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_shut_in_and_runs_a_command_of_ours(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["resources"]["limits"]["memory"]
    mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert len(mounted) == len(pod["volumes"])
    assert {"/data", "/run/secrets/carillon"} < set(mounted)
    assert set(mounted.values()) == {one["name"] for one in pod["volumes"]}
    commands = [container["args"][0]]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        words = container.get(probe, {}).get("exec", {}).get("command", [])
        assert not words or words[0] == "carillon"
        commands += words[1:2]
    assert {carillon.get_command(None, one) for one in commands}.isdisjoint({None})  # type: ignore[arg-type]


def test_what_is_probed_answers(configure: Callable[..., settings.Settings]) -> None:
    configure()
    (container,) = PODS["carillon-web"]["containers"]
    probed = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert probed == {"/healthz", "/readyz"}
    assert probed <= {route.path for route in create_app().routes}


def test_budgets_and_services_choose_pods_that_there_are() -> None:
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for one in documents():
        by_kind.setdefault(one["kind"], []).append(one)
    made = [one["spec"]["template"]["metadata"]["labels"] for one in by_kind["Deployment"]]
    budgets = [one["spec"]["selector"]["matchLabels"] for one in by_kind["PodDisruptionBudget"]]
    assert sorted(map(str, budgets)) == sorted(map(str, made))
    assert [one["spec"]["selector"] for one in by_kind["Service"]] == [made[0]]
