"""The outline of ``headgate.yml``: its keys, its name, and no secret in it."""

from __future__ import annotations

import re

from headgate.config.files import NAME, PROJECT_KEYS, Files
from headgate.config.inline import refuse_inline
from headgate.config.report import Report
from headgate.config.yaml import Section
from headgate.core.errors import nearest

VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def is_name(text: str) -> bool:
    """Whether a project, pipeline or connection may be called so; such names are safe as parts of paths."""
    return _NAME.fullmatch(text) is not None


def check_outline(files: Files, report: Report) -> None:
    """Note what is wrong with the outline; sections of the wrong shape are taken out."""
    document = files.document
    if any(problem.file == NAME and not problem.path for problem in files.problems):
        return
    for key in document:
        if key not in PROJECT_KEYS:
            report.note(f'unknown key "{key}"', (key,), nearest(key, PROJECT_KEYS))
    if document.get("version", VERSION) != VERSION:
        report.note("this version of headgate reads version 1", ("version",), "version: 1")
    name = document.get("project")
    if not isinstance(name, str) or not is_name(name):
        what = '"project" is missing' if name is None else "expected: a name of letters, digits, _ . and -"
        report.note(what, ("project",), "project: NAME; it names what is published, so keep it for ever")
    _check_sections(document, report)
    for name, (_, file) in files.pipelines.items():
        if not is_name(name):
            here = Report(document, file, problems=report.problems)
            here.note(f'"{name}" cannot be a name', ("pipelines", name), "letters, digits, _ . and -, at most 100")


def _check_sections(document: Section, report: Report) -> None:
    for key in ("connections", "lake", "state", "defaults"):
        if document.get(key) is not None and not isinstance(document[key], Section):
            report.note("expected: a mapping", (key,), f"{key}: {{…}}")
            document.take(key)
    for key in ("connections", "lake", "state", "alerts"):
        if document.get(key) is not None:
            refuse_inline(document[key], report, (key,))
