"""Airflow's DAG files, in every style: classic, ``with DAG``, TaskFlow, groups."""

from __future__ import annotations

import re

from headgate.diagrams.dags import Dag
from headgate.diagrams.drawings.dag import dag, dags
from headgate.diagrams.readers import Found
from headgate.diagrams.source.airflow import Airflow
from headgate.diagrams.source.machine import Exhausted, Machine, Scope
from headgate.diagrams.source.modules import Module, program
from headgate.diagrams.source.values import Called
from headgate.diagrams.tree import Tree

IMPORTS = re.compile(r"^\s*(?:from|import)\s+airflow\b", re.M)


def found(tree: Tree) -> list[Found]:
    every = read(tree)
    each = [Found(one.id, {"dag": lambda _depth, one=one: dag(one)}, len(one.tasks), 40) for one in every]  # type: ignore[misc]
    if not every:
        return []
    whole = Found("", {"dag": lambda _depth: dags(tree.name, every)}, sum(len(one.tasks) for one in every), 40)
    return [whole, *each]


def read(tree: Tree) -> list[Dag]:
    """The DAGs of a tree, with tasks and their order."""
    return tree.once("airflow", lambda: _read(tree))


def _read(tree: Tree) -> list[Dag]:
    texts = [file for file in tree.ending(".py") if IMPORTS.search(tree.text(file) or "")]
    if not texts:
        return []
    whole = program(tree)
    vocabulary = Airflow()
    machine = Machine(whole, vocabulary)
    for module in whole.modules:
        if module.file in texts:
            _follow(tree, machine, vocabulary, module)
    return sorted(vocabulary.settled(), key=lambda one: (one.file, one.id))


def _follow(tree: Tree, machine: Machine, vocabulary: Airflow, module: Module) -> None:
    machine.spent = 0
    try:
        machine.environment(module)
        for thing in vocabulary.defined:
            if id(thing) not in vocabulary.made:
                node = thing.calls[0].args[0]
                vocabulary.run_dag(machine, thing, Called("dag"), getattr(node, "node", module.tree), Scope(module, {}))
    except Exhausted:
        tree.note("it does more than could be followed; the picture is not whole", module.file)
    except RecursionError:
        tree.note("its expressions are nested too deeply to be followed", module.file)
    finally:
        vocabulary.here.clear()
        vocabulary.groups.clear()
        del machine.blocks[1:], machine.active[:], machine.where[:]
