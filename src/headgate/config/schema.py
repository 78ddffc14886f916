"""The JSON Schema of the YAML, for editors: made of the same models that read it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from headgate.config.files import FOLDER, NAME
from headgate.config.models import Alerts, Defaults, Header, State
from headgate.core.contracts import Registry

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MODELINE = "# yaml-language-server: $schema={path}"
"""The comment that wires the schema into an editor."""

_REFERENCE: JsonSchemaValue = {"type": "string", "pattern": r"\$\{[^{}]+\}"}


def project_schema(registry: Registry) -> dict[str, Any]:
    """The schema of ``headgate.yml`` and of ``pipelines/*.yml``, with the options of every kind there is."""
    definitions = _Definitions()
    connections = {kind: registry.connection(kind) for kind in _kinds(registry, "sources", "targets")}
    lakes = {kind: registry.module("lake", kind) for kind in registry.kinds("lake")}
    reads = {kind: registry.module("sources", kind).Read for kind in registry.kinds("sources")}
    writes = {kind: registry.module("targets", kind).Write for kind in registry.kinds("targets")}
    definitions.by_type("connection", connections)
    definitions.by_type("lake", {kind: module.Connection for kind, module in lakes.items()}, required=False)
    for group, part in (("transforms", "transformation"), ("quality", "quality_rule")):
        definitions.by_type(part, {kind: registry.module(group, kind).Options for kind in registry.kinds(group)})
    definitions.any_of("source", {**reads, **{f"lake_{kind}": module.Read for kind, module in lakes.items()}})
    definitions.any_of("target", {**writes, **{f"lake_{kind}": module.Write for kind, module in lakes.items()}})
    definitions.found["pipeline"] = _pipeline(definitions)
    definitions.found["pipelines"] = {"type": "object", "additionalProperties": _ref("pipeline")}
    return {
        "$schema": DRAFT,
        "title": "headgate",
        "description": f"{NAME} and {FOLDER}/*.yml of a headgate project.",
        "type": "object",
        "properties": {
            "version": {"const": 1, "description": "The version of this grammar."},
            "project": {"type": "string", "description": "Names what is published; keep it for ever."},
            "connections": {"type": "object", "additionalProperties": _ref("connection")},
            "lake": _ref("lake"),
            "state": definitions.add("state", State),
            "defaults": definitions.add("defaults", Defaults),
            "alerts": definitions.add("alerts", Alerts, "alerts"),
            "pipelines": _ref("pipelines"),
        },
        "additionalProperties": False,
        "$defs": definitions.found,
    }


def _kinds(registry: Registry, *groups: str) -> list[str]:
    return sorted({kind for group in groups for kind in registry.kinds(group)})


def _ref(name: str) -> JsonSchemaValue:
    return {"$ref": f"#/$defs/{name}"}


def _pipeline(definitions: _Definitions) -> JsonSchemaValue:
    definitions.add("header", Header)
    header = definitions.found.pop("header")
    many = {"source": "sources", "target": "targets"}
    parts: dict[str, JsonSchemaValue] = {}
    for one, several in many.items():
        parts[one] = _ref(one)
        parts[several] = {"type": "array", "items": _ref(one), "minItems": 1}
    parts["transformations"] = {"type": "array", "items": _ref("transformation")}
    parts["quality_rules"] = {"type": "array", "items": _ref("quality_rule")}
    return {
        "type": "object",
        "description": "What to move, how to change it, what must hold, where it goes.",
        "properties": {**header["properties"], **parts},
        "additionalProperties": False,
        "allOf": [{"oneOf": [{"required": [one]}, {"required": [several]}]} for one, several in many.items()],
    }


class _Definitions:
    """``$defs`` so far; names of inner models get their owner's name before them."""

    def __init__(self) -> None:
        self.found: dict[str, JsonSchemaValue] = {}

    def add(self, name: str, model: type[BaseModel], part: str = "") -> JsonSchemaValue:
        """Define a model (or one property of it) and give the reference to it."""
        template = f"#/$defs/{name}.{{model}}"
        schema = model.model_json_schema(ref_template=template, schema_generator=_Generator)
        for inner, definition in schema.pop("$defs", {}).items():
            self.found[f"{name}.{inner}"] = definition
        self.found[name] = schema["properties"][part] if part else schema
        return _ref(name)

    def by_type(self, name: str, models: Mapping[str, type[BaseModel]], *, required: bool = True) -> None:
        """One of several models, told apart by ``type``."""
        choices = [
            {
                "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
                "then": self.add(f"{name}.{kind}", model),
            }
            for kind, model in models.items()
        ]
        self.found[name] = {
            "type": "object",
            "properties": {"type": {"enum": list(models), "description": "The kind."}},
            "allOf": choices,
            **({"required": ["type"]} if required else {}),
        }

    def any_of(self, name: str, models: Mapping[str, type[BaseModel]]) -> None:
        """One of several models that the connection tells apart."""
        self.found[name] = {"anyOf": [self.add(f"{name}.{kind}", model) for kind, model in models.items()]}


class _Generator(GenerateJsonSchema):
    """What the loader accepts: references wherever a value stands, and the short forms that are read first."""

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        return {"anyOf": [super().function_before_schema(schema), {"type": ["string", "number", "array"]}]}

    def timedelta_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ARG002 - the base class's signature
        return {"type": ["string", "number"], "description": "A duration such as 90s, 5m, 2h or 7d."}

    def int_schema(self, schema: Any) -> JsonSchemaValue:
        return {"anyOf": [super().int_schema(schema), _REFERENCE]}

    def float_schema(self, schema: Any) -> JsonSchemaValue:
        return {"anyOf": [super().float_schema(schema), _REFERENCE]}

    def bool_schema(self, schema: Any) -> JsonSchemaValue:
        return {"anyOf": [super().bool_schema(schema), _REFERENCE]}

    def literal_schema(self, schema: Any) -> JsonSchemaValue:
        found = super().literal_schema(schema)
        return found if "const" in found else {"anyOf": [found, _REFERENCE]}

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return f"{dft.total_seconds():g}s"
        return super().encode_default(dft)
