"""A new project: small, and it runs as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headgate.commands.handle import guarded
from headgate.commands.models import InitProject
from headgate.core.errors import Code, FatalError
from headgate.core.registry import PackageRegistry
from headgate.core.results import Result
from headgate.io import files

SCHEMA = ".headgate/schema.json"

PROJECT = """\
# yaml-language-server: $schema=.headgate/schema.json
version: 1
project: {name}
connections:
  inbox: {{type: local, path: data}}      # databases: {{type: postgres, url: "${{SHOP_DB_URL}}"}}
"""

PIPELINE = """\
# yaml-language-server: $schema=../.headgate/schema.json
orders:
  description: Every order once, with its total, and what each day sold.
  source:
    connection: inbox
    path: orders/*.csv
    mode: incremental            # the files that no published run has read yet
    types: {unit_price: "DECIMAL(10, 2)"}
    groups: complete             # a file holds whole days, so a day can be summed from it
  transformations:
    - {type: clean, trim: true}
    - {type: deduplicate, keys: [order_id], order_by: updated_at, keep: last}
    - {type: filter, condition: "status <> 'test'"}
    - type: calculate
      name: orders
      columns:
        total: "quantity * unit_price"
        day: "CAST(updated_at AS DATE)"
    - type: aggregate
      name: daily
      group_by: [day, product]
      metrics: {orders: "COUNT(*)", sold: "CAST(SUM(quantity) AS BIGINT)", revenue: "SUM(total)"}
  quality_rules:
    # Rows that break these are held back, with their reasons; the others go on.
    - {type: not_null, step: orders, columns: [customer], on_fail: quarantine}
    - {type: range, step: orders, column: quantity, min: 1, max: 1000, on_fail: quarantine}
    # If one of these fails, nothing is published.
    - {type: unique, step: orders, columns: [order_id], scope: table}
    - {type: accepted_values, step: orders, column: status, values: [paid, shipped, returned]}
  targets:                       # two tables of the lake, in one commit
    - {table: orders, from: orders, mode: upsert, keys: [order_id]}
    - {table: daily_sales, from: daily, mode: upsert, keys: [day, product]}
"""

DATA = """\
order_id,customer,product,quantity,unit_price,status,updated_at
1001,Aylin,lamp,2,24.90,paid,2024-03-01T09:12:00
1002,Ben,desk,1,189.00,shipped,2024-03-01T10:40:00
1003,,chair,4,59.50,paid,2024-03-01T11:05:00
1004,Chloe,lamp,1,24.90,paid,2024-03-01T15:31:00
1004,Chloe,lamp,1,24.90,shipped,2024-03-02T08:00:00
1005,Dmitri,desk,0,189.00,paid,2024-03-02T09:45:00
1006,Emeka,chair,2,59.50,returned,2024-03-02T12:20:00
1007,Farah,lamp,3,24.90,paid,2024-03-02T13:02:00
1008,Test,lamp,1,24.90,test,2024-03-02T13:03:00
1009,Goran, desk ,1,189.00,shipped,2024-03-03T10:10:00
1010,Hana,chair,6,59.50,paid,2024-03-03T16:48:00
"""

IGNORED = """\
# what headgate keeps: history, lake, logs
.headgate/
# secrets
.env
"""


def init_project(command: InitProject) -> Result[Any]:
    """Make a project in a folder that has none; the value names the folder and the files made."""
    return guarded(lambda: Result.ok(_make(Path(command.folder).resolve())))


def _make(folder: Path) -> dict[str, Any]:
    from headgate.config.schema import project_schema

    schema = json.dumps(project_schema(PackageRegistry()), indent=1)
    name = "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in folder.name) or "project"
    contents = {
        "headgate.yml": PROJECT.format(name=name),
        "pipelines/orders.yml": PIPELINE,
        "data/orders/2024-03-01.csv": DATA,
        ".gitignore": IGNORED,
        SCHEMA: schema,
    }
    taken = [file for file in contents if (folder / file).exists() and file not in (".gitignore", SCHEMA)]
    if taken:
        raise FatalError(
            Code.USAGE,
            f"{', '.join(taken)} {'is' if len(taken) == 1 else 'are'} there already",
            operation="init",
            object=str(folder),
            hint="choose an empty folder: headgate init DIR",
        )
    made = []
    for file, content in contents.items():
        if file == ".gitignore" and (folder / file).exists():
            continue  # the user's own
        path = folder / file
        with files.told("init", path):
            files.make_folder(path.parent)
            files.replace_text(path, content)
        made.append(file)
    return {"folder": str(folder), "files": made}
