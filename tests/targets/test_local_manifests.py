"""Manifests of a folder: read as they were written, and refused where they are broken or gone."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.core.errors import Code, FatalError, HeadgateError
from headgate.core.ledger import QuarantineEntry, Watermark
from headgate.targets import local
from headgate.targets._local import manifest as manifests
from headgate.targets._local.chain import Chain
from headgate.targets._local.manifest import DataFile, Manifest, Segment, Table
from headgate.testing.place import KEY, Place, execution, load, rows


def opened(tmp_path: Path) -> local.FolderStore:
    return local.open_store("out", local.Connection(path="out"), tmp_path)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(lambda: opened(tmp_path), tmp_path / "_runs")


texts = st.text(max_size=12)
marks = st.builds(
    Watermark,
    texts,
    texts,
    st.dictionaries(texts, st.integers() | texts, max_size=3),
    st.none() | texts,
    st.none() | texts,
)
some_files = st.builds(
    DataFile, texts, st.integers(0, 2**60), st.integers(0, 2**60), texts, texts, st.integers(0, 99), st.booleans()
)
entries = st.builds(QuarantineEntry, texts, texts, texts, texts, st.integers(0, 99))
whole = st.builds(
    Manifest,
    st.integers(0, 10**9),
    st.dictionaries(
        texts,
        st.builds(
            Table, texts, st.lists(texts, max_size=3).map(tuple), st.lists(some_files, max_size=3).map(tuple),
            st.lists(texts, max_size=2).map(tuple), st.integers(0, 99),
        ),
        max_size=3,
    ),
    st.dictionaries(texts, st.tuples(st.integers(0, 99), texts, texts), max_size=3),
    st.dictionaries(texts, st.dictionaries(texts, marks, max_size=2), max_size=2),
    st.lists(st.dictionaries(texts, texts, max_size=2), max_size=2).map(tuple),
    st.lists(st.builds(Segment, texts, texts), max_size=2).map(tuple),
    st.lists(st.tuples(texts, entries), max_size=2).map(tuple),
)  # fmt: skip


@given(whole)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    assert manifests.parse(manifests.dump(manifest), "m") == manifest


@given(whole, st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_manifest_is_refused_or_means_something(manifest: Manifest, data: st.DataObject) -> None:
    good = manifests.dump(manifest)
    at = data.draw(st.integers(0, len(good)))
    bad = good[:at] + data.draw(st.binary(max_size=4)) + good[at + data.draw(st.integers(0, 20)) :]
    try:
        manifests.parse(bad, "m")
    except FatalError as error:
        assert error.code is Code.STATE_INVALID  # noqa: PT017 - damage may also leave a manifest that means something


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", '{"version": 99}', "[" * 100_000])
def test_a_broken_newest_manifest_stops_everything_with_its_name(place: Place, tmp_path: Path, content: str) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    newest = sorted((tmp_path / "out" / "_headgate" / "manifests").glob("*.json"))[-1]
    newest.write_text(content)
    for ask in (opened(tmp_path).tables, lambda: opened(tmp_path).state(KEY)):
        with pytest.raises(FatalError) as refusal:
            ask()
        assert refusal.value.code is Code.STATE_INVALID
        assert refusal.value.object == str(newest)


def test_manifests_are_plain_json_that_names_every_file_with_its_hash(place: Place, tmp_path: Path) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    newest = sorted((tmp_path / "out" / "_headgate" / "manifests").glob("*.json"))[-1]
    (file,) = json.loads(newest.read_text())["tables"]["t"]["files"]
    import hashlib

    assert file["digest"] == hashlib.sha256((tmp_path / "out" / file["path"]).read_bytes()).hexdigest()
    assert (file["rows"], file["run"]) == (1, "run-1")


def test_manifests_that_are_not_there_or_cannot_be_read_are_told(place: Place, tmp_path: Path) -> None:
    place.run(1, [(load("t"), rows((1, "a")))])
    chain = Chain(tmp_path / "out")
    with pytest.raises(FatalError) as absent:
        chain.at(999)
    assert absent.value.code is Code.NOT_FOUND
    folder = tmp_path / "out" / "_headgate" / "manifests"
    (folder / "0000000999.json").mkdir()
    with pytest.raises(HeadgateError) as unread:
        chain.head()
    assert unread.value.code is Code.STORAGE_FAILED
    folder.rename(tmp_path / "aside")
    folder.write_text("no folder")
    with pytest.raises(HeadgateError) as unlisted:
        chain.numbers()
    assert unlisted.value.code is Code.STORAGE_FAILED


def test_a_segment_whose_runs_only_begin_alike_holds_none(tmp_path: Path) -> None:
    own = tmp_path / "_headgate"
    own.mkdir()
    (own / "older.json").write_text("[]")
    alike = base64.b64encode(manifests.run_hash(KEY, execution(1))).decode()
    found = Chain(tmp_path).published(Manifest(segments=(Segment("older.json", alike),)), KEY, execution(1))
    assert found is None
