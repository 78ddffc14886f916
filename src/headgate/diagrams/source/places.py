"""Where a known call reads or writes: tables, files, topics, addresses, and the system that holds them."""

from __future__ import annotations

import re

from headgate.diagrams.source import shown
from headgate.diagrams.source.flow import Place
from headgate.diagrams.source.meaning import Meaning
from headgate.diagrams.source.names import system_of
from headgate.diagrams.source.paths import names_file
from headgate.diagrams.source.values import Called, Either, Items, Known, Thing, Value


def places(meaning: Meaning, path: str, thing: Thing, call: Called) -> list[Place]:
    where = meaning.system or (system(thing, call) if meaning.place in ("table", "topic") else "")
    made = _made(meaning, path, thing, call, where)
    if made is not None:
        return made
    if meaning.place is None:
        return []
    value = call.argument(meaning.at, *meaning.names)
    if value is None:
        return []
    if meaning.place == "file":
        opened = _opened(value)
        if opened or value.origins:
            return opened
    schema = call.kwargs.get("schema")
    prefix = f"{schema.text}." if isinstance(schema, Known) and schema.value else ""
    bucket = call.argument(None, "bucket_name", "bucket") if meaning.place == "object" else None
    prefix = f"{bucket.text}/" if bucket is not None and _names(bucket) else prefix
    return [Place(meaning.place, prefix + name, where) for name in _names(value)]


def _made(meaning: Meaning, path: str, thing: Thing, call: Called, where: str) -> list[Place] | None:
    """Places that the chain before the call tells; None where an argument does."""
    match meaning.how:
        case "chain":
            return _spark(meaning, path, thing, call)
        case "bucket":
            return _bucket(thing, call, where)
        case "collection":
            name = _collection(path)
            return [Place("table", name, where)] if name else [Place("system", where)]
        case "dynamo":
            return _keyed(thing, call, "Table", ("TableName",), where)
        case "sheet":
            return _keyed(thing, call, "worksheet", (), where) or _keyed(thing, call, "open", (), where)
        case "command":
            return _commanded(call)
        case "writer":
            return _opened(thing.calls[0].args[0]) if thing.calls and thing.calls[0].args else []
        case _:
            return None


def _keyed(thing: Thing, call: Called, maker: str, names: tuple[str, ...], where: str) -> list[Place]:
    """The table that a handle was made for, wherever that was."""
    made = thing.call(maker)
    value = call.argument(None, *names) or (made.args[0] if made is not None and made.args else None)
    return [Place("table", name, where) for name in _names(value)] if value is not None else []


def _commanded(call: Called) -> list[Place]:
    """The file of a command of FTP: ``RETR prices.zip``."""
    value = call.argument(0, "cmd")
    return [Place("file", name.partition(" ")[2] or name) for name in _names(value)] if value is not None else []


def _names(value: Value) -> list[str]:
    if isinstance(value, Items):
        return [name for one in value.items[:8] for name in _names(one)]
    if isinstance(value, Known | Either) or (isinstance(value, Thing) and not value.calls):
        return [shown.clean(text) for text in value.texts() if text and text != "{}"]
    if isinstance(value, Thing) and value.shown:
        return [shown.clean(value.shown)]
    return []


def _opened(value: Value) -> list[Place]:
    """The file behind an open file, or behind what wraps it."""
    if isinstance(value, Thing) and value.calls:
        for call in value.calls:
            if call.name in ("open", "TextIOWrapper", "Path", "ZipFile", "ExcelWriter") and call.args:
                inner = call.args[0]
                if not names_file(inner):
                    continue
                return _opened(inner) or [Place("file", name) for name in _names(inner)]
        return []
    if isinstance(value, Known | Either):
        return [Place("file", name) for name in _names(value) if not value.origins or _PATH.fullmatch(name)]
    return []


_PATH = re.compile(r"[^\n,;]*[./][^\n,;]*[\w}*]", re.S)
"""What looks like a path, though a part of it came with rows."""


