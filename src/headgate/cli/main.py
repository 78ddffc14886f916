"""The program ``headgate``. Nothing heavy is imported before a command runs, so that help comes at once."""

from __future__ import annotations

import typer

from headgate.cli import kept, look, project, runs
from headgate.cli.command import Program, command, outer
from headgate.cli.demo import demo

HELP = "headgate runs every data pipeline as a transaction."


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


app = _app(HELP, program=True)
app.callback()(outer)
for function in (project.init, demo, look.check, look.plan, runs.run, runs.runs, runs.show, runs.publish, runs.discard):
    app.command(function.__name__)(command(function))

state = _app("How far published runs have read.")
for name, function in {"show": kept.state_show, "set": kept.state_set, "reset": kept.state_reset}.items():
    state.command(name)(command(function))
app.add_typer(state, name="state")

quarantine = _app("Rows that were held back.")
for name, function in {
    "list": kept.quarantine_list,
    "show": kept.quarantine_show,
    "replay": kept.quarantine_replay,
    "discard": kept.quarantine_discard,
}.items():
    quarantine.command(name)(command(function))
app.add_typer(quarantine, name="quarantine")

app.command("query")(command(look.query))

connections = _app("Where data comes from and goes to.")
for name, function in {"list": look.connections_list, "test": look.connections_test}.items():
    connections.command(name)(command(function))
app.add_typer(connections, name="connections")

app.command("health")(command(look.health))

config = _app("Pipelines as records.")
for name, function in {
    "list": project.config_list,
    "show": project.config_show,
    "create": project.config_create,
    "set": project.config_set,
    "delete": project.config_delete,
}.items():
    config.command(name)(command(function))
app.add_typer(config, name="config")

app.command("schema")(command(project.schema))


def main() -> None:
    """The entry point of the installed program."""
    app()
