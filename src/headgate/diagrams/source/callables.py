"""What a task's function does, and what starts a DAG, in few words."""

from __future__ import annotations

from headgate.config.cron_words import in_words
from headgate.diagrams.drawings.words import label as step_label
from headgate.diagrams.source.flow import Block, Part, Place
from headgate.diagrams.source.values import Items, Known, Thing, Value, known


def steps_of(body: Block | None) -> list[str]:
    """What a task's function does, in few lines."""
    if body is None:
        return []
    steps = [step for step in body.steps() if step.part not in (Part.LOG, Part.CONFIG)]
    lines = list(dict.fromkeys(step_label(step) + _touched(step.reads, step.writes) for step in steps))
    return lines if len(lines) <= 4 else [*lines[:3], f"and {len(lines) - 3} more"]


def _touched(reads: list[Place], writes: list[Place]) -> str:
    return "".join([f" {place.name}" for place in (writes or reads)[:1]])


def schedule_of(value: Value | None) -> tuple[str, str]:
    match value:
        case None:
            return "", ""
        case Known(value=None):
            return "None", "Started by hand"
        case Known(value=str() as text):
            return text, {"@once": "Once", "@continuous": "Again and again"}.get(text, in_words(text))
        case Thing() if value.calls and value.calls[-1].name in ("timedelta", "duration", "relativedelta"):
            shown_ = ", ".join(f"{known(one)} {key}" for key, one in value.calls[-1].kwargs.items())
            return f"timedelta({shown_})", f"Every {shown_}"
        case Thing() if value.calls and value.calls[-1].name.endswith("Timetable") and value.calls[-1].args:
            text = value.calls[-1].args[0].text
            return f"{value.calls[-1].name}: {text}", in_words(text)
        case Items() | Thing():
            things = value.items if isinstance(value, Items) else (value,)
            names = [
                one.calls[-1].args[0].text
                for one in things
                if isinstance(one, Thing) and one.calls and one.calls[-1].args
            ]
            if names:
                return ", ".join(names), f"After {', '.join(names)}"
            return value.text.strip("{}"), value.text.strip("{}")
        case _:
            return value.text.strip("{}"), value.text.strip("{}")
