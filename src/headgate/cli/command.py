"""The frame of every command: the options all have, and errors that become one message and an exit status."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from headgate.cli.face import Face
from headgate.cli.interrupts import ended_by_signals
from headgate.cli.start import wants_json

if TYPE_CHECKING:
    from headgate.core.errors import HeadgateError

EVERYWHERE = "Options of every command"


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


def _version(asked: bool) -> None:
    if asked:
        from headgate import __version__

        typer.echo(f"headgate {__version__}")
        raise typer.Exit


OutputOption = Annotated[
    Output | None,
    typer.Option("-o", "--output", help="What stdout gets: text, or one JSON document.", rich_help_panel=EVERYWHERE),
]
DirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "-C", "--directory", metavar="DIR", help="The project, or a folder in it.", rich_help_panel=EVERYWHERE
    ),
]
QuietOption = Annotated[
    bool | None, typer.Option("--quiet", help="No progress, no notes.", rich_help_panel=EVERYWHERE, show_default=False)
]
LogFormatOption = Annotated[
    Output | None,
    typer.Option(
        "--log-format", help="Progress as text, or every event as JSON on stderr.", rich_help_panel=EVERYWHERE
    ),
]
DebugOption = Annotated[
    bool | None,
    typer.Option(
        "--debug", help="Logs in detail, and tracebacks of faults.", rich_help_panel=EVERYWHERE, show_default=False
    ),
]
VarOption = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="What {{ var.NAME }} stands for.", rich_help_panel=EVERYWHERE),
]
VersionOption = Annotated[
    bool | None,
    typer.Option(
        "--version",
        help="Print the version.",
        callback=_version,
        is_eager=True,
        rich_help_panel=EVERYWHERE,
        show_default=False,
    ),
]
OPTIONS: dict[str, Any] = {
    "output": OutputOption,
    "directory": DirectoryOption,
    "quiet": QuietOption,
    "log_format": LogFormatOption,
    "debug": DebugOption,
    "var": VarOption,
    "version": VersionOption,
}


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A command that takes the options of all; ``function`` gets a :class:`Face` first, then its own parameters.

    A function with a parameter ``output`` takes a file there; ``text`` and ``json`` mean what they mean everywhere.
    """
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    names = {parameter.name for parameter in own}
    shared = {name: annotation for name, annotation in OPTIONS.items() if name not in names}
    parameters = [_named("ctx", typer.Context), *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own)]
    parameters += [_named(name, annotation, None) for name, annotation in shared.items()]

    @functools.wraps(function)
    def call(ctx: typer.Context, **values: Any) -> None:
        given = {name: values.pop(name) for name in shared}
        if "output" in names and str(values["output"]) in list(Output):
            given["output"], values["output"] = Output(str(values["output"])), None
        face = face_of({**_outer(ctx), **{name: value for name, value in given.items() if value is not None}})
        with ended_by_signals(), told(face), _logged(face):
            function(face, **values)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def outer(ctx: typer.Context, **values: Any) -> None:
    """The program's own callback: options given before the command."""
    ctx.obj = {name: value for name, value in values.items() if value is not None}


outer.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    + [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)
        for name, annotation in OPTIONS.items()
    ]
)
outer.__annotations__ = {"ctx": typer.Context, **OPTIONS}


def face_of(options: dict[str, Any]) -> Face:
    """The face that options ask for. Raises a usage error for a ``--var`` that is not NAME=VALUE."""
    variables = {}
    for text in options.get("var") or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f'"{text}" is not NAME=VALUE', param_hint="--var")
        variables[name] = value
    return Face(
        json=options.get("output") is Output.JSON,
        directory=options.get("directory") or Path(),
        quiet=bool(options.get("quiet")),
        log_format="json" if options.get("log_format") is Output.JSON else "text",
        debug=bool(options.get("debug")),
        variables=variables,
    )


@contextmanager
def told(face: Face) -> Iterator[None]:
    """Turn whatever ends a command into one message and an exit status."""
    try:
        yield
        sys.stdout.flush()
    except (typer.Exit, typer.Abort, typer.TyperException):
        raise
    except BrokenPipeError:
        _silence()
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(face.fail(_interrupted())) from None
    except Exception as error:  # noqa: BLE001 - whatever happens becomes one message
        known = _known(error)
        if known is not error and known.__cause__ is None:
            known.__cause__ = error
        raise typer.Exit(face.fail(known)) from None


def _known(error: Exception) -> HeadgateError:
    from pydantic import ValidationError

    from headgate.core.errors import Code, FatalError, HeadgateError, fault, swallowed_interrupt

    if isinstance(error, HeadgateError):
        return error
    if swallowed_interrupt(error):
        return _interrupted()
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return FatalError(
            Code.USAGE, first["msg"], operation="command", object=".".join(map(str, first["loc"])), hint="see --help"
        )
    return fault(error, "command")


def _interrupted() -> HeadgateError:
    from headgate.core.errors import Code, FatalError

    return FatalError(Code.INTERRUPTED, "interrupted", operation="command", hint="nothing is half done; call it again")


INTERRUPTED = 130
"""What typer makes of a Ctrl-C while it finds out which command is meant."""


class Program(TyperGroup):
    """The program: usage errors look like all others, as text or as JSON."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            status = super().main(arguments, prog_name or "headgate", complete_var, False, windows_expand_args, **extra)
            if status == INTERRUPTED:
                raise KeyboardInterrupt
        except typer.TyperException as error:
            status = _misused(error, arguments)
        except typer.Abort:
            status = 1
        except BrokenPipeError:
            _silence()
            status = 1
        if standalone_mode:
            sys.exit(status if isinstance(status, int) else 0)
        return status


def _misused(error: typer.TyperException, arguments: Sequence[str]) -> int:
    """Tell of a usage error; 2."""
    from headgate.core.errors import Code, FatalError

    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "headgate"
    message = error.format_message()
    if "\n" in message:  # a group without a command shows its help
        print(message, file=sys.stderr)
        return 2
    face = Face(json=wants_json(arguments))
    return face.fail(FatalError(Code.USAGE, message, operation="usage", object=path, hint=f"see: {path} --help"))


def _logged(face: Face) -> AbstractContextManager[None]:
    from headgate.observe.logs import warnings_to

    return warnings_to(sys.stderr, as_json=face.log_format == "json", debug=face.debug)


def _silence() -> None:
    """Nobody reads stdout any more: let the interpreter's last flush go nowhere."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return


def _outer(ctx: typer.Context) -> dict[str, Any]:
    found = ctx.find_root().obj
    return dict(found) if isinstance(found, dict) else {}


def _named(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
