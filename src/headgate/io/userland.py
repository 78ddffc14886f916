"""Users' own Python: ``module:name`` below the project's folder, loaded so that projects do not get into each other.

Modules are compiled from their source under names of their own, and what they import from the project's folder is
taken out of ``sys.modules`` again: two projects in one process may both have a ``transforms.py`` and a ``common.py``.
So imports from the project's folder belong at the top of a file, not inside functions.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from headgate.core.errors import Code, FatalError, nearest

_REFERENCE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
_PREFIX = "headgate_user_"
_loaded: dict[Path, tuple[str, ModuleType]] = {}


def load_function(reference: str, root: Path) -> Callable[..., Any]:
    """The function that ``module:name`` names.

    Raises:
        FatalError: CONFIG_INVALID, with the nearest file or name, or the line of the user's that failed.
    """
    path, module_name, name = _find(reference, root)
    module = _load(path, module_name, root.resolve(), reference)
    found = vars(module).get(name)
    if not callable(found):
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise FatalError(
            Code.CONFIG_INVALID,
            f"{path.name} has no function {name}",
            operation="load",
            object=reference,
            hint=nearest(name, functions),
        )
    function: Callable[..., Any] = found
    return function


def source_hash(reference: str, root: Path) -> str:
    """A fingerprint of the file that holds the function, for plans."""
    path, _, name = _find(reference, root)
    return hashlib.sha256(path.read_bytes() + name.encode()).hexdigest()[:16]


def user_error(error: BaseException, root: Path) -> str:
    """What went wrong in the user's code and where: the last frame of theirs, as file:line."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"SyntaxError: {error.msg} ({_shown(Path(error.filename), root)}:{error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if root.resolve() in Path(f.filename).parents]
    return f"{text} ({_shown(Path(frames[-1].filename), root)}:{frames[-1].lineno})" if frames else text


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root.resolve()).as_posix() if root.resolve() in path.parents else str(path)


def _find(reference: str, root: Path) -> tuple[Path, str, str]:
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise FatalError(
            Code.CONFIG_INVALID,
            f'"{reference}" does not name a function',
            operation="load",
            object=reference,
            hint='write "module:function", for example "transforms:score" for score in transforms.py',
        )
    base = root.resolve()
    place = base.joinpath(*found[1].split("."))
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file() and base in path.resolve().parents:
            return path.resolve(), found[1], found[2]
    modules = (path.relative_to(base).with_suffix("") for path in base.rglob("*.py") if ".headgate" not in path.parts)
    known = [".".join(module.parts) for module, _ in zip(modules, range(200), strict=False)]
    raise FatalError(
        Code.CONFIG_INVALID,
        f"there is no {place.with_suffix('.py').name} in {place.parent}",
        operation="load",
        object=reference,
        hint=nearest(found[1], known),
    )


def _load(path: Path, name: str, root: Path, reference: str) -> ModuleType:
    source = path.read_bytes()
    fingerprint = hashlib.sha256(source).hexdigest()
    before = _loaded.get(path)
    if before is not None and before[0] == fingerprint:
        return before[1]
    module = ModuleType(
        f"headgate_user_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{name.rpartition('.')[2]}"
    )
    module.__file__ = str(path)
    module.__package__ = name if path.name == "__init__.py" else name.rpartition(".")[0]
    with _importing_from(root):
        sys.modules[module.__name__] = module  # dataclasses and pickle look their module up
        try:
            exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - the user's own code, by name
        except (Exception, SystemExit) as error:
            del sys.modules[module.__name__]
            raise FatalError(
                Code.CONFIG_INVALID,
                user_error(error, root),
                operation="load",
                object=reference,
                hint="the file must import without error",
            ) from error
    _loaded[path] = (fingerprint, module)
    return module


@contextmanager
def _importing_from(root: Path) -> Iterator[None]:
    """The project's folder comes first among the places of modules, and its modules leave no names behind."""
    loaded = sys.modules.copy()  # another thread may be importing: a copy is one step, a walk is not
    hidden = {name: module for name, module in loaded.items() if _is_below(module, root)}
    for name in hidden:
        sys.modules.pop(name, None)
    known = set(sys.modules)
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()  # files may have been written since this process began
    try:
        yield
    finally:
        sys.path.remove(str(root))
        for name in set(sys.modules) - known:
            module = sys.modules.get(name)
            if module is not None and not name.startswith(_PREFIX) and _is_below(module, root):
                sys.modules.pop(name, None)
        sys.modules.update(hidden)


def _is_below(module: ModuleType, root: Path) -> bool:
    file = getattr(module, "__file__", None)
    name = getattr(module, "__name__", "")
    if not isinstance(file, str) or name == "__main__" or name.partition(".")[0] == "headgate":
        return False
    return root in Path(file).parents and "site-packages" not in Path(file).parts
