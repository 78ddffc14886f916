"""Names in the lake: of tables, of their folders, and of the files of one run."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from pathlib import Path

from headgate.core.errors import Code, FatalError
from headgate.core.ledger import PREFIX, Claim
from headgate.core.runs import PipelineKey

NAMESPACE = "default"
QUARANTINE = "_quarantine"
STAGING = "_staging"
LOCKS = "_locks"

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_RUN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TAG = re.compile(r"([0-9a-f]{12})-([A-Za-z0-9_-]{1,64})-e(\d+)(?=[-.]|$)")
_UUID = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})([0-9a-f]{8})")


def identifier(table: str) -> tuple[str, str]:
    """(namespace, name) of a table as users call it: ``name`` or ``namespace.name``."""
    parts = table.split(".")
    namespace, name = (NAMESPACE, table) if len(parts) == 1 else (parts[0], ".".join(parts[1:]))
    why = ""
    if len(parts) > 2 or not all(part.strip() == part and part for part in parts):
        why = "a table is called name or namespace.name, without spaces at the ends"
    elif name.lower().startswith(PREFIX) or namespace.lower().startswith(PREFIX):
        why = f'names that start with "{PREFIX}" are kept for headgate itself'
    elif max(len(namespace), len(name)) > 255 or any(ord(char) < 32 for char in table):
        why = "a name has at most 255 characters and no control characters"
    if why:
        raise FatalError(Code.UNSUPPORTED, why, operation="write", object=table, hint="choose another table name")
    return namespace, name


def display(namespace: str, name: str) -> str:
    """The name as users call it."""
    return name if namespace == NAMESPACE else f"{namespace}.{name}"


def folder(root: Path, table: str) -> Path:
    """Where a new table keeps its files. Any name gives a portable path."""
    namespace, name = identifier(table)
    return root / _safe(namespace) / _safe(name)


def _safe(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:60] + "-" + _digest(name)[:8]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def pipeline_digest(key: PipelineKey) -> str:
    """12 hex digits that every file of a pipeline carries: no other pipeline touches it."""
    return _digest(json.dumps([key.project, key.pipeline]))[:12]


def tag(claim: Claim) -> str:
    """What the files of one claim carry in their names: pipeline, run and epoch."""
    run = claim.run_id if _RUN.fullmatch(claim.run_id) else _digest(claim.run_id)[:32]
    return f"{pipeline_digest(claim.key)}-{run}-e{claim.epoch}"


def commit_tag(claim: Claim) -> str:
    """What stands for the metadata of one claim. Data of a parked run are committed by a later claim than staged them,
    and metadata that the earlier one began are garbage then."""
    return f"{tag(claim)}-metadata"


def tag_of(file: str, pipeline: str) -> str | None:
    """The tag in a file's name, if it is one of the pipeline with this digest."""
    found = _TAG.match(file)
    return found[0] if found and found[1] == pipeline else None


def tag_digest(tag_: str) -> str:
    return _digest(tag_)[:12]


def commit_uuid(tag_: str) -> str:
    """A UUID for the metadata files of one attempt to commit; it holds the pipeline's digest and the tag's."""
    digits = tag_[:12] + tag_digest(tag_) + secrets.token_hex(4)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def commit_of(file: str, pipeline: str) -> str | None:
    """The digest of the tag in a metadata file's name, if it is one of the pipeline with this digest."""
    found = _UUID.search(file)
    if not found or found[1] + found[2] != pipeline:
        return None
    return found[3] + found[4] + found[5]


def local_path(location: str) -> str:
    """A path that every reader can open, of a location as Iceberg writes it."""
    return location.removeprefix("file://") if location.startswith("file:///") else location.removeprefix("file:")
