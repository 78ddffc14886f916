"""What a command returns: a value, or an error with its code; never an exception."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from headgate.core.errors import Code, HeadgateError

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Result(Generic[T]):
    """Exactly one of ``value`` and ``failure`` is meaningful; a failed run has both: its receipt and its error."""

    value: T | None = None
    failure: HeadgateError | None = None

    @classmethod
    def ok(cls, value: T) -> Result[T]:
        return cls(value)

    @classmethod
    def fail(cls, failure: HeadgateError, value: T | None = None) -> Result[T]:
        return cls(value, failure)

    @property
    def is_failure(self) -> bool:
        return self.failure is not None

    @property
    def error(self) -> str | None:
        """The message, for people."""
        return str(self.failure) if self.failure else None

    @property
    def error_code(self) -> Code | None:
        return self.failure.code if self.failure else None

    def flat_map(self, next_: Callable[[T], Result[U]]) -> Result[U]:
        """Go on with the value, or stop at the first failure."""
        if self.failure is not None:
            return Result(None, self.failure)
        assert self.value is not None
        return next_(self.value)

    def unwrap(self) -> T:
        """The value; raises the error of a failure."""
        if self.failure is not None:
            raise self.failure
        assert self.value is not None
        return self.value
