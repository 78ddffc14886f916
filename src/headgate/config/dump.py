"""Plain values as YAML that reads back as the same values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import yaml

from headgate.config.yaml import plain, scalar


class _Dumper(yaml.SafeDumper):
    """Block style; text is quoted wherever it would read as something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - its signature
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    try:
        if not isinstance(scalar(value), str):
            style = "'"
    except ValueError:
        style = "'"
    if any(character in value for character in "\n\r\t\x85\u2028\u2029\ufeff"):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _decimal(dumper: yaml.SafeDumper, value: Decimal) -> yaml.ScalarNode:
    text = format(value, "f")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text if "." in text else f"{text}.0")


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Decimal, _decimal)


def dump(value: Any) -> str:
    """YAML of plain values, two spaces an indent, keys in their order."""
    text: str = yaml.dump(
        plain(value), Dumper=_Dumper, sort_keys=False, default_flow_style=False, indent=2, allow_unicode=True, width=110
    )
    return text
