"""The files of a project: ``headgate.yml`` and ``pipelines/*.yml``, in whatever shape pipelines stand in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headgate.config.yaml import Items, RefusedError, Section, parse
from headgate.config.yaml import read as read_file
from headgate.core.errors import Code, FatalError, Problem, nearest

NAME = "headgate.yml"
FOLDER = "pipelines"
PROJECT_KEYS = ("version", "project", "connections", "lake", "state", "defaults", "alerts", "pipelines")
PIPELINE_MARKS = frozenset(
    {"source", "sources", "target", "targets", "transformations", "quality_rules", "extraction", "load", "validation"}
)
"""A file with one of these keys at its top is one pipeline."""


@dataclass
class Files:
    """What was read: the project's own section, each pipeline's raw section with its file, and what is wrong."""

    document: Section
    pipelines: dict[str, tuple[Section, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def find_root(start: Path) -> Path:
    """The folder of the project that ``start`` lies in.

    Raises:
        FatalError: NOT_FOUND when no ``headgate.yml`` stands there or above.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / NAME).is_file():
            return folder
    raise FatalError(
        Code.NOT_FOUND,
        f"no {NAME} here or in a folder above",
        operation="configuration",
        object=str(start),
        hint="make a project with: headgate init, or choose one with -C DIR",
    )


def read_files(root: Path, instead: Mapping[str, str] | None = None) -> Files:
    """Read every file of the project; a file that cannot be read becomes problems.

    ``instead``: texts by file name, such as ``pipelines/orders.yml``, that are read in place of what is there.
    """
    texts = dict(instead or {})

    def read(path: Path, file: str) -> Section:
        return parse(texts.pop(file), file) if file in texts else read_file(path, file)

    try:
        files = Files(read(root / NAME, NAME))
    except RefusedError as refused:
        files = Files(Section(NAME, 1), problems=list(refused.problems))
    else:
        _add_all(files, files.document.get("pipelines"), NAME)
    for path in _listed(root, files):
        file = f"{FOLDER}/{path.name}"
        try:
            _add_file(files, read(path, file), path.stem, file)
        except RefusedError as refused:
            files.problems += refused.problems
    for file in list(texts):
        _add_file(files, read(root / file, file), Path(file).stem, file)
    return files


def find_pipeline(document: Section, name: str, file: str) -> tuple[str, ...]:
    """The keys that lead to a pipeline within its file; none when the file is the pipeline.

    Raises:
        FatalError: UNSUPPORTED for a pipeline in a list.
    """
    if isinstance(document.get("pipelines"), Section):
        return ("pipelines", name)
    if "pipelines" in document:
        raise FatalError(
            Code.UNSUPPORTED,
            "pipelines in a list are not changed by commands",
            operation="configuration",
            object=file,
            hint="write pipelines: {NAME: {…}}",
        )
    return () if PIPELINE_MARKS & document.keys() else (name,)


def _listed(root: Path, files: Files) -> list[Path]:
    try:
        return pipeline_files(root)
    except OSError as error:
        _note(files, f"it cannot be read: {error.strerror}", FOLDER, 0, "", "check its rights")
        return []


def pipeline_files(root: Path) -> list[Path]:
    """The files in ``pipelines/``, by name; hidden ones are left out."""
    folder = root / FOLDER
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix in (".yml", ".yaml") and not path.name.startswith("."))
    return sorted(found)


def _add_file(files: Files, document: Section, stem: str, file: str) -> None:
    if "pipelines" in document:
        for key in document:
            if key not in ("pipelines", "version"):
                hint = f"{key} belongs in {NAME}" if key in PROJECT_KEYS else nearest(key, ("pipelines",))
                _note(files, f'unknown key "{key}"', file, document.line_of(key), key, hint)
        _add_all(files, document["pipelines"], file)
    elif PIPELINE_MARKS & document.keys():
        named = document.get("name", stem)
        _add(files, str(named), document, file, document.line)
    else:
        _add_all(files, document, file)


def _add_all(files: Files, pipelines: object, file: str) -> None:
    match pipelines:
        case None:
            return
        case Section():
            for name, section in pipelines.items():
                _add(files, name, section, file, pipelines.line_of(name))
        case Items():
            for index, item in enumerate(pipelines):
                named = item.get("name") if isinstance(item, Section) else None
                if isinstance(named, str):
                    _add(files, named, item, file, pipelines.line_of(index))
                else:
                    line = pipelines.line_of(index)
                    _note(files, "a pipeline in a list needs a name", file, line, f"pipelines.{index}", "name: NAME")
        case _:
            _note(files, "expected: a mapping of names to pipelines", file, 1, "pipelines", "pipelines: {NAME: {…}}")


def _add(files: Files, name: str, section: object, file: str, line: int) -> None:
    path = f"pipelines.{name}"
    if not isinstance(section, Section):
        _note(files, "expected: a mapping with source and target", file, line, path, "see headgate schema")
    elif name in files.pipelines:
        first, other = files.pipelines[name]
        where = f"{other}:{first.line}"
        _note(files, f'the pipeline "{name}" stands twice, also at {where}', file, line, path, "rename one")
    else:
        files.pipelines[name] = (section, file)


def _note(files: Files, message: str, file: str, line: int, path: str, hint: str) -> None:
    files.problems.append(Problem(message, file, line, path, hint))
