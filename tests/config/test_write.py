"""Pipelines as records: created, changed and deleted whole or not at all, with the comments around them."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.config.conftest import Folder

from headgate.config.edit import remove_key, set_key
from headgate.config.write import create_pipeline, delete_pipeline, set_pipeline
from headgate.config.yaml import parse, plain
from headgate.core.errors import Code, FatalError
from headgate.io.files import observing

COMMENTED = """\
# what the shop sells
pipelines:
  orders:            # every order
    owner: ann       # ask her
    # at night
    schedule: "0 2 * * *"
    source: {table: a}   # the lake

    target:
      table: b
      mode: append   # grows

  # the next one
  sales:
    depends_on: [orders]
    source: {table: b}
    target: {table: c}
# the end
"""
NEW = {"source": {"connection": "db", "table": "a"}, "target": {"table": "b"}, "owner": None}


def test_a_new_pipeline_gets_its_own_file(folder: Folder) -> None:
    path = create_pipeline(folder.root, "new", NEW, folder.registry)
    assert path.read_text() == (
        "pipelines:\n  new:\n    source:\n      connection: db\n      table: a\n    target:\n      table: b\n"
    )
    assert folder.load().pipeline("new").targets[0].table == "b"


def test_a_name_is_taken_once(folder: Folder) -> None:
    create_pipeline(folder.root, "new", NEW, folder.registry)
    with pytest.raises(FatalError, match='"new" already exists') as caught:
        create_pipeline(folder.root, "new", NEW, folder.registry)
    assert caught.value.code is Code.CONFIG_INVALID


@pytest.mark.parametrize("name", ["../up", "", "a/b", "."])
def test_a_name_cannot_lead_elsewhere(folder: Folder, name: str) -> None:
    with pytest.raises(FatalError):
        create_pipeline(folder.root, name, NEW, folder.registry)
    assert [path.name for path in folder.root.iterdir()] == ["headgate.yml"]


def test_what_would_not_load_is_not_written(folder: Folder) -> None:
    with pytest.raises(FatalError, match="tabel"):
        create_pipeline(folder.root, "new", {**NEW, "target": {"tabel": "b"}}, folder.registry)
    assert not (folder.root / "pipelines").exists()
    path = folder.write("pipelines/all.yml", COMMENTED)
    for updates in ({"schedul": "x"}, {"schedule": "never"}, {"target.mode": "upsert"}, {"owner.name": "x"}):
        with pytest.raises(FatalError):
            set_pipeline(folder.root, "orders", updates, folder.registry)
        assert path.read_text() == COMMENTED


def test_what_was_wrong_before_does_not_stop_a_change(folder: Folder) -> None:
    folder.write("pipelines/broken.yml", "broken: {source: {table: a}}\n")
    folder.write("pipelines/all.yml", COMMENTED)
    set_pipeline(folder.root, "orders", {"owner": "bob"}, folder.registry)
    assert "owner: bob" in (folder.root / "pipelines/all.yml").read_text()


def test_changes_leave_every_other_line_as_it_is(folder: Folder) -> None:
    path = folder.write("pipelines/all.yml", COMMENTED)
    updates = {"owner": "bob", "target.mode": "overwrite", "description": "All: of them", "schedule": None}
    set_pipeline(folder.root, "orders", updates, folder.registry)
    assert path.read_text() == COMMENTED.replace("owner: ann       # ask her", "owner: bob").replace(
        '    schedule: "0 2 * * *"\n', ""
    ).replace("mode: append   # grows\n", "mode: overwrite\n    description: 'All: of them'\n")
    assert folder.load().pipeline("orders").description == "All: of them"


def test_a_key_inside_braces_rewrites_its_line(folder: Folder) -> None:
    path = folder.write("pipelines/all.yml", COMMENTED)
    set_pipeline(folder.root, "sales", {"target.mode": "overwrite"}, folder.registry)
    text = path.read_text()
    assert text == COMMENTED.replace("target: {table: c}\n", "target:\n      table: c\n      mode: overwrite\n")
    set_pipeline(folder.root, "sales", {"target.mode": None}, folder.registry)
    assert folder.load().pipeline("sales").targets[0].mode == "append"


def test_a_pipeline_leaves_its_file_and_the_last_takes_the_file_along(folder: Folder) -> None:
    path = folder.write("pipelines/all.yml", COMMENTED)
    with pytest.raises(FatalError, match='there is no pipeline "orders"'):
        delete_pipeline(folder.root, "orders", folder.registry)
    assert path.read_text() == COMMENTED
    delete_pipeline(folder.root, "sales", folder.registry)
    text = path.read_text()
    assert text.startswith("# what the shop sells")
    assert "sales" not in text
    assert "# ask her" in text
    assert text.endswith("# the end\n")
    delete_pipeline(folder.root, "orders", folder.registry)
    assert not path.exists()
    with pytest.raises(FatalError) as caught:
        delete_pipeline(folder.root, "orders", folder.registry)
    assert caught.value.code is Code.NOT_FOUND


def test_a_file_that_is_one_pipeline_can_be_changed_and_deleted(folder: Folder) -> None:
    path = folder.write("pipelines/solo.yml", "source: {table: a}\n# to\ntarget: {table: b}\n")
    set_pipeline(folder.root, "solo", {"owner": "ann"}, folder.registry)
    assert path.read_text() == "source: {table: a}\n# to\ntarget: {table: b}\nowner: ann\n"
    delete_pipeline(folder.root, "solo", folder.registry)
    assert not path.exists()


def test_a_pipeline_in_the_project_file_can_be_changed_and_deleted(folder: Folder) -> None:
    head = (folder.root / "headgate.yml").read_text()
    path = folder.write("headgate.yml", head + "pipelines:\n  one:\n    source: {table: a}\n    target: {table: b}\n")
    set_pipeline(folder.root, "one", {"owner": "ann"}, folder.registry)
    assert path.read_text().endswith("    target: {table: b}\n    owner: ann\n")
    delete_pipeline(folder.root, "one", folder.registry)
    assert folder.load().pipelines == {}
    assert path.exists()


def test_a_full_disk_leaves_the_old_file(folder: Folder) -> None:
    path = folder.write("pipelines/all.yml", COMMENTED)

    def full(operation: str, _: Path) -> None:
        if operation == "fsync":
            raise OSError(errno.ENOSPC, "full")

    with observing(full), pytest.raises(OSError, match="full"):
        set_pipeline(folder.root, "orders", {"owner": "bob"}, folder.registry)
    assert path.read_text() == COMMENTED
    assert [one.name for one in path.parent.iterdir()] == ["all.yml"]


KEYS = st.text("abcd", min_size=1, max_size=2)
LEAVES = st.integers() | st.booleans() | st.text("ab:# -\n'\"", max_size=8) | st.lists(st.integers(), max_size=3)
TREES: st.SearchStrategy[Any] = st.dictionaries(
    KEYS,
    st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6),
    min_size=1,
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(TREES, st.data())
def test_an_edit_changes_one_key_and_nothing_else(tree: dict[str, Any], data: st.DataObject) -> None:
    from headgate.config.dump import dump

    value = data.draw(LEAVES)
    key = data.draw(KEYS)
    text = "# top\n" + dump(tree) + "# end\n"
    wanted = {**tree, key: value}
    changed = set_key(text, (key,), value, wanted)
    assert plain(parse(changed, "x.yml")) == wanted
    assert changed.startswith("# top\n")
    assert changed.endswith("# end\n")
    gone = remove_key(changed, (key,))
    if len(wanted) > 1:
        assert plain(parse(gone, "x.yml")) == {name: item for name, item in tree.items() if name != key}
