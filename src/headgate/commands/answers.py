"""Answers of people to the checklist, kept in a file of the project."""

from __future__ import annotations

from typing import Any

from headgate.commands.models import AnswerChecklist
from headgate.core.results import Result
from headgate.diagrams.pages.checklist import FILE, KEYS, answers, known
from headgate.execute.workspace import Workspace
from headgate.io import files


def answer(command: AnswerChecklist, workspace: Workspace) -> Result[Any]:
    """Write it; the value is ``{"key", "answer"}``. Raises NOT_FOUND for an item that is not there."""
    import yaml

    known(command.key)
    found = {**answers(workspace.project.root), command.key: command.answer}
    kept = {key: found[key] for key in KEYS if found.get(key)}
    text = "# Answers to the checklist: headgate checklist show\n"
    text += yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=1000) if kept else ""
    path = workspace.project.root / FILE
    with files.told("write", path):
        files.replace_text(path, text)
    return Result.ok({"key": command.key, "answer": command.answer})
