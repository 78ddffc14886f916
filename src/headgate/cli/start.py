"""Where the installed program begins: an interruption shows no traceback even while the program is being imported."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The entry point of the installed program."""
    try:
        from headgate.cli.main import main as program

        program()
    except KeyboardInterrupt:
        sys.stderr.write("error[INTERRUPTED] command: interrupted\n  hint: nothing is half done; call it again\n")
        sys.stderr.flush()
        os._exit(1)
