"""Statements of SQL in a source: what they read, write and do. Parsed, never run."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sqlglot import exp

Kind = Literal["read", "write", "define", "other"]
BEGINS = re.compile(
    r"^\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*|\()*(select|with|insert|update|delete|merge|copy|create|drop|truncate|alter|"
    r"unload|put(?=\s+'?file:)|replace|call|exec|load\s+data|refresh|grant|vacuum|analyze|if|begin|declare)\b",
    re.I | re.S,
)
_HOLE = re.compile(r"\{\{.*?\}\}|\$?\{[^{}]*\}|%\(\w+\)s|%s|(?<![:\w]):\w+|\?(?=[\s,)]|$)", re.S)
_NAME = r'((?:[\w$"`\[\]{}.…-]|\{[^}]*\})+)'
_UNLESS = r"(?:if\s+not\s+exists\s+)?"
_FALLBACK = (
    ("write", "INSERT", re.compile(rf"\binsert\s+(?:overwrite\s+|ignore\s+)?(?:into\s+)?(?:table\s+)?{_NAME}", re.I)),
    ("write", "MERGE", re.compile(rf"\bmerge\s+(?:into\s+)?{_NAME}", re.I)),
    ("write", "REPLACE", re.compile(rf"\breplace\s+into\s+{_NAME}", re.I)),
    ("write", "COPY", re.compile(rf"\bcopy\s+(?:into\s+)?(?!\(){_NAME}", re.I)),
    ("write", "LOAD DATA", re.compile(rf"\bload\s+data\b.*?\binto\s+table\s+{_NAME}", re.I | re.S)),
    ("write", "UPDATE", re.compile(rf"^\s*update\s+{_NAME}", re.I)),
    ("write", "DELETE", re.compile(rf"\bdelete\s+from\s+{_NAME}", re.I)),
    ("write", "REFRESH", re.compile(rf"\brefresh\s+materialized\s+view\s+(?:concurrently\s+)?{_NAME}", re.I)),
    ("define", "TRUNCATE", re.compile(rf"\btruncate\s+(?:table\s+)?{_NAME}", re.I)),
    (
        "define",
        "CREATE",
        re.compile(rf"\bcreate\s+(?:or\s+replace\s+)?(?:\w+\s+)?(?:table|view)\s+{_UNLESS}{_NAME}", re.I),
    ),
    ("define", "DROP", re.compile(rf"\bdrop\s+(?:table|view)\s+(?:if\s+exists\s+)?{_NAME}", re.I)),
    ("define", "ALTER", re.compile(rf"\balter\s+table\s+(?:if\s+exists\s+)?{_NAME}", re.I)),
)
_TEMPORARY = re.compile(r"\btemp(orary)?\b", re.I)
_READS = re.compile(rf"\b(?:from|join)\s+(?!\(|select\b|lateral\b|unnest\b){_NAME}", re.I)


@dataclass(frozen=True)
class Statement:
    """One statement: its verb, the tables it reads and writes, and what it does to rows."""

    kind: Kind
    verb: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    detail: tuple[str, ...] = field(default=())


def is_sql(text: str) -> bool:
    return bool(BEGINS.match(text))


@lru_cache(maxsize=4096)
def statements(text: str) -> tuple[Statement, ...]:
    """What the statements of a text do; () for what is no SQL."""
    if not is_sql(text) or len(text) > 200_000:
        return ()
    holes: list[str] = []

    def hole(found: re.Match[str]) -> str:
        holes.append(found[0])
        return f"hole_{len(holes) - 1}_"

    filled = _HOLE.sub(hole, text)
    found = _parsed(filled) or [one for part in filled.split(";") if (one := _guessed(part)) is not None]
    return tuple(_restored(one, holes) for one in found)


def _restored(one: Statement, holes: list[str]) -> Statement:
    def back(name: str) -> str:
        return re.sub(r"hole_(\d+)_", lambda found: _shown(holes[int(found[1])]), name)

    return Statement(
        one.kind,
        one.verb,
        tuple(dict.fromkeys(map(back, one.reads))),
        tuple(dict.fromkeys(map(back, one.writes))),
        tuple(map(back, one.detail)),
    )


def _shown(hole: str) -> str:
    inner = hole.strip("{}$ ")
    return "{" + inner + "}" if hole.startswith(("{", "$")) else hole


def _parsed(text: str) -> list[Statement] | None:
    import sqlglot
    from sqlglot.errors import SqlglotError

    quiet = logging.getLogger("sqlglot")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        return [one for tree in sqlglot.parse(text) if (one := _one(tree, text)) is not None]
    except (SqlglotError, RecursionError, ValueError):
        return None
    finally:
        quiet.setLevel(level)


def _one(tree: exp.Expr | None, text: str) -> Statement | None:
    from sqlglot import exp

    if isinstance(tree, exp.Copy):
        return _guessed(text)
    if isinstance(tree, exp.Command):
        return _guessed(tree.sql())
    return _statement(tree) if tree is not None else None


def _statement(tree: exp.Expr) -> Statement:  # noqa: C901 - one case a kind of statement
    from sqlglot import exp

    target, verb = "", "SELECT"
    kind: Kind = "read"
    match tree:
        case exp.Insert():
            target, verb, kind = _target(tree.this), "INSERT", "write"
        case exp.Merge():
            target, verb, kind = _target(tree.this), "MERGE", "write"
        case exp.Update():
            target, verb, kind = _target(tree.this), "UPDATE", "write"
        case exp.Delete():
            target, verb, kind = _target(tree.this), "DELETE", "write"
        case exp.TruncateTable():
            target, verb, kind = _target(tree.expressions[0]), "TRUNCATE", "define"
        case exp.Create() if not tree.expression and tree.find(exp.TemporaryProperty):
            return Statement("other", "CREATE TEMPORARY TABLE")
        case exp.Create():
            made = f"CREATE {tree.kind or 'TABLE'}"
            target, verb = _target(tree.this), f"{made} AS" if tree.expression else made
            kind = "write" if tree.expression else "define"
        case exp.Drop() | exp.Alter():
            target, verb, kind = _target(tree.this), type(tree).__name__.upper(), "define"
        case exp.Query():
            pass
        case _:
            return Statement("other", type(tree).__name__.upper())
    ctes = {one.alias for one in tree.find_all(exp.CTE)}
    reads = [name for one in tree.find_all(exp.Table) if (name := _table(one)) and name not in ctes]
    if target in reads:
        reads.remove(target)
    detail = _details(tree)
    if isinstance(tree, exp.Insert) and tree.args.get("conflict"):
        detail.append("ON CONFLICT")
    return Statement(kind, verb, tuple(reads), (target,) if target else (), tuple(detail))


def _target(node: exp.Expr | None) -> str:
    from sqlglot import exp

    table = node if isinstance(node, exp.Table) else node.find(exp.Table) if node is not None else None
    return _table(table) if table is not None else ""


def _table(table: exp.Table) -> str:
    from sqlglot import exp

    if isinstance(table.this, exp.Func):
        return _file_of(table.this)
    parts = [part.name for part in table.parts] if table.parts else [table.name]
    return ".".join(part for part in parts if part)


def _file_of(function: exp.Expr) -> str:
    """The files that ``read_parquet('…')`` and the like read; "" for rows that another function gives."""
    from sqlglot import exp

    if not re.match(
        r"(read|scan|parquet|iceberg|delta)_?",
        function.sql_name()
        if isinstance(function, exp.Func) and not isinstance(function, exp.Anonymous)
        else function.name,
        re.I,
    ):
        return ""
    return next((one.name for one in function.find_all(exp.Literal) if one.is_string), "")


def _details(tree: exp.Expr) -> list[str]:
    """JOIN, WHERE and GROUP BY of the outermost and of the queries within."""
    from sqlglot import exp

    found = []
    for join in tree.find_all(exp.Join):
        kind = " ".join(part for part in (join.side, join.kind) if part).upper()
        on = join.args.get("on")
        using = join.args.get("using")
        keys = (
            f" ON {on.sql()}" if on is not None else f" USING {', '.join(one.name for one in using)}" if using else ""
        )
        name = _table(join.this) if isinstance(join.this, exp.Table) else "a subquery"
        found.append(f"{kind + ' ' if kind else ''}JOIN {name}{keys}"[:80])
    found += [f"WHERE {where.this.sql()}"[:80] for where in tree.find_all(exp.Where)]
    groups = [", ".join(one.sql() for one in group.expressions) for group in tree.find_all(exp.Group)]
    found += [f"GROUP BY {names}"[:80] for names in groups]
    return list(dict.fromkeys(found))[:5]


def _guessed(text: str) -> Statement | None:
    """By patterns, where the text is in a dialect that the parser does not take."""
    if not is_sql(text):
        return None
    reads = [_clean(name) for name in _READS.findall(text)]
    begins = BEGINS.match(text)
    first = begins[1].upper() if begins else "SQL"
    if first.startswith("PUT"):
        return Statement("write", "PUT", (), tuple(re.findall(r"(@\S+)", text)[:1]))
    for kind, verb, pattern in sorted(_FALLBACK, key=lambda one: one[1] != first):
        found = pattern.search(text)
        if found:
            target = _clean(found[1])
            if verb == "CREATE" and _TEMPORARY.search(found[0]):
                return Statement("other", "CREATE TEMPORARY TABLE")
            out = re.search(r"\bto\s+'?([^'\s;]+)", text[found.end() : found.end() + 400], re.I)
            if verb == "COPY" and out:
                return Statement("write", "COPY", (target,), (out[1],))
            return Statement(kind, verb, tuple(name for name in reads if name != target), (target,))  # type: ignore[arg-type]
    verb = first
    out = re.search(r"\bto\s+'?([^'\s;]+)", text, re.I) if verb in ("COPY", "UNLOAD") else None
    if out and reads:
        return Statement("write", verb, tuple(reads), (out[1],))
    if verb in ("SELECT", "WITH"):
        return Statement("read", "SELECT", tuple(reads))
    return Statement("other", verb, tuple(reads))


def _clean(name: str) -> str:
    return re.sub(r'["`\[\]]', "", name).rstrip(".,;)")
