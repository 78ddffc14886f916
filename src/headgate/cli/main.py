"""The program ``headgate``. Nothing heavy is imported before a command runs, so that help comes at once."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NoReturn

import typer

from headgate.cli import kept, look, pages, pictures, profiles, project, runs
from headgate.cli.command import Program, command, outer
from headgate.cli.demo import demo

HELP = "headgate runs every data pipeline as a transaction."


Commands = Mapping[str, Callable[..., None]]


def _app(help_: str, *, program: bool = False) -> typer.Typer:
    return typer.Typer(
        name="headgate" if program else None,
        cls=Program if program else None,
        help=help_,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _add(to: typer.Typer, commands: Commands) -> typer.Typer:
    for name, function in commands.items():
        to.command(name)(command(function))
    return to


app = _app(HELP, program=True)
app.callback()(outer)
_add(
    app,
    {
        "init": project.init,
        "demo": demo,
        "check": look.check,
        "plan": look.plan,
        "run": runs.run,
        "runs": runs.runs,
        "show": runs.show,
        "publish": runs.publish,
        "discard": runs.discard,
        "query": look.query,
        "profile": profiles.profile,
        "health": look.health,
        "diagram": pictures.diagram,
        "docs": pages.docs,
        "recommend": pages.recommend,
        "schema": project.schema,
    },
)
state: Commands = {"show": kept.state_show, "set": kept.state_set, "reset": kept.state_reset}
app.add_typer(_add(_app("How far published runs have read."), state), name="state")
quarantine: Commands = {
    "list": kept.quarantine_list,
    "show": kept.quarantine_show,
    "export": kept.quarantine_export,
    "mend": kept.quarantine_mend,
    "replay": kept.quarantine_replay,
    "discard": kept.quarantine_discard,
    "expire": kept.quarantine_expire,
}
app.add_typer(_add(_app("Rows that were held back."), quarantine), name="quarantine")
checklist: Commands = {"show": pages.checklist_show, "answer": pages.checklist_answer}
app.add_typer(_add(_app("What must be known and true before data is relied on."), checklist), name="checklist")
connections: Commands = {"list": look.connections_list, "test": look.connections_test}
app.add_typer(_add(_app("Where data comes from and goes to."), connections), name="connections")
config: Commands = {
    "list": project.config_list,
    "show": project.config_show,
    "create": project.config_create,
    "set": project.config_set,
    "delete": project.config_delete,
    "expectations": project.config_expectations,
}
app.add_typer(_add(_app("Pipelines as records."), config), name="config")


def main() -> None:
    """The entry point of the installed program."""
    gc.set_threshold(50_000, 20, 20)  # imports make many objects and no garbage
    try:
        app()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    _leave(status)


def _leave(status: int) -> NoReturn:
    """End the process at once: all is closed by now, and taking the libraries down costs a tenth of a second."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed by whoever read it
            stream.flush()
    os._exit(status)
