"""``mask``: personal data made unreadable."""

from __future__ import annotations

from typing import Annotated, Any, Literal, assert_never

from pydantic import BeforeValidator, Field, model_validator
from sqlglot import exp

from headgate.core.models import Model, StepOptions
from headgate.core.secrets import Secret
from headgate.sql.digests import hmac_sha256, text_of
from headgate.sql.naming import distinct
from headgate.sql.shapes import Project, Shape, StepInput, column

Method = Literal["hash", "tokenise", "partial", "redact", "null"]


class Masking(Model):
    """How one column is masked."""

    method: Method = Field(description="What replaces the value.")
    length: int = Field(default=16, ge=8, le=64, description="tokenise: hex digits of a token.")
    prefix: str = Field(default="", description="tokenise: put before every token, such as cus_.")
    first: int = Field(default=0, ge=0, le=100, description="partial: characters that stay at the start.")
    last: int = Field(default=0, ge=0, le=100, description="partial: characters that stay at the end.")
    sign: str = Field(
        default="*", min_length=1, max_length=1, description="partial: the character that stands for the others."
    )
    text: str = Field(default="REDACTED", description="redact: what every value becomes.")


def _as_masking(value: Any) -> Any:
    return {"method": value} if isinstance(value, str) else value


class Options(StepOptions):
    """Replace values of personal data; NULL stays NULL. What is masked becomes text, whatever it was.

    hash is HMAC-SHA-256 with the salt, in 64 hex digits: equal values (1 and '1' too) give equal codes, so joins and
    counts still work, and nobody without the salt can find them by trying. tokenise is the start of the same code, with
    a prefix: a stand-in that is pleasant to read. partial keeps some characters at the ends, and none of a text that
    is not longer than those. Rows that an earlier step held back keep their values in the quarantine: mask first.
    """

    type: Literal["mask"]
    columns: dict[str, Annotated[Masking, BeforeValidator(_as_masking)]] = Field(
        min_length=1, description="Column to method, or to {method, …}."
    )
    salt: Secret | None = Field(default=None, description="For hash and tokenise: a secret, as a reference.")

    @model_validator(mode="after")
    def _salted(self) -> Options:
        keyed = [name for name, masking in self.columns.items() if masking.method in ("hash", "tokenise")]
        if keyed and (self.salt is None or not self.salt.reveal()):
            raise ValueError(f"{keyed[0]} needs a salt, or its values could be found by trying; write salt: ${{NAME}}")
        return self


def hides(options: Options) -> tuple[str, ...]:
    """Columns whose values are told nowhere, not even as they were before."""
    return tuple(options.columns)


def shapes(options: Options, step: StepInput) -> list[Shape]:
    """One projection; the salt is a relation, so that no plan shows it."""
    chosen = {step.resolve(name): masking for name, masking in options.columns.items()}
    distinct(step.resolve(name) for name in options.columns)
    key = "hg_key_" + "_".join(sorted(name.lower() for name in chosen))
    values = dict(step.keep_all())
    for name, masking in chosen.items():
        values[name] = _masked(name, masking, key, step)
    return [Project(tuple(values.items()), keys={key: options.salt} if options.salt else {})]


def _masked(name: str, masking: Masking, key: str, step: StepInput) -> exp.Expr:
    text = text_of(name, step)
    known = exp.Not(this=exp.Is(this=column(name), expression=exp.null()))
    match masking.method:
        case "null":
            return exp.cast(exp.null(), exp.DType.TEXT)
        case "redact":
            value: exp.Expr = exp.Literal.string(masking.text)
        case "hash":
            value = hmac_sha256(text, key)
        case "tokenise":
            start = exp.Left(this=hmac_sha256(text, key), expression=exp.Literal.number(masking.length))
            value = exp.Concat(expressions=[exp.Literal.string(masking.prefix), start], safe=True, coalesce=False)
        case "partial":
            value = _partial(text, masking)
        case _:
            assert_never(masking.method)
    return exp.Case().when(known, value)


def _partial(text: exp.Expr, masking: Masking) -> exp.Expr:
    length, shown = exp.Length(this=text.copy()), exp.Literal.number(masking.first + masking.last)
    hidden = exp.Sub(this=length.copy(), expression=shown.copy())
    parts = [
        exp.Left(this=text.copy(), expression=exp.Literal.number(masking.first)),
        exp.Anonymous(this="REPEAT", expressions=[exp.Literal.string(masking.sign), hidden]),
        exp.Right(this=text.copy(), expression=exp.Literal.number(masking.last)),
    ]
    everything = exp.Anonymous(this="REPEAT", expressions=[exp.Literal.string(masking.sign), length.copy()])
    seen = exp.Anonymous(this="CONCAT", expressions=parts)
    return exp.Case().when(exp.GT(this=length, expression=shown), seen).else_(everything)
