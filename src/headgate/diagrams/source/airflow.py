"""The vocabulary of Airflow: DAGs, tasks and their order, in any of the styles in which they are written."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from headgate.diagrams.dags import Dag, Task
from headgate.diagrams.source import shown
from headgate.diagrams.source.callables import schedule_of, steps_of
from headgate.diagrams.source.etl import Etl
from headgate.diagrams.source.flow import Block
from headgate.diagrams.source.operators import role_of, told
from headgate.diagrams.source.values import (
    NOTHING,
    Called,
    Class,
    Either,
    Function,
    Instance,
    Items,
    Known,
    Pairs,
    Thing,
    Value,
    known,
    origins_of,
)

if TYPE_CHECKING:
    from headgate.diagrams.source.machine import Machine, Scope

OPERATOR = re.compile(r"(Operator|Sensor|OperatorAsync|SensorAsync)$")
TASK, GROUP, DAG, LABEL, DEFINED = "airflow.task", "airflow.group:", "airflow.dag:", "airflow.label", "airflow.defined"
DECORATORS = re.compile(r"(?:^|\.)(task_group|task|dag)(?:\.(\w+))?$")


@dataclass
class Airflow(Etl):
    """Tasks are numbered below zero, so that values tell tasks and steps apart."""

    unrolls = True
    dags: list[Dag] = field(default_factory=list)
    names: dict[int, tuple[Dag, str]] = field(default_factory=dict)
    here: list[Dag] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    waits: list[tuple[Dag | None, int | str, int | str, str]] = field(default_factory=list)
    defaults: dict[str, Pairs] = field(default_factory=dict)
    defined: list[Thing] = field(default_factory=list)
    bare: set[str] = field(default_factory=set)
    made: set[int] = field(default_factory=set)

    # ------------------------------------------------------------------------------------------------- calls

    def called(  # noqa: C901 - one case a call
        self, machine: Machine, thing: Thing, call: Called, node: ast.Call, scope: Scope
    ) -> Value | None:
        last = call.name
        if thing.path.startswith(DEFINED):
            return self._defined(machine, thing, call, node, scope)
        if thing.path.startswith((TASK, GROUP)) and last in ("set_downstream", "set_upstream"):
            first, second = (thing, call.args[0]) if last == "set_downstream" else (call.args[0], thing)
            self._order(first, second)
            return Known(value=None)
        if last == "DAG" or thing.path.endswith("models.dag.DAG"):
            return self._dag(machine, call, node)
        if last == "TaskGroup":
            return self._group(call.argument(0, "group_id"), call, node)
        if last in ("chain", "chain_linear") and "." in thing.path:
            self._chain(call)
            return Known(value=None)
        if last == "cross_downstream":
            self._order(call.args[0], call.args[1])
            return Known(value=None)
        if last == "Label":
            return Thing(NOTHING, LABEL, shown=call.args[0].text if call.args else "")
        if last in ("expand", "expand_kwargs", "map") and thing.calls and thing.calls[-1].name == "partial":
            partial = thing.calls[-1]
            operator = (
                thing.path.removesuffix(f".{last}").removesuffix("()").removesuffix(".partial").rpartition(".")[2]
            )
            if OPERATOR.search(operator):
                both = Called(operator, partial.args, {**partial.kwargs, **call.kwargs})
                return self._task(machine, operator, both, node, scope, mapped=True)
        if OPERATOR.search(last) and "." in thing.path:
            return self._task(machine, last, call, node, scope)
        if thing.path == "builtins.range" and all(isinstance(known(one), int) for one in call.args):
            return Items(NOTHING, tuple(Known(value=number) for number in list(range(*map(known, call.args)))[:100]))
        if thing.path.startswith(TASK):
            return Thing(thing.origins, TASK)
        return super().called(machine, thing, call, node, scope)

    def made_by(self, machine: Machine, class_: Class, call: Called, node: ast.AST, scope: Scope) -> Value | None:
        """An operator that the project defines itself: a class whose line leads out to an operator."""
        assert class_.info is not None
        bases = [base for one in machine.lineage(class_.info) for base in one.bases]
        if "task_id" in call.kwargs and any(OPERATOR.search(base) for base in bases):
            return self._task(machine, class_.info.name, call, node, scope)
        return None

    def operated(self, machine: Machine, operator: str, left: Value, right: Value) -> Value | None:
        if operator not in (">>", "<<"):
            return None
        if isinstance(right, Thing) and right.path == LABEL:
            return Thing(left.origins | origins_of([left]), LABEL, (Called("after", (left,)),), right.shown)
        if isinstance(left, Thing) and left.path == LABEL and left.calls:
            before = left.calls[-1].args[0]
            first, second = (before, right) if operator == ">>" else (right, before)
            self._order(first, second, left.shown)
            return right
        if not (self._refs(left) and self._refs(right)):
            return None
        self._order(*((left, right) if operator == ">>" else (right, left)))
        return right

    def decorated(self, machine: Machine, function: Value, decorator: ast.expr, scope: Scope) -> Value:
        call = decorator if isinstance(decorator, ast.Call) else None
        value = machine.evaluate(call.func if call else decorator, scope)
        path = value.path if isinstance(value, Thing) else ""
        found = DECORATORS.search(re.sub(r"\(\)", "", path))
        if not found or not (path.startswith(("airflow", "?", DAG)) or "airflow" in path):
            return function
        options = {one.arg: machine.evaluate(one.value, scope) for one in call.keywords if one.arg} if call else {}
        args = tuple(machine.evaluate(one, scope) for one in call.args) if call else ()
        kind = found[1] + (f".{found[2]}" if found[2] else "")
        thing = Thing(NOTHING, DEFINED, (Called(kind, (function, *args), options),))
        if kind == "dag":
            self.defined.append(thing)
        return thing

    def used(self, machine: Machine, value: Value, node: ast.With | ast.AsyncWith, begins: bool) -> None:
        path = value.path if isinstance(value, Thing) else ""
        if path.startswith(DAG):
            found = next(one for one in self.dags if id(one) == int(path.removeprefix(DAG)))
            self.here.append(found) if begins else self.here.pop()
        elif path.startswith(GROUP):
            self.groups.append(path.removeprefix(GROUP)) if begins else self.groups.pop()

    # ------------------------------------------------------------------------------------------------- DAGs

    def _dag(self, machine: Machine, call: Called, node: ast.AST, name: str = "") -> Value:
        given = call.argument(0, "dag_id")
        found = Dag(given.text if given is not None else name or "dag", file=machine.where[-1].file)
        schedule = call.argument(None, "schedule", "schedule_interval", "timetable")
        found.schedule, found.words = schedule_of(schedule)
        defaults = call.kwargs.get("default_args")
        if isinstance(defaults, Pairs):
            self.defaults[str(id(found))] = defaults
        for key in ("catchup", "max_active_runs"):
            if key in call.kwargs:
                found.detail.append(f"{key}={shown.listed(call.kwargs[key])}")
        self.dags.append(found)
        return Thing(NOTHING, f"{DAG}{id(found)}")

    def _current(self, call: Called) -> Dag | None:
        given = call.kwargs.get("dag")
        if isinstance(given, Either):
            given = next((one for one in given.options if isinstance(one, Thing)), given)
        if isinstance(given, Thing) and given.path.startswith(DAG):
            return next((one for one in self.dags if id(one) == int(given.path.removeprefix(DAG))), None)
        if self.here:
            return self.here[-1]
        return None

    def _group(self, given: Value | None, call: Called, node: ast.AST) -> Value:
        dag = self._current(call)
        label = given.text if given is not None else "group"
        parent = self.groups[-1] if self.groups else ""
        name = f"{parent}.{label}" if parent else label
        if dag is not None:
            dag.groups.setdefault(name, (label, parent))
        if known(call.kwargs.get("prefix_group_id")) is False:
            self.bare.add(name)
        return Thing(NOTHING, f"{GROUP}{name}")

    def _task(
        self, machine: Machine, operator: str, call: Called, node: ast.AST, scope: Scope, mapped: bool = False
    ) -> Value:
        dag = self._current(call)
        given = call.argument(None, "task_id")
        if dag is None:
            if given is None:
                return Thing(NOTHING, "?operator")
            dag = self._homeless(machine)
        name = given.text if given is not None else operator
        body = self._followed(machine, call.kwargs.get("python_callable"), call, node, scope)
        role = role_of(operator, name, call, body)
        detail = [operator + (" (mapped)" if mapped else ""), *told(call, self.defaults.get(str(id(dag))))]
        return self._add(
            machine,
            dag,
            Task(name, role, [*detail, *steps_of(body)], file=machine.where[-1].file, line=getattr(node, "lineno", 0)),
            call,
        )

    def _homeless(self, machine: Machine) -> Dag:
        """Tasks of a function that is given its DAG by somebody unknown."""
        stem = machine.where[-1].stem
        found = next((one for one in self.dags if one.id == stem), None)
        if found is None:
            found = Dag(stem, file=machine.where[-1].file)
            self.dags.append(found)
        return found

    def _add(self, machine: Machine, dag: Dag, task: Task, call: Called) -> Value:
        group = call.kwargs.get("task_group")
        if isinstance(group, Thing) and group.path.startswith(GROUP):
            task.group = group.path.removeprefix(GROUP)
        elif self.groups and self.groups[-1] in dag.groups:
            task.group = self.groups[-1]
        if task.group and task.group not in self.bare:
            task.id = f"{task.group}.{task.id}"
        base, count = task.id, 1
        while task.id in dag.tasks and dag.tasks[task.id].line != task.line:
            task.id, count = f"{base}__{count}", count + 1
        dag.tasks[task.id] = task
        number = next((one for one, kept in self.names.items() if kept == (dag, task.id)), -len(self.names) - 1)
        self.names[number] = (dag, task.id)
        result = Thing(frozenset({number}), TASK, shown=task.id)
        for value in (*call.args, *call.kwargs.values()):
            for before in sorted(origins_of([value]), reverse=True):
                if before < 0:
                    self.waits.append((dag, before, number, ""))
        return result

    def _followed(
        self, machine: Machine, function: Value | None, call: Called, node: ast.AST, scope: Scope
    ) -> Block | None:
        """What the function of a task does to data."""
        from headgate.diagrams.source.calls import follow

        if not isinstance(function, Function) or not isinstance(function.node, ast.FunctionDef | ast.AsyncFunctionDef):
            return None
        if function.node in machine.active:
            return None
        given = call.kwargs.get("op_kwargs")
        machine.entered.setdefault(function.node, set()).add(None)
        with machine.block() as block:
            kept = self.here, self.groups
            self.here, self.groups = [], []
            follow(machine, function, (), dict(given.pairs) if isinstance(given, Pairs) else {})
            self.here, self.groups = kept
        return block

    # -------------------------------------------------------------------------------------------- decorators

    def _defined(self, machine: Machine, thing: Thing, call: Called, node: ast.Call, scope: Scope) -> Value | None:
        defined = thing.calls[0]
        function = defined.args[0]
        rest = re.sub(r"\(\)", "", thing.path).removeprefix(DEFINED).strip(".")
        if rest.endswith(("override", "partial")):
            return Thing(NOTHING, f"{DEFINED}.{rest.rpartition('.')[2]}()", (*thing.calls, call))
        options = {key: one for more in thing.calls for key, one in more.kwargs.items()}
        if rest == "function":
            return None
        if defined.name == "dag":
            return self.run_dag(machine, thing, call, node, scope)
        if defined.name == "task_group":
            return self._run_group(machine, function, options, call, node, scope)
        name = options.get("task_id")
        assert isinstance(function, Function)
        title = name.text if name is not None else getattr(function.node, "name", "task")
        dag = self.here[-1] if self.here else self._homeless(machine)
        body = self._followed(machine, function, call, node, scope)
        operator = f"@{defined.name}"
        mapped = rest.endswith(("expand", "expand_kwargs"))
        shown_call = Called(operator, call.args, {**options, **call.kwargs})
        task = Task(title, role_of(operator, title, shown_call, body), file=machine.where[-1].file, line=node.lineno)
        settings = Called(operator, (), options)
        task.detail = [
            operator + (" (mapped)" if mapped else ""),
            *told(settings, self.defaults.get(str(id(dag)))),
            *steps_of(body),
        ]
        if task.id in dag.tasks:
            task.line = -len(dag.tasks)
        return self._add(machine, dag, task, Called(operator, call.args, call.kwargs))

    def run_dag(self, machine: Machine, thing: Thing, call: Called, node: ast.AST, scope: Scope) -> Value:
        """Follow a function that is decorated with ``@dag``."""
        from headgate.diagrams.source.calls import follow

        defined = thing.calls[0]
        function = defined.args[0]
        assert isinstance(function, Function)
        self.made.add(id(thing))
        machine.where.append(function.module) if function.module else None
        options = Called("dag", defined.args[1:], defined.kwargs)
        value = self._dag(machine, options, node, getattr(function.node, "name", ""))
        if function.module:
            machine.where.pop()
        self.here.append(self.dags[-1])
        with machine.block():
            follow(machine, function, call.args, call.kwargs)
        self.here.pop()
        return value

    def _run_group(
        self, machine: Machine, function: Value, options: dict[str, Value], call: Called, node: ast.AST, scope: Scope
    ) -> Value:
        from headgate.diagrams.source.calls import follow

        assert isinstance(function, Function)
        given = options.get("group_id") or Known(value=getattr(function.node, "name", "group"))
        group = self._group(given, Called("task_group", (), {}), node)
        assert isinstance(group, Thing)
        self.groups.append(group.path.removeprefix(GROUP))
        with machine.block():
            inner = follow(machine, function, call.args, call.kwargs)
        self.groups.pop()
        return Thing(origins_of([inner]), group.path)

    # ------------------------------------------------------------------------------------------------- order

    def _refs(self, value: Value) -> list[int | str]:
        match value:
            case Thing() if value.path.startswith(GROUP):
                return [value.path]
            case Items():
                return [ref for one in value.items for ref in self._refs(one)]
            case Pairs():
                return [ref for one in value.pairs.values() for ref in self._refs(one)]
            case Either():
                return [ref for one in value.options for ref in self._refs(one)]
            case Instance():
                return []
            case _:
                return [number for number in sorted(value.origins, reverse=True) if number < 0]

    def _order(self, before: Value, after: Value, label: str = "") -> None:
        dag = self.here[-1] if self.here else None
        self.waits += [(dag, one, other, label) for one in self._refs(before) for other in self._refs(after)]

    def _chain(self, call: Called) -> None:
        given = [one for one in call.args if self._refs(one)]
        for before, after in pairwise(given):
            if (
                isinstance(before, Items)
                and isinstance(after, Items)
                and len(before.items) == len(after.items)
                and call.name == "chain"
            ):
                for one, other in zip(before.items, after.items, strict=True):
                    self._order(one, other)
            else:
                self._order(before, after)

    def settled(self) -> list[Dag]:
        """The DAGs with their edges, those between groups resolved: from what ends one to what begins the other."""
        for _, before, after, label in self.waits:
            if isinstance(before, int) and isinstance(after, int):
                dag, name = self.names[before]
                if self.names[after][0] is dag:
                    dag.wait(name, self.names[after][1], label)
        for written, before, after, label in self.waits:
            if isinstance(before, int) and isinstance(after, int):
                continue
            owner = next((self.names[ref][0] for ref in (before, after) if isinstance(ref, int)), written)
            if owner is None:
                continue
            for one in self._ends(owner, before, last=True):
                for other in self._ends(owner, after, last=False):
                    owner.wait(one, other, label)
        return [one for one in self.dags if one.tasks]

    def _ends(self, dag: Dag, ref: int | str, *, last: bool) -> list[str]:
        if isinstance(ref, int):
            return [self.names[ref][1]]
        group = ref.removeprefix(GROUP)
        members = [task.id for task in dag.tasks.values() if task.group == group or task.group.startswith(f"{group}.")]
        inside = {(before, after) for before, after, _ in dag.edges if before in members and after in members}
        busy = {before for before, _ in inside} if last else {after for _, after in inside}
        return [name for name in members if name not in busy]
