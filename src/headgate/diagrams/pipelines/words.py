"""What options say, in the few words that a picture has room for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from headgate.config.models import Alert
from headgate.core.models import Model, ReadOptions, RuleOptions, StepOptions, WriteOptions

MOST = 4
"""Lines of detail below a label; the rest is counted."""
LONGEST = 60
_TOLD = ("type", "name", "step", "severity", "on_fail", "description")
_PLACES = ("table", "path", "url", "topic", "stream", "function", "query")


def place(read: ReadOptions | WriteOptions) -> str:
    """What is read or written: the table, path, topic or function; a query by how it begins."""
    for name in _PLACES:
        value = getattr(read, name, None)
        if value:
            return short(str(value))
    return read.connection or ""


def read_lines(read: ReadOptions) -> tuple[str, ...]:
    """How a source is read: mode, cursor, condition, batch size."""
    found: list[str] = [] if read.mode == "full" else [read.mode]
    if read.incremental is not None:
        found = [f"{read.mode} by {read.incremental.column}"]
        if read.incremental.lag:
            found.append(f"looks back {seconds(read.incremental.lag)}")
    if read.where:
        found.append(f"WHERE {short(read.where)}")
    if read.batch_size:
        found.append(f"batch_size={read.batch_size}")
    if read.max_records:
        found.append(f"max_records={read.max_records}")
    return tuple(found)


def write_lines(write: WriteOptions) -> tuple[str, ...]:
    return (write.mode + (f" by {', '.join(write.keys)}" if write.keys else ""),)


def step_lines(options: StepOptions) -> tuple[str, ...]:
    """What a step does, as its options say: ``GROUP BY day``, ``total = quantity * unit_price``."""
    return _fewer(list(_said(options)))


def rule_text(rule: RuleOptions) -> str:
    """A rule on one line: its name, what it looks at, and what happens if it does not hold."""
    data = _given(rule)
    of = data.get("columns") or data.get("column")
    looks = f" {_value(of)}" if of else ""
    limits = [f"{name} {_value(data[name])}" for name in ("min", "max") if name in data]
    if "condition" in data:
        limits.append(short(str(data["condition"]), 40))
    bounds = f" ({', '.join(limits)})" if limits else ""
    return f"{rule.name or rule.type}{looks}{bounds}: {rule.action}"


def gated(rule: RuleOptions) -> str:
    """A rule's name, with the gate that it stands at where that is another than the usual one, before the load."""
    name = rule.name or rule.type
    return name if rule.stage == "transform" else f"{name} (stage: {rule.stage})"


def alert_text(alert: Alert) -> str:
    """Who is told; never an address that is a secret."""
    who = getattr(alert, "channel", None) or ", ".join(getattr(alert, "recipients", ()))
    return f"{alert.type}{f' {who}' if who else ''}"


def seconds(value: timedelta | float) -> str:
    """``14 ms``, ``1.48 s``, ``90 s``, ``5 min``, ``1 h 2 min``, ``7 d``: two units at most."""
    count = value.total_seconds() if isinstance(value, timedelta) else value
    if 0 < count < 1:
        return f"{max(1, round(count * 1000))} ms"
    if count < 100:
        return f"{count:.3g} s" if count % 60 else f"{count / 60:g} min" if count else "0 s"
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    left, parts = round(count), list[str]()
    for size, unit in units:
        if left >= size:
            parts.append(f"{left // size} {unit}")
        left %= size
    return " ".join(parts[:2])


def rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def short(text: str, longest: int = LONGEST) -> str:
    """On one line, cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _said(options: StepOptions) -> Iterator[str]:
    data = _given(options)
    if "on" in data:
        how = str(data.pop("how", "left")).upper()
        other = data.pop("table", None) or data.pop("path", None) or "the other side"
        keys = ", ".join(left if left == right else f"{left} = {right}" for left, right in data.pop("on").items())
        yield f"{how} JOIN {other} ON {keys}"
        if data.pop("connection", None):
            yield f"of {getattr(options, 'connection', '')}"
    for name, value in data.items():
        yield from _option(name, value, options.type)


def _option(name: str, value: Any, kind: str) -> Iterator[str]:
    match name, value:
        case "group_by", _:
            yield f"GROUP BY {_value(value)}"
        case "order_by", _:
            yield f"ORDER BY {_value(value)}"
        case "keys", _:
            yield f"by {_value(value)}"
        case (("condition" | "query" | "function"), _):
            yield short(str(value))
        case _, True:
            yield name
        case _, Mapping():
            for key, item in value.items():
                yield short(f"{key} → {_value(item)}" if kind in ("cast", "rename") else f"{key} = {_value(item)}")
        case _:
            yield short(f"{name}: {_value(value)}")


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list() | tuple():
            return short(", ".join(_value(item) for item in value))
        case Mapping() if "type" in value:
            rest = ", ".join(_value(item) for key, item in value.items() if key != "type")
            return f"{value['type']} ({rest})" if rest else str(value["type"])
        case Mapping():
            return short(", ".join(f"{key}: {_value(item)}" for key, item in value.items()))
        case _:
            return short(str(value))


def _given(options: Model) -> dict[str, Any]:
    """The options that are not as they would be anyway, without those that a picture tells elsewhere."""
    data = options.model_dump(exclude_defaults=True, by_alias=True)
    return {name: value for name, value in data.items() if name not in _TOLD and value not in (None, False, (), [], {})}


def _fewer(lines: Sequence[str]) -> tuple[str, ...]:
    if len(lines) <= MOST:
        return tuple(lines)
    return (*lines[: MOST - 1], f"and {len(lines) - MOST + 1} more")
