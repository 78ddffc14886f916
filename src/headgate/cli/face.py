"""What one call of the command line was told, and how it speaks: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from headgate.core.errors import HeadgateError, Problem
    from headgate.core.events import Listener
    from headgate.execute.workspace import Workspace

Color = Literal["red", "green", "yellow", "cyan", "bright_black"]
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All but tabulator and line feed."""


@dataclass(frozen=True)
class Face:
    """The options that every command takes, and output in the form they ask for."""

    json: bool = False
    directory: Path = field(default_factory=Path)
    quiet: bool = False
    log_format: Literal["text", "json"] = "text"
    debug: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------- the project

    @property
    def root(self) -> Path:
        """The project's folder. Raises CONFIG_INVALID with the hint ``headgate init`` when there is none."""
        from headgate.config.load import find_root

        return find_root(self.directory)

    def workspace(self, listeners: Sequence[Listener] = (), *, set_aside: bool = False) -> Workspace:
        """The project, open. Raises CONFIG_INVALID with every problem found; ``set_aside``: but those of pipelines."""
        from headgate.execute.workspace import Workspace

        return Workspace.load(self.root, variables=self.variables, listeners=tuple(listeners), set_aside=set_aside)

    @contextmanager
    def listening(self, root: Path | None = None) -> Iterator[tuple[Listener, ...]]:
        """Listeners of runs: of a lost Ctrl-C, the run's log file, and progress or structured logs on stderr."""
        from headgate.cli.interrupts import insist
        from headgate.observe.logs import RunLog, structured

        log = RunLog((root or self.root) / ".headgate" / "logs")
        if self.log_format == "json":
            yield (insist, log, structured(sys.stderr))
        elif self.quiet:
            yield (insist, log)
        else:
            from headgate.observe.progress import progress

            with progress(sys.stderr) as listener:
                yield (insist, log, listener)

    # ------------------------------------------------------------------------------------------- stdout

    def document(self, value: Any) -> None:
        """Print the one JSON document of the call."""
        print(json.dumps(masked(value), ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))

    def line(self, text: str = "", color: Color | None = None) -> None:
        """Print a line."""
        import typer

        shown = _told(text)
        typer.echo(typer.style(shown, fg=color) if color and colored(sys.stdout) else shown)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print rows under their columns: ruled on a terminal, plain and aligned where output is piped."""
        texts = [[_told(_cell(value)) for value in row] for row in rows]
        if sys.stdout.isatty():
            _ruled(columns, texts)
            return
        widths = [max(len(column), *(len(row[i]) for row in texts), 0) for i, column in enumerate(columns)]
        for row in [list(columns), *texts]:
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())

    # ------------------------------------------------------------------------------------------- stderr

    def note(self, text: str) -> None:
        """Tell people something beside the result; nothing with ``--quiet``."""
        if not self.quiet:
            print(_told(text), file=sys.stderr)

    def fail(self, error: HeadgateError) -> int:
        """Tell of an error; the exit status that its code has."""
        from headgate.core.errors import exit_status

        if self.json:
            self.trace(error)
            self.document({"error": error.as_dict()})
        else:
            self.tell(error)
        return exit_status(error.code)

    def tell(self, error: HeadgateError) -> None:
        """Tell people of an error."""
        self.trace(error)
        for number, text in enumerate(error_lines(error)):
            print(_red(text) if number == 0 else text, file=sys.stderr)

    def trace(self, error: HeadgateError) -> None:
        """Where an error comes from, with ``--debug``."""
        if self.debug and (error.__traceback__ is not None or error.__cause__ is not None):
            import traceback

            print(_mask("".join(traceback.format_exception(error))), file=sys.stderr)


def error_lines(error: HeadgateError) -> list[str]:
    """An error for people: code, operation, object, message; where it is; what to do."""
    where = " ".join(part for part in (error.operation, error.object) if part)
    lines = [
        f"error[{error.code.value}] {where}: {error.message}" if where else f"error[{error.code.value}] {error.message}"
    ]
    if len(error.problems) > 1:
        lines = [f"error[{error.code.value}] {where}: {len(error.problems)} problems"]
        lines += [f"  {problem}" for problem in error.problems]
    for problem in error.problems[:1] if len(error.problems) == 1 else ():
        if problem.message not in error.message:
            lines.append(f"  {problem}")
        elif str(problem) not in error.message:
            lines.append(f"  {_place(problem)}")
    if error.hint:
        lines.append(f"  hint: {error.hint}")
    return [_told(text) for text in lines]


def _place(problem: Problem) -> str:
    at = f"{problem.file}:{problem.line}" if problem.line else problem.file
    return ": ".join(part for part in (f"at {at}" if at else "", problem.path) if part)


def masked(value: Any) -> Any:
    """A JSON value with every secret in its texts replaced."""
    match value:
        case str():
            return _mask(value)
        case Mapping():
            return {_mask(str(key)): masked(item) for key, item in value.items()}
        case list() | tuple():
            return [masked(item) for item in value]
        case _:
            return value


def colored(stream: Any) -> bool:
    """Whether a stream is a terminal whose user wants colour (https://no-color.org)."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _mask(text: str) -> str:
    from headgate.core.secrets import mask

    return mask(text)


def _told(text: str) -> str:
    """Text for people, without secrets; control characters are shown, since a terminal obeys those in data."""
    return _CONTROLS.sub(lambda found: repr(found.group())[1:-1], _mask(text))


def _red(text: str) -> str:
    import typer

    return typer.style(text, fg="red") if colored(sys.stderr) else text


def _cell(value: Any) -> str:
    """A value in a table: one line; NULL is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return " ".join(str(value).splitlines()) if isinstance(value, str) else str(value)


def _ruled(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(Text(column), no_wrap=True)
    for row in texts:
        table.add_row(*(Text(text) for text in row))
    needed = Console(width=1_000_000).measure(table).maximum
    width = max(Console(file=sys.stdout).width, needed)  # values stay whole: a terminal wraps lines that are too long
    Console(file=sys.stdout, width=width, soft_wrap=True).print(table, crop=False)
