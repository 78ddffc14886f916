"""What is used of pyiceberg beyond its promises is still there, and still does what the lake needs."""

from __future__ import annotations

import inspect
from importlib.metadata import version

from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Transaction
from pyiceberg.table.update import snapshot, update_table_metadata


def test_the_version_is_the_one_that_was_tried() -> None:
    assert version("pyiceberg").startswith("0.12."), "read lake/_iceberg/snapshots.py again before raising this"


def test_overwriting_asks_the_methods_that_the_lake_replaces() -> None:
    producer = snapshot._OverwriteFiles
    assert {"_existing_manifests", "_process_manifests", "_deleted_entries"} <= set(dir(producer))
    body = inspect.getsource(snapshot._SnapshotProducer._manifests)
    assert "self._process_manifests(" in body
    assert "self._existing_manifests" in body
    assert list(inspect.signature(producer.__init__).parameters)[1:] == [
        "operation",
        "transaction",
        "io",
        "commit_uuid",
        "snapshot_properties",
        "branch",
    ]


def test_merging_manifests_takes_size_count_and_producer() -> None:
    parameters = list(inspect.signature(snapshot._ManifestMergeManager.__init__).parameters)[1:]
    assert parameters == ["target_size_bytes", "min_count_to_merge", "merge_enabled", "snapshot_producer"]
    assert callable(ManifestFile.has_added_files)
    assert callable(ManifestFile.has_existing_files)


def test_a_transaction_keeps_its_updates_until_it_is_committed() -> None:
    assert "self._updates += updates" in inspect.getsource(Transaction._stage)
    assert "metadata_location" in inspect.signature(update_table_metadata).parameters
    assert "commit_uuid" in inspect.getsource(snapshot._SnapshotProducer.new_manifest_output)
