"""A project in Python: what the command line does, as methods that return values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from headgate.api.tables import Table
from headgate.commands.models import Command, InitProject, RunPipeline
from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.events import Listener
from headgate.core.results import Result
from headgate.core.runs import Receipt

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.execute.workspace import Workspace
    from headgate.plan.stages import Plan
    from headgate.queries.plans import Report


class RunError(HeadgateError):
    """A run that did not succeed. ``receipt`` says how far it came; None if it never began."""

    def __init__(self, error: HeadgateError, receipt: Receipt | None) -> None:
        super().__init__(
            error.code,
            error.message,
            operation=error.operation,
            object=error.object,
            hint=error.hint,
            problems=error.problems,
        )
        self.receipt = receipt


class Project:
    """A folder with ``headgate.yml``. Connections are opened for each call and closed after it.

    Args:
        root: the project's folder.
        variables: values of ``{{ var.NAME }}``.
        listeners: called with every event of every run, beside the run's log.
    """

    def __init__(
        self, root: Path, *, variables: Mapping[str, str] | None = None, listeners: Sequence[Listener] = ()
    ) -> None:
        self.root, self._variables, self._listeners = root, dict(variables or {}), tuple(listeners)

    @classmethod
    def load(
        cls,
        path: str | Path = ".",
        *,
        variables: Mapping[str, str] | None = None,
        listeners: Sequence[Listener] = (),
    ) -> Project:
        """The project in ``path`` or in a folder above it.

        Raises:
            FatalError: NOT_FOUND without a project; CONFIG_INVALID with every problem of its files.
        """
        from headgate.config.load import find_root

        project = cls(find_root(Path(path)), variables=variables, listeners=listeners)
        with project._workspace():
            return project

    @property
    def pipelines(self) -> list[str]:
        """The names of the pipelines."""
        with self._workspace() as workspace:
            return list(workspace.project.pipelines)

    def run(
        self,
        name: str,
        *,
        date: str | None = None,
        start: str | None = None,
        end: str | None = None,
        full_refresh: bool = False,
        limit: int | None = None,
        publish: bool = True,
        force: bool = False,
        variables: Mapping[str, str] | None = None,
        raise_on_failure: bool = True,
    ) -> Receipt:
        """Run a pipeline once.

        Args:
            date: the day that the run is for; or ``start`` and ``end``, exclusive.
            full_refresh: replace data and watermark in one commit.
            limit: try it on so many rows, and publish nothing.
            publish: False stages the run, for :class:`PublishRun` or :class:`DiscardRun`.
            force: do an interval again that is done.
            raise_on_failure: False returns the receipt of a failed run, with its ``error``.

        Raises:
            RunError: when the run failed or was refused; it carries code, message and receipt.
        """
        try:
            command = RunPipeline(
                pipeline=name,
                date=date,
                start=start,
                end=end,
                full_refresh=full_refresh,
                limit=limit,
                publish=publish,
                force=force,
                variables={**self._variables, **(variables or {})},
            )
        except ValidationError as error:
            wrong = error.errors()[0]
            about = ".".join(str(part) for part in wrong["loc"])
            said = str(wrong["msg"]).removeprefix("Value error, ")
            raise RunError(FatalError(Code.USAGE, f"{about}: {said}", operation="run", object=name), None) from None
        result = self.execute(command)
        if result.failure is not None and (raise_on_failure or result.value is None):
            raise RunError(result.failure, result.value) from result.failure
        receipt: Receipt | None = result.value
        assert receipt is not None
        return receipt

    def execute(self, command: Command) -> Result[Any]:
        """Do what a command says. Never raises: a failure is in the result, with its code."""
        from headgate.commands.handle import AnyCommand, guarded, handle

        def act() -> Result[Any]:
            if isinstance(command, InitProject):
                from headgate.commands.init import init_project

                return init_project(command)
            if not isinstance(command, AnyCommand):
                raise FatalError(
                    Code.USAGE,
                    f"{type(command).__name__} is no command",
                    operation="execute",
                    hint="see headgate.commands",
                )
            with self._workspace() as workspace:
                return handle(command, workspace)

        return guarded(act)

    def plan(self, name: str, *, date: str | None = None, start: str | None = None, end: str | None = None) -> Plan:
        """What a run would do: stages, SQL, columns, lineage. Nothing is written."""
        from headgate.execute.intervals import interval_of
        from headgate.queries.plans import plan

        with self._workspace() as workspace:
            return plan(workspace, name, interval_of(date, start, end), self._variables)

    def check(self, *names: str, offline: bool = False) -> Report:
        """Every problem of the configuration and, unless ``offline``, of every plan."""
        from headgate.queries.plans import check

        return check(lambda: self._workspace(set_aside=True), names, offline=offline, variables=self._variables)

    def table(self, name: str, at: str | None = None, *, connection: str | None = None) -> Table:
        """A table of the lake or of ``connection``, now or as it was ``at`` a version."""

        def reading(sql: str) -> AbstractContextManager[pa.RecordBatchReader]:
            return self._reading(sql, at, connection)

        return Table(name, at, connection, _reading=reading)

    def query(self, sql: str, *, at: str | None = None, connection: str | None = None) -> pa.Table:
        """The result of one SELECT over tables of the lake or of ``connection``, as an Arrow table."""
        with self._reading(sql, at, connection) as reader:
            return reader.read_all()

    def runs(self, *names: str, limit: int = 50) -> list[Receipt]:
        """What was run, newest first."""
        from headgate.queries.history import runs

        with self._workspace() as workspace:
            return runs(workspace, names, limit)

    def show(self, run: str) -> Receipt:
        """The receipt of one run, by its id or how it begins."""
        from headgate.queries.history import show

        with self._workspace() as workspace:
            return show(workspace, run)

    def _workspace(self, *, set_aside: bool = False) -> Workspace:
        from headgate.execute.workspace import Workspace
        from headgate.observe.logs import RunLog

        log = RunLog(self.root / ".headgate" / "logs")
        return Workspace.load(
            self.root, variables=self._variables, listeners=(log, *self._listeners), set_aside=set_aside
        )

    def _reading(
        self, sql: str, at: str | None, connection: str | None
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        from headgate.api.reading import reading

        return reading(self._workspace, sql, at, connection)
