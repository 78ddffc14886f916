"""Makes a pipeline of its section: header, sources and targets at once, steps and rules when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from headgate.config.addresses import Surroundings, address_of
from headgate.config.build import build
from headgate.config.inline import refuse_inline
from headgate.config.loads import check_load
from headgate.config.models import Address, Endpoint, Header, Lazy, Pipeline
from headgate.config.references import References, referring
from headgate.config.report import Path, Report
from headgate.config.spellings import canonicalize
from headgate.config.steps import Body
from headgate.config.yaml import Items, Section, copied
from headgate.core.contracts import BASIC, Registry
from headgate.core.errors import FatalError, Problem, nearest
from headgate.core.models import Model, ReadOptions, WriteOptions

M = TypeVar("M", bound=Model)
PARTS = ("source", "sources", "target", "targets", "transformations", "quality_rules")
KEYS = (*Header.model_fields, *PARTS)
RUNNABLE = ("batch",)
"""Types that this version runs; the others are in the grammar and refused here, never run as something else."""


@dataclass
class Made:
    """What came of one section: the pipeline if all but its steps and rules is well, and what is wrong."""

    name: str
    document: Section
    body: Body
    problems: list[Problem]
    pipeline: Pipeline | None = None
    unresolved: list[Problem] = field(default_factory=list)


@dataclass
class Maker:
    """Makes the pipelines of one project."""

    registry: Registry
    references: References
    around: Surroundings
    endpoint: Callable[[Address], Endpoint]
    variables: Mapping[str, str]

    def make(self, name: str, raw: Section, file: str) -> Made:
        document = copied(raw)
        report = Report(document, file, ("pipelines", name))
        refuse_inline(document, report, named=False)
        canonicalize(document, name, report)
        for key in document:
            if key not in KEYS:
                report.note(f'unknown key "{key}"', (key,), nearest(key, KEYS))
        body = Body(document, Report(document, file, report.prefix), self.registry, self.references, self.around)
        made = Made(name, document, body, report.problems)
        _Making(self, made, report).fill()
        return made


class _Making:
    def __init__(self, maker: Maker, made: Made, report: Report) -> None:
        self.maker, self.made, self.report = maker, made, report
        self.document = made.document

    def fill(self) -> None:
        made, report = self.made, self.report
        header = self._header()
        sources = [self._source(path) for path in self._paths("source", "sources", "say what the pipeline reads")]
        targets = [self._target(path) for path in self._paths("target", "targets", "target: {table: NAME} is enough")]
        read = [pair for pair in sources if pair is not None]
        written = [pair for pair in targets if pair is not None]
        if header is None or report.problems:
            return
        made.pipeline = Pipeline(
            name=made.name,
            header=header,
            sources=tuple(options for options, _ in read),
            targets=tuple(options for options, _ in written),
            source_addresses=tuple(address for _, address in read),
            target_addresses=tuple(address for _, address in written),
            variables={**header.variables, **self.maker.variables},
            file=report.file,
            document=made.document,
            lazy=Lazy(
                lambda: made.body.steps,
                lambda: made.body.rules,
                lambda: made.body.all_problems,
                lambda: made.body.problems,
            ),
            endpoint=self.maker.endpoint,
            unresolved=tuple(made.unresolved),
        )

    def _paths(self, one: str, many: str, hint: str) -> list[Path]:
        """Where the sections of sources or targets stand."""
        report = self.report
        if one in self.document and many in self.document:
            report.note(f'"{one}" and "{many}" say the same', (many,), f"keep {many}")
            return []
        if one in self.document:
            paths: list[Path] = [(one,)]
        else:
            found = self.document.get(many)
            if found is not None and not isinstance(found, Items):
                report.note("expected: a list", (many,), f"or write {one}:")
                return []
            paths = [(many, index) for index in range(len(found or ()))]
            if not paths:
                report.note(f'"{one}" is missing', (many,) if many in self.document else (), hint)
        wrong = [path for path in paths if not isinstance(self._at(path), Section)]
        for path in wrong:
            report.note("expected: a mapping of options", path, hint)
        return [path for path in paths if path not in wrong]

    def _at(self, path: Path) -> Any:
        value: Any = self.document
        for part in path:
            value = value[part]
        return value

    def _substituted(self, value: Any, path: Path) -> tuple[dict[str, Any], list[Path]]:
        """The section with its references replaced; those without a value are kept for whoever needs the pipeline."""
        data, missing = self.maker.references.substitute(value)
        report = Report(self.document, self.report.file, self.report.prefix)
        for one in missing:
            report.note(one.message, (*path, *one.path), one.hint)
        self.made.unresolved += report.problems
        return data, [one.path for one in missing]

    def _header(self) -> Header | None:
        kept = {key: value for key, value in self.document.items() if key in Header.model_fields and value is not None}
        data, missing = self._substituted(kept, ())
        header = build(Header, data, self.report, (), unresolved=missing, hidden=referring(kept), also=PARTS)
        if header is not None and header.type not in RUNNABLE:
            hint = f"types that run: {', '.join(RUNNABLE)}"
            self.report.note(f"{header.type} pipelines cannot be run by this version", ("type",), hint)
        return header

    def _source(self, path: Path) -> tuple[ReadOptions, Address] | None:
        found = self._resolved("sources", path)
        if found is None:
            return None
        model, data, address, missing = found
        options: ReadOptions | None = build(
            model.Read, data, self.report, path, unresolved=missing, hidden=referring(self._at(path))
        )
        if options is None:
            return None
        needs_cursor = address.group == "sources" and (options.table or options.query)
        if needs_cursor and options.mode == "incremental" and options.incremental is None:
            hint = "write incremental: {column: NAME}, with the column that grows with every change"
            self.report.note("an incremental source needs a cursor", (*path, "mode"), hint)
        if options.incremental is not None and options.mode == "full":
            self.report.note("incremental is given, but the mode is full", (*path, "incremental"), "mode: incremental")
        if options.table and options.query:
            self.report.note("table and query say the same", (*path, "query"), "keep one")
        return options, address

    def _target(self, path: Path) -> tuple[WriteOptions, Address] | None:
        found = self._resolved("targets", path)
        if found is None:
            return None
        model, data, address, missing = found
        options: WriteOptions | None = build(
            model.Write, data, self.report, path, unresolved=missing, hidden=referring(self._at(path))
        )
        if options is None:
            return None
        check_load(options, getattr(found[0], "MODES", BASIC), self.report, path)
        if not options.table or options.table.split(".")[-1].lower().startswith("headgate_"):
            self.report.note(
                f'"{options.table}" cannot be a table', (*path, "table"), "headgate_ is kept for the ledger"
            )
        return options, address

    def _build(self, model: type[M], data: dict[str, Any], path: Path, missing: list[Path]) -> M | None:
        return build(model, data, self.report, path, unresolved=missing, hidden=referring(self._at(path)))

    def _resolved(
        self, group: Literal["sources", "targets"], path: Path
    ) -> tuple[Any, dict[str, Any], Address, list[Path]] | None:
        """The connector's module, the options it is to read, its address, and what has no value yet."""
        maker, section = self.maker, self._at(path)
        data, missing = self._substituted(section, path)
        named = copied(section)
        for key in ("connection", "type"):
            if key in data:
                named[key] = data[key]
        address = address_of(group, named, maker.around, maker.registry, self.report, path)
        if address is None:
            return None
        try:
            module = maker.registry.module(address.group, address.kind)
        except FatalError as error:
            self.report.note_error(error, (*path, "connection" if address.name else "type"))
            return None
        model = module.Read if group == "sources" else module.Write
        if "type" not in model.model_fields:
            data.pop("type", None)
        return module, {key: value for key, value in data.items() if value is not None}, address, missing
