"""What DuckDB says, in the terms of this product: cleaned of its noise, with a code and what to do."""

from __future__ import annotations

import re

from headgate.core.engines import BindingError
from headgate.core.errors import Code, FatalError
from headgate.core.secrets import mask

_CANDIDATES = re.compile(r"^\s*(?:Candidate bindings|Candidates|Did you mean):?\s*(.*)$", re.MULTILINE)
_COLUMN = re.compile(
    r'(?:Referenced column|Column with name|column named?|column) "?([^"]+?)"? (?:not found|does not exist|that is not)'
)
_PREFIX = re.compile(r"^(?:[A-Z][A-Za-z-]*(?: [A-Za-z-]+){0,3} (?:Error|exception): )+")


_NO_FUNCTION = re.compile(
    r"No function matches the given name and argument types '(.+?)\((.*)\)'\."
    r" You might need to add explicit type casts\..*"
)
_CELLS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")


def rejected(reasons: str) -> str:
    """Why a line was rejected; DuckDB tells each missing or surplus cell on its own."""
    found = _CELLS.findall(reasons)
    if not found:
        return reasons
    wanted, counts = int(found[0][0]), [int(count) for _, count in found]
    cells = min(counts) if min(counts) < wanted else max(counts)
    others = [reason for reason in reasons.split("; ") if not _CELLS.search(reason)]
    return "; ".join([f"{cells} cell{'' if cells == 1 else 's'} where {wanted} are expected", *others])


def clean(error: BaseException) -> str:
    """The message without its class, its SQL excerpt and its stack."""
    text = re.split(r"\n\s*LINE \d+:|\n\s*Stack Trace|\n\s*Detail:", str(error), maxsplit=1)[0].strip()
    text = _PREFIX.sub("", text)
    text = re.sub(r"\b(INTEGER|DECIMAL)_LITERAL\b", r"\1", text).replace("STRING_LITERAL", "VARCHAR")
    return mask(re.sub(r"\s*\n\s*", "; ", text))


def binding(error: BaseException) -> BindingError:
    """The error of a statement that does not bind, with the missing column and the names that exist."""
    text = str(error)
    found = _CANDIDATES.search(text)
    candidates = re.findall(r'"((?:[^"]|"")+)"', found[1]) if found else []
    body = clean(error).split("; Candidate bindings", 1)[0].split("; Did you mean", 1)[0].rstrip("!")
    body = _NO_FUNCTION.sub(r"\1 does not take (\2): cast to other types first", body)
    missing = _COLUMN.search(text)
    return BindingError(body, missing[1] if missing else "", candidates)


def without_values(text: str) -> str:
    """A message in which no value of a row stands: what is in quotes, from the first to the last, and numbers."""
    for quote in ("'", '"'):
        text = re.sub(rf"(?<!\w){quote}.*{quote}(?!\w)", "***", text, flags=re.DOTALL)
    return re.sub(r"(?<!\w)-?\d[\w.:+-]*", "***", text)


def failed(
    error: BaseException, operation: str = "transform", object_: str = "", *, discreet: bool = False
) -> FatalError:
    """The error of a statement that broke off while it ran; ``discreet``: without values of rows."""
    text = clean(error)
    lowered = f"{type(error).__name__} {error}".lower()
    if "interrupt" in lowered:
        return FatalError(Code.INTERRUPTED, "the run was interrupted", operation=operation, object=object_)
    if "no space left" in lowered or "max_temp_directory_size" in lowered or "disk quota" in lowered:
        return FatalError(
            Code.DISK_FULL,
            text,
            operation=operation,
            object=object_,
            hint="the run spills to its work folder when memory is short: free space there; nothing was published",
        )
    if "out of memory" in lowered or "outofmemory" in lowered:
        return FatalError(
            Code.TRANSFORMATION_FAILED,
            text,
            operation=operation,
            object=object_,
            hint="raise the memory limit, or lower the number of threads: defaults: {memory: 1GB, threads: 2}",
        )
    text = without_values(text) if discreet else text
    hint = ""
    if "overflow in" in lowered or "type int128" in lowered:
        hint = (
            "a sum of whole numbers is a BIGINT, one of decimals has 38 digits, a mean no more before it is divided;"
            " aggregate CAST(x AS DOUBLE) where the last digits do not matter"
        )
    if "rejects" not in lowered and ("read_csv" in lowered or "csv error" in lowered):
        hint = "compare the file with the delimiter, quote and encoding given for it"
    return FatalError(Code.TRANSFORMATION_FAILED, text, operation=operation, object=object_, hint=hint)
