"""The reference is what the program says of itself, and its examples are read by the models they belong to."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from headgate.config.yaml import parse, plain
from headgate.core.errors import Code
from headgate.core.registry import PackageRegistry

DOCS = Path(__file__).resolve().parents[2] / "docs"
GROUPS = {"steps": "transforms", "rules": "quality"}
EXAMPLES: dict[str, dict[str, str]] = yaml.safe_load((DOCS / "texts" / "examples.yml").read_text(encoding="utf-8"))

pytestmark = pytest.mark.docs


@pytest.mark.parametrize("page", ["configuration.md", "cli.md", "errors.md"])
def test_a_page_is_as_the_generator_writes_it(generate: Any, page: str) -> None:
    committed = (DOCS / "reference" / page).read_text(encoding="utf-8")
    assert committed == generate.pages()[page], "run: make docs"


def test_every_option_of_every_kind_says_what_it_means(generate: Any) -> None:
    empty = [line for line in generate.configuration().splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert empty == []


def test_what_stands_below_is_below(generate: Any) -> None:
    """Options of options have tables of their own: bands of categories, methods of masks, strategies of fills …"""
    lines = generate.configuration().splitlines()
    for place, line in enumerate(lines):
        if "options, see below" in line:
            section = itertools.takewhile(lambda later: not later.startswith("#"), lines[place:])
            assert any(later.startswith(f"Options of {line.split()[1]}:") for later in section), line
    assert "| `below_quantile` | number, ≥ 0 and ≤ 1 |" in generate.configuration()


def test_every_error_code_has_advice_and_nothing_else_has(generate: Any) -> None:
    assert set(generate.ADVICE) == {code.value for code in Code}


def test_every_command_is_on_the_page(generate: Any) -> None:
    page = generate.command_line()
    for command in ("run", "state set", "quarantine replay", "connections test", "config create", "query"):
        assert f"\n## headgate {command}\n" in page


def _examples(part: str) -> Iterator[tuple[str, Any]]:
    for kind, text in EXAMPLES[part].items():
        yield kind, plain(parse(f"example: {text}", kind))["example"] if text[0] == "{" else plain(parse(text, kind))


@pytest.mark.parametrize(
    ("group", "kind", "options"),
    [(GROUPS[part], kind, options) for part in GROUPS for kind, options in _examples(part)],
)
def test_an_example_of_a_step_or_rule_is_valid(group: str, kind: str, options: dict[str, Any]) -> None:
    assert options["type"] == kind
    PackageRegistry().module(group, kind).Options.model_validate(options)


def test_every_step_and_rule_has_an_example() -> None:
    registry = PackageRegistry()
    for part, group in GROUPS.items():
        assert set(EXAMPLES[part]) == set(registry.kinds(group)), f"docs/texts/examples.yml: {part}"


@pytest.mark.parametrize(("kind", "document"), list(_examples("connections")))
def test_an_example_of_a_connection_is_valid(kind: str, document: dict[str, Any]) -> None:
    (options,) = document.values()
    assert options["type"] == kind
    PackageRegistry().connection(kind).model_validate(options)


@pytest.mark.parametrize(
    ("part", "key", "model", "kind", "document"),
    [("sources", "source", "Read", *one) for one in _examples("sources")]
    + [("targets", "target", "Write", *one) for one in _examples("targets")],
)
def test_an_example_of_a_source_or_target_is_valid(
    part: str, key: str, model: str, kind: str, document: dict[str, Any]
) -> None:
    module = PackageRegistry().module("lake" if kind == "iceberg" else part, kind)
    vars(module)[model].model_validate(document[key])
