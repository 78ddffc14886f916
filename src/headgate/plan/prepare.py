"""Kinds of steps that compute columns of their own first, whose types they must know for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headgate.core.models import StepOptions
from headgate.sql.shapes import Shape, StepInput


def prepared(module: Any, options: StepOptions, given: StepInput, add: Callable[[Shape], None]) -> StepOptions:
    """Add what the module's ``prepared(options, step)`` computes, and give the options for its ``shapes``."""
    if not hasattr(module, "prepared"):
        return options
    shapes, changed = module.prepared(options, given)
    for shape in shapes:
        add(shape)
    done: StepOptions = changed
    return done
