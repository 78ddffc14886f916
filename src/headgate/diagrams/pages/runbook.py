"""What people do with a pipeline: commands that run as they are written, and what is seen when something is wrong."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from headgate.core.errors import Code
from headgate.core.models import ReadOptions
from headgate.diagrams.pipelines.chain import Chain
from headgate.sql.literals import quote_name

CODES = tuple(code.value for code in Code if code not in (Code.USAGE, Code.INTERNAL))
"""What a run may fail with. RUN in a command stands for the id of a run, as ``headgate runs`` lists them."""
COMMON = (
    (
        "Runs become slower",
        (
            "Compare the times of the last runs with `headgate runs`; then `headgate diagram --run RUN`, which shows"
            " where one spent its time. A source that is read in full grows with its table: read it incrementally."
        ),
    ),
    (
        "More rows are held back than usual",
        (
            "`headgate quarantine list`, then `headgate quarantine show ENTRY`: each row has its reasons. Mend them and"
            " `headgate quarantine replay ENTRY`."
        ),
    ),
    (
        "Memory runs short",
        (
            "The engine spills to disk; give it a limit with `defaults: {memory: 512MB}` and smaller batches with"
            " `batch_size`. Steps with `scope: table` and steps in Python hold all rows."
        ),
    ),
    (
        "Connections time out",
        "`headgate connections test` says what answers. Passing faults are tried again as `retry` says.",
    ),
    (
        "Validation fails after a change of the source",
        (
            "`headgate check` compares with the live schema and names what is missing; the target adds columns unless"
            " it says `evolve: freeze`."
        ),
    ),
)


@dataclass(frozen=True)
class Step:
    text: str
    command: str


def normal(chain: Chain) -> list[Step]:
    """Looks that change nothing."""
    name = shlex.quote(chain.name)
    steps = [
        Step("Did the last runs succeed?", f"headgate runs {name}"),
        Step("Is everything it needs there?", "headgate health"),
    ]
    for target in chain.targets:
        connection = f" --connection {shlex.quote(target.write.connection)}" if target.write.connection else ""
        counted = ".".join(quote_name(part) for part in target.write.table.split("."))
        query = shlex.quote(f"SELECT COUNT(*) FROM {counted}")
        steps.append(Step(f"How many rows has {target.write.table}?", f"headgate query {query}{connection}"))
    steps.append(Step("Which rows were held back, by which rule?", f"headgate quarantine list {name}"))
    steps.append(Step("Checks, rows and times of one run:", "headgate show RUN"))
    return steps


def recovery(chain: Chain) -> list[Step]:
    """What puts things right again; a run is safe to repeat."""
    name = shlex.quote(chain.name)
    steps = [
        Step(
            "Run it again. A crash needs no more: the next run finishes or redoes what was begun.",
            f"headgate run {name}",
        ),
        Step("Replace data and watermark by a full read, in one commit:", f"headgate run {name} --full-refresh"),
        Step("Try it on a few rows, without publishing:", f"headgate run {name} --limit 100"),
    ]
    if any(_knows_time(source.read) for source in chain.sources):
        interval = f"headgate run {name} --start 2024-01-01 --end 2024-02-01 --force"
        steps.insert(2, Step("Do the time between two dates again; the watermark stays:", interval))
    if any(read.read.mode != "full" for read in chain.sources):
        steps.append(Step("How far was read?", f"headgate state show {name}"))
    return steps


def _knows_time(read: ReadOptions) -> bool:
    """Whether what is read depends on the time that a run is for."""
    texts = (read.query, read.where, getattr(read, "path", None), *read.parameters.values())
    return read.incremental is not None or any("{{" in str(text) for text in texts)
