"""Files with new values in some columns hold what a table with them holds, and the pages of the others as they were."""

from __future__ import annotations

import errno
import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.errors import Code, FatalError
from headgate.io import files
from headgate.io.parquet import ParquetFile
from headgate.io.parquet_columns import FixedError, replace_values
from headgate.sql.literals import quote_text
from headgate.testing.pages import pages

DAY, INSTANT = date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)
TYPES: dict[str, tuple[pa.DataType, Any]] = {
    "flag": (pa.bool_(), lambda n: n % 2 == 0),
    "day": (pa.date32(), lambda n: DAY + timedelta(days=n)),
    "at": (pa.timestamp("us", "UTC"), lambda n: INSTANT + timedelta(seconds=n)),
    "number": (pa.int64(), lambda n: n * 2**40),
    "small": (pa.int32(), lambda n: -n),
    "part": (pa.float64(), lambda n: n / 3),
    "amount": (pa.decimal128(12, 2), lambda n: Decimal(n) / 4),
    "name": (pa.string(), lambda n: f"é{n}"),
    "a.b": (pa.string(), lambda n: "x" * n),
}
NESTED = pa.struct([("day", pa.date32()), ("list", pa.list_(pa.int64()))])
SCHEMA = pa.schema(
    [
        pa.field("nested", NESTED),
        *(
            pa.field(name, type_, metadata={"PARQUET:field_id": str(n)})
            for n, (name, (type_, _)) in enumerate(TYPES.items())
        ),
        pa.field("must", pa.int64(), nullable=False),
    ]
)


def row(number: int | None, must: int) -> dict[str, Any]:
    if number is None:
        return {"must": must}
    plain = {name: value(number) for name, (_, value) in TYPES.items()}
    return {"nested": {"day": DAY, "list": [number] * (number % 3)}, "must": must, **plain}


def written(path: Path, rows: list[dict[str, Any]], **options: Any) -> pa.Table:
    table = pa.Table.from_pylist(rows, SCHEMA)
    pq.write_table(table, path, **options)
    return table


NUMBERS = st.one_of(st.none(), st.integers(0, 50))
OPTIONS = st.fixed_dictionaries(
    {
        "row_group_size": st.integers(1, 20),
        "compression": st.sampled_from(["zstd", "snappy", "none"]),
        "use_dictionary": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "write_statistics": st.booleans(),
        "store_decimal_as_integer": st.booleans(),
    }
)


