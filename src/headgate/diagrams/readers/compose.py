"""docker-compose files."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from headgate.diagrams.deployments import Deployment
from headgate.diagrams.documents import at, documents, mapping, sequence
from headgate.diagrams.drawings.deployment import deployment
from headgate.diagrams.graph import Graph
from headgate.diagrams.readers import Found
from headgate.diagrams.tree import Tree

FILE = re.compile(r"(^|/)(docker-)?compose[^/]*\.ya?ml$|(^|/)[^/]*docker-compose[^/]*\.ya?ml$")


def found(tree: Tree) -> list[Found]:
    files = [
        file for file in tree.files if FILE.search(file) or (len(tree.files) == 1 and file.endswith((".yml", ".yaml")))
    ]
    each = [one for file in files if (one := read(tree, file)).parts]
    return [Found(one.name, {"deployment": partial(_drawn, one)}, len(one.parts), 15) for one in each]


def _drawn(one: Deployment, _depth: int | None) -> Graph:
    return deployment(f"Deployment: {one.name}", [one])


def read(tree: Tree, file: str) -> Deployment:
    """The services of a file, and what they need."""
    result = Deployment(file)
    for document in documents(tree, file):
        services = mapping(at(document, "services"))
        for name, service in services.items():
            if isinstance(service, dict):
                result.part(str(name), str(name), _what(service), list(_detail(service)))
        for name, service in services.items():
            for other, label in _needs(service):
                result.needs(str(name), other, label)
    result.settle()
    return result


def _what(service: dict[str, Any]) -> str:
    build = at(service, "build")
    context = build if isinstance(build, str) else at(build, "context")
    return str(service.get("image") or f"build {context or ''}")


def _detail(service: dict[str, Any]) -> list[str]:
    build = at(service, "build")
    context = build if isinstance(build, str) else at(build, "context")
    lines = [f"image {service['image']}" if service.get("image") else f"build {context}" if context else ""]
    count = at(service, "deploy", "replicas") or service.get("scale")
    lines.append(f"replicas {count}" if count is not None else "")
    limits, asked = at(service, "deploy", "resources", "limits"), at(service, "deploy", "resources", "reservations")
    memory = at(limits, "memory") or service.get("mem_limit") or at(asked, "memory") or service.get("mem_reservation")
    cpus = at(limits, "cpus") or service.get("cpus") or at(asked, "cpus")
    lines.append(f"memory {memory}" if memory is not None else "")
    lines.append(f"cpus {cpus}" if cpus is not None else "")
    ports = [str(at(port, "published") if isinstance(port, dict) else port) for port in sequence(service.get("ports"))]
    lines.append(f"ports {', '.join(ports[:4])}" if ports else "")
    return lines


def _needs(service: Any) -> list[tuple[str, str]]:
    needed = at(service, "depends_on")
    found = [(str(name), "") for name in (needed if isinstance(needed, list | dict) else [])]
    found += [(str(link).split(":")[0], "links") for link in sequence(at(service, "links"))]
    return found
