"""The peers, each in an environment of its own below ``.cache/peers``: measured, and no part of the product."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from benchmarks.measure import ROOT, tell

PEERS = ROOT / ".cache" / "peers"
PACKAGES = {
    "dlt": (
        "dlt[postgres,parquet]==1.31.0",
        "sqlalchemy<3",
        "psycopg[binary]",
        "psycopg2-binary",
        "connectorx",
        "adbc-driver-postgresql",
    ),
    "sling": ("sling==1.4.11", "sling-linux-amd64==1.4.11"),
    "ingestr": ("ingestr==0.14.155",),
    "polars": ("polars", "connectorx", "adbc-driver-postgresql", "pyarrow", "sqlalchemy<3"),
}
"""What is installed for each; the last Sling whose program is on the package index."""


def environment(name: str) -> Path:
    """The folder of a peer's programs; made when it is first asked for."""
    folder = PEERS / name
    marker = folder / "ready"
    if not marker.exists():
        tell(f"installing {name} into {folder.relative_to(ROOT)}")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)  # noqa: S603 - our own interpreter
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES[name]]
        subprocess.run(pip, check=True)  # noqa: S603 - the packages stand above
        marker.touch()
    return folder / "bin"


def sling() -> str:
    """Sling's program, which its Python package would otherwise fetch from elsewhere."""
    found = sorted(environment("sling").parent.glob("lib/*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"))
    found[0].chmod(0o755)
    return str(found[0])


def script(name: str, text: str) -> list[str]:
    """A command that runs a Python text in a peer's environment."""
    return [str(environment(name) / "python"), "-c", textwrap.dedent(text)]
