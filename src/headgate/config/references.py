"""``${NAME}``, ``${NAME:-default}``, ``${file:PATH}``, ``${aws-sm:NAME#KEY}``: substituted once, as text.

Nothing is evaluated and what comes out is not read again. Values of files and of the secrets manager are masked in
every output from then on; the secrets manager is asked only when the value is used.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from headgate.config.yaml import Value
from headgate.core.errors import Code, FatalError
from headgate.core.secrets import remember

MAX_SECRET_BYTES = 1_000_000
Secrets: TypeAlias = Literal["refuse", "later", "ask"]
LATER = "x"
"""Stands for what is not known yet while a model is checked."""

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


class Given(str):
    """Text from the environment or the command line: it holds no references."""

    __slots__ = ()


@dataclass(frozen=True)
class Unresolved:
    """A reference without a value: the path of the text that holds it, and why."""

    path: tuple[str | int, ...]
    message: str
    hint: str = ""


@dataclass
class References:
    """Reads references against one environment; files are relative to the project's root."""

    environment: Mapping[str, str]
    root: Path
    _files: dict[str, str] = field(default_factory=dict)
    _secrets: dict[str, str] = field(default_factory=dict)

    def substitute(self, value: Value, secrets: Secrets = "refuse") -> tuple[Any, list[Unresolved]]:
        """A plain copy of ``value`` with each reference replaced, and those that have no value.

        ``secrets``: whether references to the secrets manager are refused, left for later (a mark stands for them), or
        asked for.

        Raises:
            FatalError: when the secrets manager was asked and did not give the value.
        """
        missing: list[Unresolved] = []
        return self._walk(value, (), secrets, missing), missing

    def _walk(self, value: Value, path: tuple[str | int, ...], secrets: Secrets, missing: list[Unresolved]) -> Any:
        match value:
            case dict():
                return {key: self._walk(item, (*path, key), secrets, missing) for key, item in value.items()}
            case list():
                return [self._walk(item, (*path, index), secrets, missing) for index, item in enumerate(value)]
            case Given():
                return str(value)
            case str() if "${" in value:
                return self._text(value, path, secrets, missing)
            case _:
                return value

    def _text(self, text: str, path: tuple[str | int, ...], secrets: Secrets, missing: list[Unresolved]) -> str:
        rest = _REFERENCE.sub("", text)
        if "${" in rest:
            missing.append(Unresolved(path, "a ${ is not closed", "write ${NAME}"))
            return text

        def replace(found: re.Match[str]) -> str:
            try:
                return self._one(found[1], secrets)
            except _NoValueError as why:
                missing.append(Unresolved(path, why.message, why.hint))
                return LATER

        return _REFERENCE.sub(replace, text)

    def _one(self, inside: str, secrets: Secrets) -> str:
        scheme, colon, rest = inside.partition(":")
        if colon and scheme == "file":
            return self._file(rest)
        if colon and scheme == "aws-sm":
            if secrets == "refuse":
                raise _NoValueError("${aws-sm:} is for connections only", "put what is secret there")
            return self._secret(rest) if secrets == "ask" else LATER
        found = _NAME.fullmatch(inside)
        if not found:
            known = "known are ${NAME}, ${NAME:-default}, ${file:PATH} and ${aws-sm:NAME#KEY}"
            raise _NoValueError(f"${{{inside}}} is not a reference", known)
        name, default = found[1], found[2]
        if self.environment.get(name) or (name in self.environment and default is None):
            return self.environment[name]
        if default is None:
            raise _NoValueError(f"the variable {name} is not set", f"set {name} in the environment or in .env")
        return default

    def _file(self, path: str) -> str:
        if path not in self._files:
            if not path or "\x00" in path:
                raise _NoValueError("${file:} names no file", "write ${file:PATH}")
            place = self.root / path
            try:
                data = place.read_bytes()
                if len(data) > MAX_SECRET_BYTES:
                    raise _NoValueError(
                        f"the file {path} is larger than {MAX_SECRET_BYTES} bytes", "name a file with one value"
                    )
                text = data.decode().rstrip("\r\n")
            except OSError as error:
                raise _NoValueError(
                    f"the file {path} cannot be read: {error.strerror}", f"it is looked for at {place}"
                ) from None
            except UnicodeDecodeError:
                raise _NoValueError(f"the file {path} is not UTF-8", "name a text file") from None
            remember(text)
            self._files[path] = text
        return self._files[path]

    def _secret(self, inside: str) -> str:
        if inside not in self._secrets:
            self._secrets[inside] = _from_aws(inside)
            remember(self._secrets[inside])
        return self._secrets[inside]


def asks(value: Value) -> bool:
    """Whether a value holds a reference that only the secrets manager can answer."""
    match value:
        case dict():
            return any(asks(item) for item in value.values())
        case list():
            return any(asks(item) for item in value)
        case Given():
            return False
        case str():
            return "${aws-sm:" in value
        case _:
            return False


def referring(value: Value, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where references stand in a value: what they give is not shown."""
    match value:
        case dict():
            return [place for key, item in value.items() for place in referring(item, (*path, key))]
        case list():
            return [place for index, item in enumerate(value) for place in referring(item, (*path, index))]
        case str() if "${" in value and not isinstance(value, Given):
            return [path]
        case _:
            return []


def without_references(text: str) -> str:
    """``text`` with a mark in place of each reference."""
    return _REFERENCE.sub("\ue000", text)


def defaults(text: str) -> list[str]:
    """The defaults that references in ``text`` carry."""
    found = (_NAME.fullmatch(inside) for inside in _REFERENCE.findall(text))
    return [match[2] for match in found if match and match[2]]


class _NoValueError(Exception):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def _from_aws(inside: str) -> str:
    name, _, key = inside.partition("#")
    try:
        boto3 = importlib.import_module("boto3")
        failures = importlib.import_module("botocore.exceptions")
    except ImportError:
        raise FatalError(
            Code.DRIVER_MISSING,
            "boto3 is not installed",
            operation="secret",
            object=name,
            hint="pip install boto3, or give the value by ${NAME} or ${file:PATH}",
        ) from None
    try:
        text = boto3.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    except (failures.BotoCoreError, failures.ClientError, KeyError) as error:
        raise FatalError(
            Code.CONFIG_INVALID,
            f"the secrets manager gave no value: {type(error).__name__}",
            operation="secret",
            object=name,
            hint="check the secret's name, the region and the rights of this account",
        ) from None
    return _part(text, name, key) if key else str(text)


def _part(text: str, name: str, key: str) -> str:
    try:
        return str(json.loads(text)[key])
    except (ValueError, KeyError, TypeError):
        raise FatalError(
            Code.CONFIG_INVALID,
            f'the secret has no key "{key}"',
            operation="secret",
            object=name,
            hint="a secret with keys is one JSON object of texts",
        ) from None
