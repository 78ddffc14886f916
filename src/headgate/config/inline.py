"""Refuses secrets that stand in a file: passwords, tokens, URLs with a password. References take their place."""

from __future__ import annotations

import re

from headgate.config.references import defaults, without_references
from headgate.config.report import Path, Report
from headgate.config.yaml import Value

_SECRET = re.compile(
    r"(.*[_-])?(password|passwd|pwd|passphrase|secret|token|apikey|api_key|private_key|secret_key|access_key"
    r"|service_key|account_key|authorization|webhook|credentials)",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"://[^/?#\s@]*?:(?P<value>[^/?#\s@]*)@")
_FIELD = re.compile(
    r"(?:^|[\s?&;])[a-z_]*(?:password|passwd|pwd|secret|token|api_?key)\s*=\s*(?P<value>[^\s&;]*)", re.IGNORECASE
)
_PASSWORDS = (_URL_PASSWORD, _FIELD)
_HINT = "write ${NAME} with the value in the environment or .env, ${file:PATH} or ${aws-sm:NAME#KEY}"
_REFERENCE = "\ue000"


def is_secret(key: str) -> bool:
    """Whether a key names something that must not be shown."""
    return _SECRET.fullmatch(key) is not None


def refuse_inline(value: Value, report: Report, path: Path = (), *, named: bool = True) -> None:
    """Note every secret that stands in ``value``. ``named``: keys tell too, as in connections; else only URLs do."""
    match value:
        case dict():
            for key, item in value.items():
                here = (*path, key)
                if named and is_secret(key) and isinstance(item, str | int | float) and not isinstance(item, bool):
                    refuse_value(str(item), report, here)
                else:
                    refuse_inline(item, report, here, named=named)
        case list():
            for index, item in enumerate(value):
                refuse_inline(item, report, (*path, index), named=named)
        case str():
            _text(value, report, path, _PASSWORDS if named else _PASSWORDS[:1])
        case _:
            return


def refuse_value(text: str, report: Report, path: Path) -> None:
    """Note a secret that is given as a text of its own and not as a reference."""
    if _REFERENCE not in without_references(text):
        if text:
            report.note("a secret must not stand in the file", path, _HINT)
    elif defaults(text):
        report.note("the default of a secret is a secret in the file", path, "write ${NAME} without a default")


def _text(text: str, report: Report, path: Path, patterns: tuple[re.Pattern[str], ...]) -> None:
    marked = without_references(text)
    if any(value and _REFERENCE not in value for value in _passwords(marked, patterns)):
        report.note("a password must not stand in the file", path, _HINT)
    elif any(_passwords(default, patterns) for default in defaults(text)):
        report.note("the default of a reference holds a password", path, _HINT)


def _passwords(text: str, patterns: tuple[re.Pattern[str], ...]) -> list[str]:
    return [match["value"] for pattern in patterns for match in pattern.finditer(text) if match["value"]]
