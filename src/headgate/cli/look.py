"""Looking ahead and around: check, plan, query, connections, health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.face import Face

if TYPE_CHECKING:
    from headgate.queries.health import Probe

CONNECTION = "The connection whose tables are read; default the lake."


def check(
    face: Face,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Pipelines; default all.", show_default=False)
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Look at no source: the configuration only.")] = False,
    date: Annotated[str | None, typer.Option(metavar="DAY", help="What {{ ds }} stands for meanwhile.")] = None,
) -> None:
    """Find every problem, in the files and against live sources."""
    from headgate.queries.plans import check as query

    report = query(
        lambda: face.workspace(set_aside=True), names or (), offline=offline, date=date, variables=face.variables
    )
    if face.json:
        face.document(report.as_dict())
    else:
        for problem in report.problems:
            face.line(str(problem), "red")
        for note in report.notes:
            face.line(f"note: {note}")
        count = len(report.problems)
        face.line("OK" if report.ok else f"{count} problem{'s' if count > 1 else ''}", "green" if report.ok else "red")
    if not report.ok:
        raise typer.Exit(2)


def plan(
    face: Face,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The pipeline.")],
    date: Annotated[str | None, typer.Option(metavar="DAY", help="The day that the run is for.")] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start of the interval that the run is for.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="End of the interval, exclusive.")] = None,
) -> None:
    """Show what a run would do: stages, SQL, columns, lineage."""
    from headgate.execute.intervals import interval_of
    from headgate.queries.plans import plan as query
    from headgate.queries.stages import document

    with face.workspace() as workspace:
        found = document(query(workspace, name, interval_of(date, start, end), face.variables))
    if face.json:
        face.document(found)
    else:
        _print_plan(face, found)


def _print_plan(face: Face, found: dict[str, Any]) -> None:
    scans = found["scans"]
    face.line(
        f"plan of {found['pipeline']}  {found['hash'][:12]}  {scans} scan{'s' if scans != 1 else ''} of the rows",
        "cyan",
    )
    for number, stage in enumerate(found["stages"], 1):
        face.line(f"{number:>3}  {stage['summary']}")
    placed = found["placement"]
    face.line(f"     engine: {placed['place']}, because {placed['reason']}")
    for note in found["notes"]:
        face.line(f"     note: {note}")
    face.line()
    face.line("columns, and what each comes from", "cyan")
    lineage = found["lineage"]
    face.table(
        ("column", "type", "from"),
        [(c["name"], c["type"], ", ".join(lineage.get(c["name"], ()))) for c in found["schema"]],
    )
    if found["sql"]:
        face.line()
        face.line("SQL", "cyan")
        face.line(found["sql"])


def query(
    face: Face,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT, in DuckDB's SQL.")],
    at: Annotated[
        str | None, typer.Option(metavar="VERSION", help="The tables as they were: a commit or a time.")
    ] = None,
    connection: Annotated[str | None, typer.Option(metavar="NAME", help=CONNECTION)] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="At most so many rows.", min=1)] = None,
) -> None:
    """Look at tables with one SELECT."""
    from headgate.queries.tables import query as select

    with face.workspace() as workspace:
        found = select(workspace, sql, at=at, connection=connection, limit=limit).as_dict()
    if face.json:
        face.document(found)
        return
    face.table(found["columns"], found["rows"])
    count = len(found["rows"])
    face.note(f"{count:,} row{'s' if count != 1 else ''}")


def connections_list(face: Face) -> None:
    """List the connections, and which pipelines use them."""
    from headgate.queries.health import connections

    with face.workspace() as workspace:
        found = connections(workspace)
    if face.json:
        face.document(found)
    else:
        face.table(("name", "type", "pipelines"), [(c["name"], c["type"], ", ".join(c["pipelines"])) for c in found])


def connections_test(
    face: Face,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Connections; default all.", show_default=False)
    ] = None,
) -> None:
    """Connect, and say what answered."""
    from headgate.queries.health import answers

    with face.workspace() as workspace:
        probes = answers(workspace, names or ())
    if face.json:
        face.document([probe.as_dict() for probe in probes])
    else:
        _print_probes(face, probes)
    if not all(probe.ok for probe in probes):
        raise typer.Exit(1)


def health(face: Face) -> None:
    """Test every connection, the lake and the history."""
    from headgate.queries.health import health as query

    with face.workspace() as workspace:
        probes = query(workspace)
    healthy = all(probe.ok for probe in probes)
    overall = "HEALTHY" if healthy else "UNHEALTHY"
    if face.json:
        face.document({"healthy": healthy, "overall": overall, "checks": [probe.as_dict() for probe in probes]})
    else:
        _print_probes(face, probes)
        face.line(f"Overall health: {overall}", "green" if healthy else "red")
    if not healthy:
        raise typer.Exit(1)


def _print_probes(face: Face, probes: list[Probe]) -> None:
    for probe in probes:
        kind = f" ({probe.kind})" if probe.kind else ""
        hint = f"; {probe.hint}" if probe.hint else ""
        verdict = "PASS" if probe.ok else "FAIL"
        face.line(f"{verdict} {probe.name}{kind}: {probe.message}{hint}", "green" if probe.ok else "red")
