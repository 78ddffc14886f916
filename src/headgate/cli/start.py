"""Where the installed program begins: a Ctrl-C is one message from here on, also while the program is imported."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
"""As in typing, whose import would be some milliseconds in which a Ctrl-C shows a traceback."""

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

TEXT = "error[INTERRUPTED] command: interrupted\n  hint: nothing is half done; call it again\n"
DOCUMENT = (
    '{"error": {"code": "INTERRUPTED", "operation": "command", "object": "", "message": "interrupted",'
    ' "hint": "nothing is half done; call it again"}}\n'
)
"""Written out, since what makes such documents may be just what is being imported."""


def main() -> None:
    """The entry point of the installed program."""
    try:
        import signal

        # an exception would do harm within the machinery of imports, and is dropped in callbacks: the process ends
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupted)
        from headgate.cli.main import main as program

        program()
    except KeyboardInterrupt:
        interrupted()


def interrupted(*_: object) -> NoReturn:
    """End a process that has not begun to do anything."""
    if wants_json(sys.argv[1:]):
        os.write(1, DOCUMENT.encode())
    else:
        os.write(2, TEXT.encode())
    os._exit(1)


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether JSON is asked for in a line that nobody has understood yet."""
    pairs = zip(arguments, [*arguments, ""][1:], strict=True)
    return any(
        first in ("-ojson", "-o=json", "--output=json") or (first in ("-o", "--output") and second == "json")
        for first, second in pairs
    )
