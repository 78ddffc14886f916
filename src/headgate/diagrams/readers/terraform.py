"""Terraform files, parsed by python-hcl2 (the extra ``terraform``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from headgate.diagrams.deployments import Deployment
from headgate.diagrams.documents import mapping, sequence
from headgate.diagrams.drawings.deployment import deployment
from headgate.diagrams.readers import Found
from headgate.diagrams.tree import Tree

BESIDE = re.compile(
    r"(^|_)(iam|policy|attachment|role|security_group|subnet|vpc|route|gateway|random|acl|permission|association|"
    r"network|parameter_group|versioning|encryption|public_access_block|lifecycle_configuration|eip|key_pair|firewall|"
    r"ownership_controls|s3_object|bucket_object|layer|subscription|metric_filter)(_|$)|^null_resource$"
)
"""Resources that hold others together and are no parts of their own."""
TOLD = (
    ("instance_type", ""),
    ("instance_class", ""),
    ("node_type", ""),
    ("machine_type", ""),
    ("size", "size "),
    ("sku", ""),
    ("sku_name", ""),
    ("warehouse_size", "size "),
    ("engine", ""),
    ("engine_version", "version "),
    ("database_version", ""),
    ("image", "image "),
    ("allocated_storage", "storage GB "),
    ("memory_size", "memory MB "),
    ("memory", "memory "),
    ("cpu", "cpu "),
    ("desired_count", "count "),
    ("count", "count "),
    ("number_of_nodes", "nodes "),
    ("instance_count", "instances "),
    ("number_of_workers", "workers "),
    ("worker_type", "worker "),
    ("num_instances", "instances "),
    ("number_of_broker_nodes", "brokers "),
    ("num_workers", "workers "),
    ("min_workers", "min workers "),
    ("max_workers", "max workers "),
    ("bucket", "bucket "),
    ("runtime", ""),
    ("schedule_expression", ""),
    ("shard_count", "shards "),
    ("replicas", "replicas "),
    ("environment_class", ""),
    ("node_type_id", ""),
    ("cluster_size", ""),
)
INNER = (
    "core_instance_group",
    "master_instance_group",
    "autoscale",
    "settings",
    "node_config",
    "worker_config",
    "master_config",
    "cluster_config",
    "default_node_pool",
    "broker_node_group_info",
)


def found(tree: Tree) -> list[Found]:
    files = list(tree.ending(".tf", ".tf.json"))
    if not files:
        return []
    one = read(tree, files)
    if not one.parts:
        return []
    return [
        Found(
            "terraform",
            {"deployment": lambda _depth: deployment(f"Deployment: {tree.name}", [one])},
            len(one.parts),
            15,
        )
    ]


def read(tree: Tree, files: list[str]) -> Deployment:
    """The resources of all files, and which names which."""
    result = Deployment(tree.name)
    resources: list[tuple[str, str, Any]] = []
    variables: dict[str, Any] = {}
    for file in files:
        document = _document(tree, file)
        for kind, name, body in _blocks(document, "resource"):
            resources.append((kind, name, body))
        for one in sequence(document.get("variable")):
            for name, body in mapping(one).items():
                if "default" in mapping(body):
                    variables[_plain(name)] = body["default"]
    for kind, name, body in resources:
        if not BESIDE.search(kind):
            given = str(body.get("name") or body.get("bucket") or body.get("function_name") or name)
            label = name if "${" in given and "." in given else _value(given, variables)
            result.part(
                f"{kind}.{name}",
                label,
                f"{kind} {_value(body.get('engine', ''), variables)}",
                [kind, *_detail(body, variables)],
            )
    for kind, name, body in resources:
        for other in re.findall(r"\b([a-z]+_\w+\.[\w-]+)", str(body)):
            result.needs(f"{kind}.{name}", other)
    return result


def _document(tree: Tree, file: str) -> dict[str, Any]:
    text = tree.text(file)
    if text is None:
        return {}
    try:
        import hcl2
    except ImportError:
        tree.note("Terraform needs python-hcl2, which is not installed", file, hint="pip install 'headgate[terraform]'")
        return {}
    try:
        return dict(hcl2.loads(text))
    except RecursionError:
        tree.note("it is nested too deeply", file)
    except Exception as error:  # noqa: BLE001 - the parser's errors are those of another library, and have no common base
        tree.note(f"it is no valid Terraform: {str(error).splitlines()[0]}", file, int(getattr(error, "line", 0) or 0))
    return {}


def _blocks(document: dict[str, Any], kind: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for block in sequence(document.get(kind)):
        for what, named in mapping(block).items():
            for name, body in mapping(named).items():
                if isinstance(body, dict):
                    yield _plain(what), _plain(name), body


def _detail(body: dict[str, Any], variables: dict[str, Any]) -> list[str]:
    lines = []
    for one in (body, *(inner for name in INNER for inner in sequence(body.get(name)))):
        for key, label in TOLD:
            value = mapping(one).get(key)
            if value is not None and not isinstance(value, dict | list):
                lines.append(f"{label}{_value(value, variables)}")
    return list(dict.fromkeys(lines))[:6]


def _plain(text: Any) -> str:
    return str(text).strip('"')


def _value(value: Any, variables: dict[str, Any]) -> str:
    """A value as given; a variable by its default, where it has one."""
    text = _plain(value)
    only = re.fullmatch(r"\$\{var\.(\w+)\}", text)
    if only and only[1] in variables:
        return _plain(variables[only[1]])
    return re.sub(r"^\$\{([^{}]*)\}$", r"\1", text)
