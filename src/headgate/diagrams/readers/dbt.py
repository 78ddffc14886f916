"""dbt's manifest: models, seeds, snapshots and sources, what each is made of, and the tests of each."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from headgate.diagrams.dags import Dag, Task
from headgate.diagrams.documents import at, mapping, sequence
from headgate.diagrams.drawings.dag import dag
from headgate.diagrams.palette import Role
from headgate.diagrams.readers import Found
from headgate.diagrams.tree import MAX_MANIFEST_BYTES, Tree

ROLES = {
    "source": Role.SOURCE,
    "seed": Role.SOURCE,
    "snapshot": Role.PROCESSING,
    "model": Role.TRANSFORM,
    "exposure": Role.TARGET,
    "metric": Role.TARGET,
    "semantic_model": Role.TARGET,
    "analysis": Role.PROCESS,
    "operation": Role.PROCESS,
}
FILE = re.compile(r"(^|/)manifest[^/]*\.json$")


def found(tree: Tree) -> list[Found]:
    result = []
    for file in tree.files:
        one = read(tree, file) if FILE.search(file) else None
        if one is not None and one.tasks:
            result.append(Found(one.id, {"dag": lambda _depth, one=one: dag(one)}, len(one.tasks), 35))  # type: ignore[misc]
    return result


def read(tree: Tree, file: str) -> Dag | None:
    """The project of a manifest; None for other JSON."""
    text = tree.text(file, MAX_MANIFEST_BYTES)
    if text is None:
        return None
    try:
        document = json.loads(text)
    except RecursionError:
        tree.note("it is nested too deeply", file)
        return None
    except ValueError as error:
        tree.note(f"it is no valid JSON: {error}", file, getattr(error, "lineno", 0))
        return None
    if not mapping(at(document, "nodes")) and not mapping(at(document, "sources")):
        return None
    return _project(document, file)


def _project(document: dict[str, Any], file: str) -> Dag:
    result = Dag(str(at(document, "metadata", "project_name") or "dbt"), what="dbt project", file=file)
    every = {
        id_: node
        for section in ("sources", "nodes", "exposures", "metrics", "semantic_models")
        for id_, node in mapping(document.get(section)).items()
        if isinstance(node, dict)
    }
    tests: Counter[str] = Counter()
    for node in every.values():
        if node.get("resource_type") == "test":
            tests.update([str(one) for one in sequence(at(node, "depends_on", "nodes"))])
    names = _names({id_: node for id_, node in every.items() if _kind(id_, node) in ROLES})
    for id_, name in names.items():
        node = every[id_]
        result.tasks[name] = Task(
            name, ROLES[_kind(id_, node)], _detail(id_, node, tests[id_]), _group(result, node), file
        )
    for id_, name in names.items():
        for before in sequence(at(every[id_], "depends_on", "nodes")):
            if before in names:
                result.wait(names[before], name)
    return result


def _kind(id_: str, node: dict[str, Any]) -> str:
    return str(node.get("resource_type") or id_.split(".")[0])


def _names(nodes: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Short names, with the source's or the package's before them where two are the same."""
    short = {
        id_: f"{node['source_name']}.{node.get('name')}" if node.get("source_name") else str(node.get("name") or id_)
        for id_, node in nodes.items()
    }
    counts = Counter(short.values())
    return {id_: name if counts[name] == 1 else id_ for id_, name in short.items()}


def _detail(id_: str, node: dict[str, Any], tests: int) -> list[str]:
    kind = _kind(id_, node)
    made = at(node, "config", "materialized")
    lines = [f"{kind}, {made}" if made and made != kind else kind]
    strategy, key = at(node, "config", "incremental_strategy"), at(node, "config", "unique_key")
    lines += [f"strategy {strategy}"] if strategy and made == "incremental" else []
    lines += [f"key {key if isinstance(key, str) else ', '.join(map(str, sequence(key)))}"] if key else []
    return lines + ([f"{tests} test{'s' if tests > 1 else ''}"] if tests else [])


def _group(result: Dag, node: dict[str, Any]) -> str:
    """The folder of a model within the project, where it has one; the name of a source."""
    if node.get("source_name"):
        group, label = f"source {node['source_name']}", str(node["source_name"])
    else:
        folders = [str(one) for one in sequence(node.get("fqn"))][1:-1]
        if not folders:
            return ""
        group, label = f"folder {folders[0]}", folders[0]
    result.groups.setdefault(group, (label, ""))
    return group
