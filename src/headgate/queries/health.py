"""Whether everything that the project names answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headgate.config.models import Endpoint
from headgate.core.errors import Code, HeadgateError
from headgate.execute.workspace import LAKE, Workspace

STATE = "state"


@dataclass(frozen=True)
class Probe:
    """What one thing answered. ``message`` is what answered, or why nothing did."""

    name: str
    kind: str
    ok: bool
    message: str
    code: str | None = None
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def connections(workspace: Workspace) -> list[dict[str, Any]]:
    """Name, kind and use of every connection, the lake included; nothing is opened."""
    used: dict[str, set[str]] = {}
    for pipeline in workspace.project.pipelines.values():
        for address in (*pipeline.source_addresses, *pipeline.target_addresses):
            used.setdefault(address.name, set()).add(pipeline.name)
    return [
        {"name": name, "type": _kind(workspace, name), "pipelines": sorted(used.get(name, ()))}
        for name in _names(workspace)
    ]


def answers(workspace: Workspace, names: Sequence[str] = ()) -> list[Probe]:
    """Connect to the connections named, or to all and the lake. Raises NOT_FOUND for an unknown name."""
    known = _names(workspace)
    for name in names:
        if name not in known:
            workspace.connection(name)
    return [_test(workspace, name) for name in names or known]


def health(workspace: Workspace) -> list[Probe]:
    """Every connection, the lake and the history."""
    return [*answers(workspace), _answer(STATE, "history", lambda: _history(workspace))]


def _names(workspace: Workspace) -> list[str]:
    return [*workspace.project.connections, LAKE]


def _kind(workspace: Workspace, name: str) -> str:
    """The kind of a connection, also of one whose references have no value."""
    if name != LAKE:
        return workspace.project.connections.kinds[name]
    try:
        return workspace.project.lake.type
    except HeadgateError:
        return LAKE


def _test(workspace: Workspace, name: str) -> Probe:
    return _answer(name, _kind(workspace, name), lambda: _connect(workspace, workspace.connection(name)))


def _connect(workspace: Workspace, endpoint: Endpoint) -> str:
    """Ask it as what it is used for: a target that a first run would make is not missing."""
    if endpoint.name == LAKE or endpoint.name in _targets(workspace):
        return workspace.store(endpoint).test()
    if endpoint.kind in workspace.registry.kinds("sources"):
        return workspace.source(endpoint).test()
    return workspace.store(endpoint).test()


def _targets(workspace: Workspace) -> set[str]:
    """What pipelines write to, though others may read it."""
    pipelines = workspace.project.pipelines.values()
    written = {address.name for pipeline in pipelines for address in pipeline.target_addresses}
    kinds = workspace.project.connections.kinds
    return {name for name in written if kinds.get(name) in workspace.registry.kinds("targets")}


def _history(workspace: Workspace) -> str:
    workspace.history.test()
    return "the history can be read and written"


def _answer(name: str, kind: str, ask: Callable[[], str]) -> Probe:
    try:
        return Probe(name, kind, True, ask())
    except HeadgateError as error:
        return Probe(name, kind, False, error.message, error.code.value, error.hint)
    except Exception as error:  # noqa: BLE001 - one broken connection must not hide the state of the others
        return Probe(name, kind, False, f"{type(error).__name__}: {error}", Code.INTERNAL.value)
