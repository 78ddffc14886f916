"""One handler for every command. It returns a Result and never raises: an error keeps its code."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, assert_never

from headgate.commands import models as m
from headgate.core.errors import HeadgateError, fault
from headgate.core.results import Result
from headgate.execute.workspace import Workspace

AnyCommand = (
    m.RunPipeline
    | m.PublishRun
    | m.DiscardRun
    | m.SetWatermark
    | m.ResetWatermark
    | m.ReplayQuarantine
    | m.MendQuarantine
    | m.ExpireQuarantine
    | m.DiscardQuarantine
    | m.CreatePipeline
    | m.UpdatePipeline
    | m.DeletePipeline
    | m.ExtractData
    | m.LoadData
    | m.TransformData
    | m.ValidateData
    | m.AnswerChecklist
)


def handle(command: AnyCommand, workspace: Workspace) -> Result[Any]:
    """Do what the command says.

    Returns:
        For runs the receipt, also of failed ones (``result.value``); for the others a plain JSON value.
    """
    return guarded(lambda: _handle(command, workspace))


def guarded(action: Callable[[], Result[Any]]) -> Result[Any]:
    """The one place where exceptions become results."""
    try:
        return action()
    except HeadgateError as error:
        return Result.fail(error)
    except Exception as error:  # noqa: BLE001 - a handler never raises; the traceback goes to the debug log
        return Result.fail(_internal(error))


def _handle(command: AnyCommand, workspace: Workspace) -> Result[Any]:
    match command:
        case m.RunPipeline():
            from headgate.commands import run

            return run.run(command, workspace)
        case m.ReplayQuarantine() | m.MendQuarantine():
            from headgate.commands import run

            return run.replay(command, workspace)
        case m.AnswerChecklist():
            from headgate.commands import answers

            return answers.answer(command, workspace)
        case m.ExtractData() | m.LoadData() | m.TransformData() | m.ValidateData():
            from headgate.commands import single

            return single.run_single(command, workspace)
        case m.PublishRun() | m.DiscardRun():
            from headgate.commands import staged

            return staged.settle(command, workspace)
        case m.SetWatermark() | m.ResetWatermark():
            from headgate.commands import state

            return state.change(command, workspace)
        case m.ExpireQuarantine():
            from headgate.commands import state

            return state.expire(command, workspace)
        case m.DiscardQuarantine():
            from headgate.commands import state

            return state.discard(command, workspace)
        case m.CreatePipeline() | m.UpdatePipeline() | m.DeletePipeline():
            from headgate.commands import records

            return records.change(command, workspace)
        case _:
            assert_never(command)


def _internal(error: Exception) -> HeadgateError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return fault(error, "command", at=f" ({last.name}, line {last.lineno})")
