"""headgate runs every data pipeline as a transaction."""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
"""As in typing, which takes a while to import: a Ctrl-C before the command line listens shows a traceback."""

if TYPE_CHECKING:
    from typing import Any

    from headgate.api.decorators import Watermark, source, transform
    from headgate.api.project import Project, RunError
    from headgate.api.tables import Table
    from headgate.commands.models import (
        CreatePipeline,
        DeletePipeline,
        DiscardQuarantine,
        DiscardRun,
        ExtractData,
        InitProject,
        LoadData,
        PublishRun,
        ReplayQuarantine,
        ResetWatermark,
        RunPipeline,
        SetWatermark,
        TransformData,
        UpdatePipeline,
        ValidateData,
    )
    from headgate.core.errors import Code, FatalError, HeadgateError, RetriableError
    from headgate.core.results import Result
    from headgate.core.runs import Receipt, Status

_HOMES = {
    "headgate.api.decorators": ("Watermark", "source", "transform"),
    "headgate.api.project": ("Project", "RunError"),
    "headgate.api.tables": ("Table",),
    "headgate.commands.models": (
        "CreatePipeline",
        "DeletePipeline",
        "DiscardQuarantine",
        "DiscardRun",
        "ExtractData",
        "InitProject",
        "LoadData",
        "PublishRun",
        "ReplayQuarantine",
        "ResetWatermark",
        "RunPipeline",
        "SetWatermark",
        "TransformData",
        "UpdatePipeline",
        "ValidateData",
    ),
    "headgate.core.errors": ("Code", "FatalError", "HeadgateError", "RetriableError"),
    "headgate.core.results": ("Result",),
    "headgate.core.runs": ("Receipt", "Status"),
}
"""Where each name lives; it is imported when it is first asked for, so that the command line starts at once."""

__all__ = [
    "Code",
    "CreatePipeline",
    "DeletePipeline",
    "DiscardQuarantine",
    "DiscardRun",
    "ExtractData",
    "FatalError",
    "HeadgateError",
    "InitProject",
    "LoadData",
    "Project",
    "PublishRun",
    "Receipt",
    "ReplayQuarantine",
    "ResetWatermark",
    "Result",
    "RetriableError",
    "RunError",
    "RunPipeline",
    "SetWatermark",
    "Status",
    "Table",
    "TransformData",
    "UpdatePipeline",
    "ValidateData",
    "Watermark",
    "source",
    "transform",
]


def __getattr__(name: str) -> Any:
    import importlib

    for module, names in _HOMES.items():
        if name in names:
            value = getattr(importlib.import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