@given(st.data(), st.lists(NUMBERS, min_size=1, max_size=40), OPTIONS)
def test_other_values_come_where_they_are_due_and_the_rest_is_copied(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, before: list[int | None], options: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("columns")
    source, target = folder / "source.parquet", folder / "target.parquet"
    rows = [row(number, must) for must, number in enumerate(before)]
    written(source, rows, **options)
    fixed = set() if options["store_decimal_as_integer"] else {"amount"}
    columns = data.draw(st.lists(st.sampled_from(sorted({*TYPES, "must"} - fixed)), unique=True, min_size=1))
    changed = data.draw(st.dictionaries(st.integers(0, len(rows) - 1), NUMBERS))
    values = pa.table(
        {
            "place": pa.array(changed, pa.int64()),
            **{
                name: pa.array(
                    [row(new, 1000 + place).get(name) for place, new in changed.items()], SCHEMA.field(name).type
                )
                for name in columns
            },
        }
    )
    replace_values(source, target, values)
    for place, new in changed.items():
        rows[place] |= {name: row(new, 1000 + place).get(name) for name in columns}
    wanted = pa.Table.from_pylist(rows, SCHEMA)
    found = pq.read_table(target)
    assert found.schema.equals(pq.read_table(source).schema, check_metadata=True)
    assert found.equals(wanted)
    with duckdb.connect() as engine:
        assert (
            engine.sql(f"FROM read_parquet({quote_text(str(target))})").to_arrow_table().to_pylist()
            == engine.from_arrow(wanted).to_arrow_table().to_pylist()
        )
    for name in {"nested.day", "nested.list.list.element", *SCHEMA.names[1:]} - set(columns):
        assert pages(target, name) == pages(source, name)
    assert [group["num_rows"] for group in groups(target)] == [group["num_rows"] for group in groups(source)]


def groups(path: Path) -> list[dict[str, Any]]:
    footer: Any = pq.read_metadata(path).to_dict()
    return list(footer["row_groups"])


def test_the_footer_tells_the_bounds_of_the_new_values_and_the_sizes_of_the_row_groups(tmp_path: Path) -> None:
    source, target = tmp_path / "source.parquet", tmp_path / "target.parquet"
    rows = pa.RecordBatch.from_pydict({"id": list(range(9)), "day": [DAY] * 9})
    file = ParquetFile(source, rows.schema)
    file.write(rows)
    file.close()
    replace_values(source, target, pa.table({"place": [8, 3], "day": [date(2023, 5, 1), date(2025, 5, 1)]}))
    (group,) = groups(target)
    known, new = group["columns"]
    assert known["statistics"] == groups(source)[0]["columns"][0]["statistics"]
    assert (new["statistics"]["min"], new["statistics"]["max"]) == (date(2023, 5, 1), date(2025, 5, 1))
    assert group["total_byte_size"] == sum(column["total_uncompressed_size"] for column in group["columns"])
    end = target.stat().st_size - 8 - pq.read_metadata(target).serialized_size
    assert end == 4 + sum(column["total_compressed_size"] for column in group["columns"])


def test_changing_values_again_and_again_leaves_no_pages_behind(tmp_path: Path) -> None:
    table = written(tmp_path / "0.parquet", [row(n % 7, n) for n in range(1000)], row_group_size=300)
    for turn in range(4):
        flags = pa.table({"place": list(range(1000)), "flag": [(turn + n) % 3 == 0 for n in range(1000)]})
        replace_values(tmp_path / f"{turn}.parquet", tmp_path / f"{turn + 1}.parquet", flags)
    sizes = [(tmp_path / f"{turn}.parquet").stat().st_size for turn in range(1, 5)]
    assert max(sizes) - min(sizes) < 200
    assert pq.read_table(tmp_path / "4.parquet").drop_columns(["flag"]).equals(table.drop_columns(["flag"]))


@pytest.mark.parametrize(
    ("options", "columns"),
    [
        ({"write_page_index": True}, ["flag"]),
        ({"bloom_filter_options": {"name": {"ndv": 10}}}, ["flag"]),
        ({"store_decimal_as_integer": False}, ["amount"]),
        ({}, ["nested"]),
        ({}, ["absent"]),
    ],
)
def test_what_cannot_be_copied_or_kept_in_its_form_is_refused(
    tmp_path: Path, options: dict[str, Any], columns: list[str]
) -> None:
    source, target = tmp_path / "source.parquet", tmp_path / "target.parquet"
    table = written(source, [row(n, n) for n in range(5)], **options)
    values = {name: table.column(name).slice(0, 1) if name in table.column_names else [1] for name in columns}
    with pytest.raises(FixedError):
        replace_values(source, target, pa.table({"place": [2], **values}))
    assert not target.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"x" * 100, b"\x05\x00\x00\x00PAR1", b"\x00\x01\x00\x00\x00PAR1", b"\x15\x01\x00\x00\x00PAR1"],
)
def test_what_is_no_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "source.parquet").write_bytes(content)
    with pytest.raises(FixedError):
        replace_values(tmp_path / "source.parquet", tmp_path / "target.parquet", pa.table({"place": [0], "a": [1]}))


@pytest.mark.parametrize("operation", ["create", "write", "fsync"])
def test_a_disk_that_fails_leaves_nothing_behind(tmp_path: Path, operation: str) -> None:
    source, target = tmp_path / "source.parquet", tmp_path / "target.parquet"
    written(source, [row(n, n) for n in range(5)])

    def fail(happening: str, _: Path) -> None:
        if happening == operation:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with files.observing(fail), pytest.raises(FatalError) as caught:
        replace_values(
            source,
            target,
            pa.table({"place": [2], "flag": [True]}),
        )
    assert (caught.value.code, caught.value.object) == (Code.DISK_FULL, str(target))
    assert list(tmp_path.iterdir()) == [source]