def _spark(meaning: Meaning, path: str, thing: Thing, call: Called) -> list[Place]:
    options = {
        one.args[0].text.lower(): one.args[1].text for one in thing.calls if one.name == "option" and len(one.args) > 1
    }
    for one in thing.calls:
        if one.name == "options":
            options |= {key.lower(): value.text for key, value in one.kwargs.items()}
    form = next((one.args[0].text for one in thing.calls if one.name == "format" and one.args), "")
    url = options.get("url", "")
    where = system_of(url.split("?")[0]) or ("Kafka" if form == "kafka" else "")
    for key in ("dbtable", "query"):
        if key in options:
            return [Place("table", shown.clean(options[key]), where)]
    for key in ("subscribe", "topic", "subscribepattern"):
        if key in options:
            return [Place("topic", options[key], where)]
    value = call.argument(meaning.at, *meaning.names)
    if value is None and "path" in options:
        return [Place("file", shown.clean(options["path"]))]
    kind = meaning.place or "file"
    if value is None:
        return [Place("system", form)] if form in ("console", "memory") else []
    if kind == "file" and path.endswith(("load", "save")) and form in ("jdbc", "bigquery", "snowflake", "redshift"):
        kind = "table"
    return [Place(kind, name, system_of(value.text) if kind != "file" else "") for name in _names(value)]


def _bucket(thing: Thing, call: Called, where: str) -> list[Place]:
    """Bucket and key, as arguments or from the chain that leads to the object."""
    bucket = call.argument(None, "Bucket", "bucket", "bucket_name")
    key = call.argument(None, "Key", "key", "blob_name", "object_name", "Prefix")
    for one in thing.calls:
        if one.name in ("Bucket", "bucket", "get_bucket", "Object") and one.args:
            bucket = bucket or one.args[0]
            key = key or (one.args[1] if len(one.args) > 1 else None)
        if one.name in ("blob", "get_blob", "Object") and one.args and one.name != "Object":
            key = key or one.args[-1]
    if bucket is None and call.name == "upload_file" and len(call.args) > 1:
        bucket, key = call.args[1], call.args[2] if len(call.args) > 2 else None
    if bucket is None and call.name == "download_file" and len(call.args) > 1:
        bucket, key = call.args[0], call.args[1]
    names = ["/".join(one.text for one in (bucket, key) if one is not None and _names(one))]
    return [Place("object", shown.cut(name), where) for name in names if name] or [
        Place("system", where or "object store")
    ]


def _collection(path: str) -> str:
    parts = [part for part in path.removeprefix("?").split(".")[:-1] if part not in ("self", "MongoClient", "pymongo")]
    return parts[-1] if parts else ""


def system(thing: Thing, call: Called | None = None) -> str:
    """The system that a receiver or a ``con=`` argument stands for; "" where the source does not say it."""
    for one in (
        thing,
        *((call.argument(None, "con", "connection", "engine", "bind"),) if call else ()),
        *_likely(call),
    ):
        if isinstance(one, Either):
            one = next((option for option in one.options if isinstance(option, Thing)), None)
        if isinstance(one, Thing):
            found = _of_thing(one)
            if found:
                return found
    return ""


def _likely(call: Called | None) -> list[Value]:
    return [one for one in call.args if isinstance(one, Thing | Either)] if call else []


def _of_thing(thing: Thing) -> str:
    for call in thing.calls:
        if call.name in ("create_engine", "connect", "create_async_engine", "ConnectionPool", "MongoClient"):
            url = call.argument(0, "url", "dsn", "database")
            text = url.text if url is not None else ""
            name = system_of(text.split("://")[0]) if "://" in text else ""
            if not name:
                name = system_of(thing.path)
            if name == "SQLite" and text and not text.startswith("{"):
                return f"SQLite {re.split(r'[/]', text.rstrip('/'))[-1]}"
            return name
    return system_of(re.sub(r"^\?", "", thing.path))
