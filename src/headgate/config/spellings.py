"""Other spellings of the field, read into the one grammar; what they cannot mean here is noted, never dropped."""

from __future__ import annotations

from headgate.config.policy_spellings import canonical_policies
from headgate.config.read_spellings import canonical_source, canonical_target
from headgate.config.renames import as_items, lift, rename
from headgate.config.report import Path, Report
from headgate.config.rule_spellings import canonical_rule, validation_rules
from headgate.config.step_spellings import business_steps, canonical_step, cleaning_steps
from headgate.config.yaml import Items, Section
from headgate.core.models import ConnectionOptions

_TOP = {
    "extraction": "source", "extract": "source", "load": "target", "loading": "target", "destination": "target",
    "quality_checks": "quality_rules", "quality": "quality_rules", "transforms": "transformations",
    "transformation": "transformations", "dependencies": "depends_on", "schedule_interval": "schedule",
    "cron": "schedule", "error_policy": "error_handling",
}  # fmt: skip


_CONNECTION = {
    "user": "username", "login": "username", "dbname": "database", "db": "database", "pass": "password",
    "connection_string": "url", "uri": "url", "dsn": "url",
}  # fmt: skip


def canonical_connection(section: Section, model: type[ConnectionOptions], report: Report, path: Path) -> None:
    """Give a connection's options their canonical names, of those that its kind has."""
    known = model.model_fields
    rename(section, {old: new for old, new in _CONNECTION.items() if new in known and old not in known}, report, path)


def canonicalize(document: Section, name: str, report: Report) -> None:
    """Rewrite one pipeline's section in place."""
    rename(document, _TOP, report, ())
    _name(document, name, report)
    for one, many, canonical in (
        ("source", "sources", canonical_source),
        ("target", "targets", canonical_target),
    ):
        for path, section in _sections(document, one, many):
            canonical(section, report, path)
    for key in ("tags", "depends_on"):
        if isinstance(document.get(key), str):
            document.put(key, as_items(document[key], document.line_of(key)), document.line_of(key))
    _transformations(document, report)
    _rules(document, report)
    canonical_policies(document, report)


def _name(document: Section, name: str, report: Report) -> None:
    for key in ("name", "pipeline_name", "pipeline"):
        if key in document and document[key] == name:
            document.take(key)
        elif key == "name" and key in document:
            report.note(f'the pipeline is called "{name}" by its key, and otherwise here', (key,), "drop the name")
            document.take(key)


def _sections(document: Section, one: str, many: str) -> list[tuple[Path, Section]]:
    found: list[tuple[Path, Section]] = []
    if isinstance(document.get(one), Items) and many not in document:
        document.move(one, many)
    if isinstance(document.get(one), Section):
        found.append(((one,), document[one]))
    if isinstance(document.get(many), Items):
        found += [((many, index), item) for index, item in enumerate(document[many]) if isinstance(item, Section)]
    return found


def _transformations(document: Section, report: Report) -> None:
    """Steps as one list: cleaning rules, business rules, then the steps that stand as such."""
    given = document.get("transformations")
    line = document.line_of("transformations")
    if isinstance(given, Section):
        document.take("transformations")
        lift(document, given, report, ("transformations",))
        given = None
    steps = _ruled_steps(document, report, line)
    if isinstance(given, Items):
        for index, step in enumerate(given):
            steps.add(step, given.line_of(index))
    if steps and (given is None or isinstance(given, Items)):
        document.put("transformations", steps, line)
    found = document.get("transformations")
    for index, step in enumerate(found if isinstance(found, Items) else ()):
        if isinstance(step, Section):
            canonical_step(step, report, ("transformations", index))


def _ruled_steps(document: Section, report: Report, line: int) -> Items:
    """The steps that ``cleaning_rules`` and ``business_rules`` stand for; the keys are taken out."""
    steps = Items(line)
    for key, make in (("cleaning_rules", cleaning_steps), ("business_rules", business_steps)):
        if key not in document:
            continue
        where, value = document.line_of(key), document.take(key)
        if isinstance(value, Section):
            for step in make(value, report, (key,)):
                steps.add(step, step.line)
        elif value is not None:
            report.note("expected: a mapping of rules", (key,), "", line=where)
    return steps


def _rules(document: Section, report: Report) -> None:
    if isinstance(document.get("validation"), Section):
        line = document.line_of("validation")
        added = validation_rules(document["validation"], report, ("validation",))
        document.take("validation")
        rules = document.get("quality_rules")
        if rules is None:
            rules = Items(line)
            document.put("quality_rules", rules, line)
        if isinstance(rules, Items):
            for rule in added:
                rules.add(rule, rule.line)
    rules = document.get("quality_rules")
    if isinstance(rules, Items):
        for index, rule in enumerate(rules):
            if isinstance(rule, Section):
                canonical_rule(rule, report, ("quality_rules", index))
