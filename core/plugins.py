"""The registry of plug-ins: one file each, found by folder, imported on first use.

Adding a plug-in touches no other file. `python -m core.plugins` imports every one and checks that its name is unique and that it
carries help and examples. A program that starts the desk with a plug-in of its own hands it to `register` first; nothing outside the
program's own code can.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of plug-in: the folder it lives in and the module attributes each file must have."""

    package: str
    attributes: tuple[str, ...]


FAMILIES: dict[str, Family] = {
    "commands": Family("core.commands", ("COMMAND",)),
    "rules": Family("core.risk.rules", ("NAME", "CLASS", "PARAMETERS", "judge")),
    "strategies": Family("core.strategies", ("NAME", "PARAMETERS", "EXAMPLES", "needs", "find")),
    "providers": Family("core.market.providers", ("NAME", "PARAMETERS", "build")),
    "brokers": Family("core.brokers", ("NAME", "PARAMETERS", "build")),
    "exits": Family("core.exits", ("NAME", "PARAMETERS", "URGENCY", "RUNG", "REPEAT_MINUTES", "PAYS_UP", "STRATEGIES", "needs", "judge")),
    "fees": Family("core.fees", ("NAME", "schedule")),
}


_REGISTERED: dict[tuple[str, str], ModuleType] = {}


def register(family: str, module: ModuleType) -> None:
    """Add a plug-in that lies outside the family's folder, for this process; raise ValueError where it is incomplete or its name taken."""
    missing = [attribute for attribute in FAMILIES[family].attributes if not hasattr(module, attribute)]
    if missing:
        raise ValueError(f"{module.__name__} has no {', '.join(missing)}")
    name = _declared(module) or module.__name__.rpartition(".")[2]
    if name in names(family):
        raise ValueError(f"there is a {name!r} in {FAMILIES[family].package} already")
    _REGISTERED[family, name] = module


def names(family: str) -> tuple[str, ...]:
    """The plug-ins of a family, from the file names alone (nothing is imported), and those registered."""
    registered = [name for kind, name in _REGISTERED if kind == family]
    found = _names(FAMILIES[family].package)
    return tuple(sorted((*found, *registered))) if registered else found


def load(family: str, name: str) -> ModuleType:
    """Import one plug-in; raise KeyError where no file has that name and none is registered under it."""
    if (family, name) in _REGISTERED:
        return _REGISTERED[family, name]
    if name not in names(family):
        raise KeyError(f"there is no {name!r} in {FAMILIES[family].package}; there are: {', '.join(names(family)) or 'none'}")
    return importlib.import_module(f"{FAMILIES[family].package}.{name}")


def problems() -> list[str]:
    """Import everything; say what is missing where."""
    found: list[str] = []
    for family, kind in FAMILIES.items():
        for name in names(family):
            module = load(family, name)
            found += [f"{module.__name__} has no {attribute}" for attribute in kind.attributes if not hasattr(module, attribute)]
            declared = _declared(module)
            if declared not in (name, None):
                found.append(f"{module.__name__} calls itself {declared!r}; file and name must agree")
            if not (module.__doc__ or "").strip():
                found.append(f"{module.__name__} has no docstring; it is the help text")
            command = getattr(module, "COMMAND", None)
            if command is not None and not command.examples:
                found.append(f"{module.__name__} has no examples")
    return found


def _declared(module: ModuleType) -> str | None:
    """What a plug-in calls itself, None where it does not."""
    found: str | None = getattr(module, "NAME", None) or getattr(getattr(module, "COMMAND", None), "name", None)
    return found


@cache
def _names(package: str) -> tuple[str, ...]:
    root = Path(__file__).resolve().parent.parent.joinpath(*package.split("."))
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(root)]) if not module.name.startswith("_")))


def main() -> int:
    """Print every problem; exit 1 where there is one."""
    found = problems()
    sys.stdout.writelines(
        f"{line}\n" for line in found or [f"plug-ins: {sum(len(names(family)) for family in FAMILIES)} imported, all complete"]
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
