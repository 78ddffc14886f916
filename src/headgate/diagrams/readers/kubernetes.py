"""Kubernetes manifests: several documents a file, workloads with their counts and resources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from headgate.config.cron_words import in_words
from headgate.diagrams.deployments import Deployment
from headgate.diagrams.documents import at, documents, mapping, sequence
from headgate.diagrams.drawings.deployment import deployment
from headgate.diagrams.readers import Found
from headgate.diagrams.tree import Tree

LOOKS = re.compile(r"^\s*[\"']?apiVersion[\"']?\s*:", re.M)
WORKLOADS = {
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "ReplicaSet",
    "Pod",
    "SparkApplication",
    "Workflow",
    "CronWorkflow",
}
BESIDE = {"ConfigMap", "Secret", "PersistentVolumeClaim"}


def found(tree: Tree) -> list[Found]:
    files = [file for file in tree.ending(".yml", ".yaml") if LOOKS.search(tree.text(file) or "")]
    one = Deployment(tree.name)
    objects = [item for file in files for document in documents(tree, file) for item in _objects(document)]
    for item in objects:
        _part(one, item)
    for item in objects:
        _edges(one, item, objects)
    one.settle()
    if not one.parts:
        return []
    return [
        Found(
            "kubernetes",
            {"deployment": lambda _depth: deployment(f"Deployment: {tree.name}", [one])},
            len(one.parts),
            15,
        )
    ]


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        return
    if document["kind"] == "List":
        for item in sequence(document.get("items")):
            yield from _objects(item)
    else:
        yield document


def _name(item: dict[str, Any]) -> str:
    return str(at(item, "metadata", "name") or at(item, "metadata", "generateName") or "unnamed")


def _id(item: dict[str, Any]) -> str:
    return f"{item['kind']}/{_name(item)}"


def _pod(item: dict[str, Any]) -> Any:
    """The pod of a workload."""
    match item["kind"]:
        case "Pod":
            return item.get("spec")
        case "CronJob":
            return at(item, "spec", "jobTemplate", "spec", "template", "spec")
        case _:
            return at(item, "spec", "template", "spec")


def _part(one: Deployment, item: dict[str, Any]) -> None:
    kind = str(item["kind"])
    if kind in BESIDE:
        size = at(item, "spec", "resources", "requests", "storage")
        one.part(_id(item), _name(item), kind, [kind, f"storage {size}" if size else ""])
    elif kind in WORKLOADS:
        containers = [c for c in sequence(at(_pod(item), "containers")) if isinstance(c, dict)]
        images = [str(c["image"]) for c in containers if c.get("image")] or [
            str(i) for i in [at(item, "spec", "image")] if i
        ]
        what = " ".join(images) or kind
        found = one.part(
            _id(item),
            _name(item),
            "cron " + what if kind == "CronJob" and not images else what,
            _detail(item, kind, containers, images),
        )
        if kind == "CronJob" and found.area in ("source", "target"):
            found.area = "processing"


def _detail(item: dict[str, Any], kind: str, containers: list[dict[str, Any]], images: list[str]) -> list[str]:
    lines = [kind]
    schedule = at(item, "spec", "schedule")
    lines.append(f"{in_words(str(schedule))} ({schedule})" if schedule else "")
    for name, label in (("replicas", "replicas"), ("parallelism", "parallelism"), ("completions", "completions")):
        count = at(item, "spec", name) if kind != "CronJob" else at(item, "spec", "jobTemplate", "spec", name)
        lines.append(f"{label} {count}" if count is not None else "")
    lines += [f"image {image}" for image in images[:3]]
    for container in containers[:2]:
        limits = at(container, "resources", "limits") or at(container, "resources", "requests")
        for name in ("memory", "cpu"):
            value = mapping(limits).get(name)
            lines.append(f"{name} {value}" if value is not None else "")
    instances = at(item, "spec", "executor", "instances")
    lines.append(f"executors {instances}" if instances is not None else "")
    memory = at(item, "spec", "executor", "memory")
    lines.append(f"executor memory {memory}" if memory is not None else "")
    return list(dict.fromkeys(lines))


def _edges(one: Deployment, item: dict[str, Any], objects: list[dict[str, Any]]) -> None:
    pod = _pod(item) if item["kind"] in WORKLOADS else None
    for container in sequence(at(pod, "containers")):
        for source in sequence(at(container, "envFrom")):
            _configured(one, item, at(source, "configMapRef", "name"), at(source, "secretRef", "name"))
        for variable in sequence(at(container, "env")):
            given = at(variable, "valueFrom")
            _configured(one, item, at(given, "configMapKeyRef", "name"), at(given, "secretKeyRef", "name"))
            _addressed(one, item, str(at(variable, "value") or ""), objects)
    for volume in sequence(at(pod, "volumes")):
        _configured(one, item, at(volume, "configMap", "name"), at(volume, "secret", "secretName"))
        claim = at(volume, "persistentVolumeClaim", "claimName")
        if claim:
            one.needs(_id(item), f"PersistentVolumeClaim/{claim}", "mounts")


def _configured(one: Deployment, item: dict[str, Any], config: Any, secret: Any) -> None:
    for kind, name in (("ConfigMap", config), ("Secret", secret)):
        if name:
            one.needs(_id(item), f"{kind}/{name}", "reads")


def _addressed(one: Deployment, item: dict[str, Any], value: str, objects: list[dict[str, Any]]) -> None:
    """A variable that names a service's host: the workloads behind it are used."""
    hosts = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", value.split("?")[0]))
    for other in objects:
        if other["kind"] == "Service" and _name(other) in hosts:
            wanted = mapping(at(other, "spec", "selector"))
            for target in objects:
                labels = mapping(at(target, "spec", "template", "metadata", "labels"))
                if wanted and all(labels.get(key) == text for key, text in wanted.items()):
                    one.needs(_id(item), _id(target), "")
