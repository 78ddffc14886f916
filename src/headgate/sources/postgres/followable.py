"""Which tables can be followed exactly, by which publications and slots; everything else is refused with a remedy."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.core.errors import Code, FatalError
from headgate.io.postgres import slots
from headgate.io.postgres.followed import GENERATED, Followed, Publication, published, version_of
from headgate.sources.postgres.subject import Subject
from headgate.sql.literals import quote_name

ANEW = "begin anew with: headgate run --full-refresh"
IDENTITIES = {"d": "DEFAULT", "f": "FULL", "n": "NOTHING", "i": "USING INDEX"}


def check_read(subject: Subject) -> None:
    """Refuse what the configuration or the kind of the relation rules out. Raises FatalError UNSUPPORTED."""
    if subject.context.interval is not None:
        raise _refused(subject, "changes have a place in the log and no time", "leave --date, --start and --end out")
    if subject.relation is None or subject.relation.kind not in {"r", "p"}:
        raise _refused(subject, "changes are those of a table", "name a table, not a view or a query")
    if subject.read.where is not None:
        raise _refused(
            subject,
            "a condition would miss rows that an update brings under it or takes from it",
            "filter where the target is read, or make a publication with a row filter and name it: cdc.publication",
        )
    keys = subject.keys()
    if not keys:
        raise _refused(subject, "the table has no primary key, so its rows cannot be told apart", "add one")
    chosen = subject.read.columns
    if chosen is not None and not set(keys) <= set(chosen):
        raise _refused(subject, "columns: leaves out a column of the primary key", f"add {', '.join(keys)}")


def check_table(subject: Subject, facts: Followed) -> None:
    """Refuse a table of which the log does not tell everything. Raises FatalError UNSUPPORTED."""
    assert subject.relation is not None, "checked before"
    if facts.identity not in {"d", "f"}:
        raise _refused(
            subject,
            f"the table's replica identity is {IDENTITIES[facts.identity]}, not its primary key",
            f"ALTER TABLE {subject.relation.quoted} REPLICA IDENTITY DEFAULT",
        )
    if not facts.persistent:
        raise _refused(
            subject,
            "the table is unlogged or temporary: its changes are in no log",
            f"ALTER TABLE {subject.relation.quoted} SET LOGGED",
        )
    if facts.children:
        raise _refused(
            subject,
            "other tables inherit from it, whose changes are not the table's own",
            "follow each of them, or make it a partitioned table",
        )
    if facts.secured:
        raise _refused(
            subject,
            "row security hides rows of the table from this role, and the log does not",
            "ALTER ROLE … BYPASSRLS for the role that reads, or read as the table's owner",
        )


def check_publication(subject: Subject, name: str, facts: Followed) -> None:
    """Refuse a publication that does not tell everything that is read.

    Raises:
        FatalError: STATE_INVALID if it is not there, else UNSUPPORTED.
    """
    publication = facts.publication
    if publication is None:
        raise FatalError(
            Code.STATE_INVALID,
            f'the publication "{name}" was dropped: what changed since the last run was told to nobody',
            operation="probe",
            object=subject.name,
            hint=ANEW,
        )
    for why, hint in faults(subject, publication):
        raise _refused(subject, f'the publication "{name}" {why}', hint)


def prepared(subject: Subject, name: str, facts: Followed) -> bool:
    """Whether the publication is there and tells everything, before the first run makes what it needs.

    Raises FatalError UNSUPPORTED for one that is configured and does not, or that this role cannot make.
    """
    assert subject.relation is not None, "checked before"
    publication = facts.publication
    if publication is not None:
        found = list(faults(subject, publication))
        if not found:
            return True
        if _named(subject):
            raise _refused(subject, f'the publication "{name}" {found[0][0]}', found[0][1])
    version = version_of(subject.statements)
    untold = [name for name, kind in facts.generated.items() if kind != "s" or version < GENERATED]
    read = [column.name for column in subject.server_columns()]
    if set(untold) & set(read):
        raise _refused(
            subject,
            f"the log does not tell of generated column {', '.join(name for name in untold if name in read)}",
            f"name the others: columns: [{', '.join(name for name in read if name not in untold)}]",
        )
    if not facts.own:
        raise _refused(
            subject,
            "this role may not publish the table: it is not its owner, or may not create in the database",
            f"let the owner run: {published(name, subject.relation, version)}",
        )
    return False


def faults(subject: Subject, publication: Publication) -> Iterator[tuple[str, str]]:
    """Why a publication does not tell everything that is read, and what to do about it."""
    assert subject.relation is not None, "checked before"
    name, table = quote_name(publication.name), subject.relation.quoted
    if not publication.listed and publication.parts:
        yield (
            "tells of the table's partitions, and not of the table",
            f"ALTER PUBLICATION {name} SET (publish_via_partition_root = true); then {ANEW}",
        )
        return
    if not publication.listed:
        yield (
            "does not have the table",
            f"ALTER PUBLICATION {name} ADD TABLE {table}; then {ANEW}",
        )
        return
    if publication.silent:
        yield (
            f"does not tell of each {' and each '.join(publication.silent)}",
            f"ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate'); then {ANEW}",
        )
    if publication.columns is not None:
        untold = [column.name for column in subject.server_columns() if column.name not in publication.columns]
        if untold:
            yield (
                f"does not tell of column {', '.join(untold)}",
                f"name the others (columns: [{', '.join(publication.columns)}]), or publish them; then {ANEW}",
            )


def own_slot(subject: Subject, slot: str, *, made: bool) -> None:
    """Refuse, before the first run makes its slot in place of one of that name, to drop one that may be somebody's.

    Args:
        subject: what is read.
        slot: its name.
        made: whether this run made it, or the position that it gives up lies in it.

    Raises:
        FatalError: UNSUPPORTED.
    """
    found = slots.find(subject.statements, slot)
    if found is None:
        return
    if made and found.ours:
        slots.free(found)
        return
    options = subject.read.cdc
    if not found.ours or (options is not None and options.slot is not None and found.status != "lost"):
        what = "" if found.plugin == slots.PLUGIN else f", with the plug-in {found.plugin or 'of standby servers'}"
        where = "" if found.here else f" for the database {found.database}"
        raise _refused(
            subject,
            f'there is a replication slot "{slot}" already{where}{what}: somebody may read it, or a first run was cut'
            " off",
            f"name another (cdc: {{slot: …}}); if nobody needs it: SELECT pg_drop_replication_slot('{slot}')",
        )
    slots.free(found)


def _named(subject: Subject) -> bool:
    return subject.read.cdc is not None and subject.read.cdc.publication is not None


def _refused(subject: Subject, why: str, hint: str) -> FatalError:
    return FatalError(Code.UNSUPPORTED, why, operation="probe", object=subject.name, hint=hint)
