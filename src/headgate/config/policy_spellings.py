"""Other spellings of error handling, retries, monitoring and alerts."""

from __future__ import annotations

from headgate.config.renames import as_items, flatten, items_of, put_once, rename, replace, section_of
from headgate.config.report import Path, Report
from headgate.config.yaml import Items, Section

_RETRY = {
    "retry_delay": "base", "base_delay": "base", "delay": "base", "retry_delay_seconds": "base",
    "backoff_factor": "factor", "backoff": "factor", "max_delay": "cap",
}  # fmt: skip
_STRATEGIES = ("retry", "fail")
_ALERT = {"to": "recipients", "emails": "recipients", "webhook_url": "webhook"}


def canonical_policies(document: Section, report: Report) -> None:
    """Rewrite what stands under ``error_handling``, ``monitoring`` and ``alert_recipients``."""
    _error_handling(document, report)
    _monitoring(document, report)


def _error_handling(document: Section, report: Report) -> None:
    path: Path = ("error_handling",)
    line = document.line_of("error_handling")
    section = document.get("error_handling")
    if isinstance(section, str):
        section = section_of([("on_row_error", section)], document.file, line)
        document.put("error_handling", section, line)
    if not isinstance(section, Section):
        return
    rename(section, {"on_error": "on_row_error", "error_threshold": "max_error_percentage"}, report, path)
    replace(section, "on_row_error", {"skip": "quarantine", "raise": "fail", "abort": "fail"})
    if section.get("on_transform_error") == "fail":
        section.take("on_transform_error")
    elif "on_transform_error" in section:
        hint = "on_row_error: quarantine holds bad rows back; a failing step fails the run"
        report.note("a failing step cannot be skipped", (*path, "on_transform_error"), hint)
        section.take("on_transform_error")
    if isinstance(section.get("alerts"), Section | Items):
        _alerts_to_monitoring(document, section)
    _retry(section, report, path)


def _alerts_to_monitoring(document: Section, section: Section) -> None:
    line = section.line_of("alerts")
    monitoring = document.get("monitoring")
    if monitoring is None:
        monitoring = Section(document.file, line)
        document.put("monitoring", monitoring, line)
    if not isinstance(monitoring, Section):
        return
    alerts = _alert_items(section.take("alerts"), line)
    if monitoring.get("alerts") is None:
        monitoring.put("alerts", alerts, line)
        return
    known = monitoring["alerts"] = _alert_items(monitoring["alerts"], monitoring.line_of("alerts"))
    for alert, where in zip(alerts, alerts.lines, strict=True):
        if alert not in known:
            known.add(alert, where)


def _retry(section: Section, report: Report, path: Path) -> None:
    """``strategy: retry, max_retries: 3, retry_delay: 300`` is four attempts, 300 seconds apart."""
    strategy = _strategy(section, report, path)
    loose = [key for key in (*_RETRY, "max_retries", "retries", "max_attempts") if key in section]
    inner = section.get("retry")
    if inner is None and (loose or strategy == "retry"):
        inner = Section(section.file, section.line_of(loose[0]) if loose else section.line)
    if not isinstance(inner, Section):
        return
    for key in loose:
        put_once(inner, key, section[key], report, (*path, key), line=section.line_of(key))
        section.take(key)
    _waits(inner, report, (*path, "retry"))
    for key in ("max_retries", "retries"):
        if key in inner:
            _attempts(inner, key, report, (*path, "retry"))
    if strategy == "retry" and "max_attempts" not in inner:
        inner.put("max_attempts", 4, inner.line)
    if strategy == "fail" and "retry" in section:
        report.note("strategy fail does not try again", (*path, "retry"), "drop one of the two")
    elif strategy != "fail" and "retry" not in section:
        section.put("retry", inner, inner.line)


def _strategy(section: Section, report: Report, path: Path) -> object:
    """The word under ``strategy``; only retry and fail can be meant."""
    if "strategy" not in section:
        return None
    line, strategy = section.line_of("strategy"), section.take("strategy")
    if strategy == "continue":
        hint = "on_row_error: quarantine goes on without the bad rows; a failed run publishes nothing"
        report.note("strategy continue has no meaning here", (*path, "strategy"), hint, line=line)
    elif strategy not in _STRATEGIES:
        what = f"expected: {' or '.join(_STRATEGIES)}, got {strategy!r}"[:200]
        report.note(what, (*path, "strategy"), "", line=line)
    return strategy


def _waits(inner: Section, report: Report, path: Path) -> None:
    """A ``retry_delay`` alone is the same wait each time."""
    fixed = "retry_delay" in inner and not {"factor", "backoff_factor", "backoff"} & inner.keys()
    rename(inner, _RETRY, report, path)
    if fixed and "base" in inner:
        line = inner.line_of("base")
        inner.put("factor", 1, line)
        if "cap" not in inner:
            inner.put("cap", inner["base"], line)


def _attempts(inner: Section, key: str, report: Report, path: Path) -> None:
    line, value = inner.line_of(key), inner.take(key)
    if "max_attempts" in inner:
        report.note(f'"{key}" and "max_attempts" say the same', path, "keep max_attempts", line=line)
    elif isinstance(value, int) and not isinstance(value, bool):
        inner.put("max_attempts", value + 1, line)
    else:
        hint = "max_attempts counts the first run too"
        report.note(f'"{key}" must be a number; write max_attempts', (*path, key), hint, line=line)


def _monitoring(document: Section, report: Report) -> None:
    if "alert_recipients" in document:
        line, value = document.line_of("alert_recipients"), document.take("alert_recipients")
        mail = section_of([("type", "email"), ("recipients", value)], document.file, line)
        carrier = section_of([("alerts", items_of([mail], line))], document.file, line)
        _alerts_to_monitoring(document, carrier)
    monitoring = document.get("monitoring")
    if not isinstance(monitoring, Section):
        return
    if monitoring.get("alerts") is not None:
        line = monitoring.line_of("alerts")
        monitoring.put("alerts", _alert_items(monitoring["alerts"], line), line)
        alerts = monitoring["alerts"]
        for index, alert in enumerate(alerts if isinstance(alerts, Items) else ()):
            if isinstance(alert, Section):
                rename(alert, _ALERT, report, ("monitoring", "alerts", index))
    flatten(monitoring, "options", report, ("monitoring",))


def _alert_items(value: object, line: int) -> Items:
    """Alerts as a list; ``{email: [a], slack: "#x"}`` names the kind by its key."""
    main = {"email": "recipients", "slack": "channel", "pagerduty": "service_key", "webhook": "url"}
    if not isinstance(value, Section):
        return as_items(value, line)
    if "type" in value:
        return items_of([value], value.line)
    items = Items(line)
    for kind, what in value.items():
        where = value.line_of(kind)
        alert = section_of([("type", kind)], value.file, where)
        for key, item in what.items() if isinstance(what, Section) else ((main.get(kind, "recipients"), what),):
            alert.put(key, item, where)
        items.add(alert, where)
    return items
