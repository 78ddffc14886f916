"""YAML of others: several documents, tags that are not ours, anchors; as plain values, nothing is constructed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from headgate.diagrams.tree import Tree

MOST = 2_000
"""Documents of one file."""


class _Loader(yaml.SafeLoader):
    """Safe loading that takes any tag for what it stands before."""


def _untagged(loader: _Loader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


_Loader.add_multi_constructor("!", _untagged)
_Loader.add_multi_constructor("tag:", _untagged)


def documents(tree: Tree, file: str) -> list[Any]:
    """The documents of a YAML or JSON file; a problem, and what came before it, where it is broken."""
    text = tree.text(file)
    if text is None:
        return []
    found: list[Any] = []
    try:
        for document in yaml.load_all(text, _Loader):
            if len(found) == MOST:
                tree.note(f"only the first {MOST:,} documents were looked at", file)
                break
            found.append(document)
    except yaml.MarkedYAMLError as error:
        tree.note(
            f"it is no valid YAML: {error.problem}", file, error.problem_mark.line + 1 if error.problem_mark else 0
        )
    except (yaml.YAMLError, ValueError, TypeError) as error:
        tree.note(f"it is no valid YAML: {error}".split("\n")[0], file)
    except RecursionError:
        tree.note("it is nested too deeply", file)
    return found


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def at(value: Any, *path: str | int) -> Any:
    """What lies at a path, or None."""
    for part in path:
        if isinstance(part, int):
            items = sequence(value)
            value = items[part] if part < len(items) else None
        else:
            value = mapping(value).get(part)
    return value
