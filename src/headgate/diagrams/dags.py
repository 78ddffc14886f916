"""Tasks and what they wait for, as foreign schedulers have them. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from headgate.diagrams.palette import Role


@dataclass
class Task:
    """``group``: id of a group of the DAG; ``detail``: operator, retries, trigger rule, as the source has them."""

    id: str
    role: Role
    detail: list[str] = field(default_factory=list)
    group: str = ""
    file: str = ""
    line: int = 0


@dataclass
class Dag:
    """``schedule``: what starts it, with ``words`` for people; both empty where the source says nothing."""

    id: str
    schedule: str = ""
    words: str = ""
    detail: list[str] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)
    edges: list[tuple[str, str, str]] = field(default_factory=list)
    groups: dict[str, tuple[str, str]] = field(default_factory=dict)
    what: str = "Airflow DAG"
    file: str = ""

    def wait(self, before: str, after: str, label: str = "") -> None:
        """``after`` waits for ``before``."""
        edge = (before, after, label)
        if before != after and edge not in self.edges:
            self.edges.append(edge)

    @property
    def heads(self) -> list[str]:
        """Tasks that wait for none."""
        waiting = {after for _, after, _ in self.edges}
        return [name for name in self.tasks if name not in waiting]
