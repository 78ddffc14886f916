"""Rule records: steps that name ``source_columns`` and a ``target_column``, whatever their kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate.config.renames import as_items, items_of, section_of
from headgate.config.report import Path, Report
from headgate.config.yaml import Items, Section, Value

_CONDITIONAL = ("filter", "calculate")
_SINGLE = ("source_column", "field", "column")


def canonical_record(
    step: Section, kind: str, report: Report, path: Path, *, types: Mapping[str, str], metrics: Mapping[str, str]
) -> None:
    """Say in the kind's own options what the record's columns mean; the keys of the record are taken out.

    Args:
        types: SQL types by the words of the field.
        metrics: aggregate expressions by the functions' short names, with {} for the column.
    """
    for empty in ("source_columns", "target_column", "condition"):
        if empty in step and step[empty] is None:
            step.take(empty)
    line = step.line_of("source_columns") if "source_columns" in step else step.line
    singles = _SINGLE if kind in ("rename", "cast") and "source_columns" not in step else ()
    key = next((key for key in ("source_columns", *singles) if key in step), None)
    sources = list(as_items(step.take(key), line)) if key is not None else []
    target = step.take("target_column") if "target_column" in step else None
    _Record(step, kind, sources, target, line, report, path).translate(types, metrics)


@dataclass(frozen=True)
class _Record:
    step: Section
    kind: str
    sources: list[Any]
    target: Value
    line: int
    report: Report
    path: Path

    def translate(self, types: Mapping[str, str], metrics: Mapping[str, str]) -> None:
        if "condition" in self.step and self.kind not in _CONDITIONAL:
            self.step.take("condition")
            hint = "put a filter before it, or calculate with a condition"
            self._note(f"a {self.kind} step has no condition: it is about all rows", hint, "condition")
        match self.kind:
            case "rename":
                self._rename()
            case "cast":
                self._cast(types)
            case "calculate":
                self._calculate()
                self._read()
            case "aggregate":
                self._aggregate(metrics)
            case _:
                self._described()

    def _rename(self) -> None:
        given = self.step.get("columns")
        if isinstance(given, Section):
            if others := [name for name in given if name not in self.sources]:
                self._note(f'"{others[0]}" is renamed, and is none of the source_columns', "name it there")
            self._refuse_target()
        elif self.target is None:
            self._note('"target_column" is missing', "the new name; or parameters: {mapping: {OLD: NEW}}")
        elif len(self.sources) != 1:
            what = f"{len(self.sources)} columns cannot all be called {self.target!r}"
            self._note(what, "parameters: {mapping: {OLD: NEW}}", "source_columns")
        else:
            self._columns({str(self.sources[0]): self.target})

    def _cast(self, types: Mapping[str, str]) -> None:
        if self.target is not None and self.sources != [self.target]:
            hint = "drop it, and calculate the new column first"
            self._note("a type is changed in place, so there is no other target_column", hint)
        if "columns" in self.step:
            return
        key = next((key for key in ("target_type", "to") if key in self.step), None)
        if key is None:
            self._note('"parameters.target_type" is missing', "a SQL type, such as DATE")
            return
        wanted = self.step.take(key)
        wanted = types.get(wanted.lower(), wanted) if isinstance(wanted, str) else wanted
        if "format" in self.step:
            pairs = [("type", wanted), ("format", self.step.take("format"))]
            wanted = section_of(pairs, self.step.file, self.line)
        self._columns({str(name): wanted for name in self.sources})

    def _calculate(self) -> None:
        if "columns" in self.step:
            self._refuse_target()
            return
        key = next((key for key in ("expression", "formula") if key in self.step), None)
        formula = self.step.take(key) if key is not None else None
        if formula is None:
            self._note('"parameters.expression" is missing', "a SQL expression, such as a * b")
        if self.target is None:
            self._note('"target_column" is missing', "the column that the expression gives")
        if formula is not None and self.target is not None:
            self._columns({str(self.target): formula})

    def _aggregate(self, metrics: Mapping[str, str]) -> None:
        if {"aggregations", "metrics"} & self.step.keys():
            self._refuse_target()
            self._read()
            return
        functions = as_items(self.step.take("function") if "function" in self.step else "sum", self.line)
        if self.target is None:
            made = [(str(name), items_of(functions, self.line)) for name in self.sources]
            self.step.put("aggregations", section_of(made, self.step.file, self.line), self.line)
        elif len(self.sources) == len(functions) == 1 and str(functions[0]).lower() in metrics:
            quoted = '"' + str(self.sources[0]).replace('"', '""') + '"'
            expression = metrics[str(functions[0]).lower()].format(quoted)
            metric = section_of([(str(self.target), expression)], self.step.file, self.line)
            self.step.put("metrics", metric, self.line)
        else:
            hint = f"parameters: {{metrics: {{{self.target}: SUM(…)}}}}; with a target_column: {', '.join(metrics)}"
            self._note("one target_column is for one column and one function that is known", hint)

    def _described(self) -> None:
        """Kinds that say their columns elsewhere: of these the record fills what is left out."""
        named: Items = items_of(self.sources, self.line)
        if self.kind == "unpivot":
            self._fill("columns", named)
        if self.kind == "join" and self.sources:
            self._fill("on", named)
        elif self.kind != "join":
            self._read()
        into = {"unpivot": "values_to", "categorize": "into"}.get(self.kind)
        if into is None:
            self._refuse_target()
        elif self.target is not None:
            self._fill(into, self.target)
            if self.step[into] != self.target:
                self._note(f'"target_column" and "{into}" say the same', f"keep {into}", "target_column")

    def _read(self) -> None:
        """No option says these columns: the plan looks whether they are there. A step may read what it makes itself."""
        made = self.step.get("columns") if self.kind == "calculate" else None
        own = made.keys() if isinstance(made, Section) else ()
        self.step.reads = tuple(str(name) for name in self.sources if name != "*" and name not in own)

    def _fill(self, key: str, value: Value) -> None:
        if key not in self.step:
            self.step.put(key, value, self.line)

    def _columns(self, columns: Mapping[str, Value]) -> None:
        self.step.put("columns", section_of(columns.items(), self.step.file, self.line), self.line)

    def _refuse_target(self) -> None:
        if self.target is not None:
            hint = "drop target_column; the options of the kind say what its columns are called"
            self._note(f"a {self.kind} step like this has no one target_column", hint)

    def _note(self, message: str, hint: str, *key: str) -> None:
        self.report.note(message, (*self.path, *key), hint, line=self.line)
