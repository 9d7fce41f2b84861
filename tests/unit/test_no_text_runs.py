"""Nothing a person, a broker, a file or a model writes is ever run: no path of the program evaluates, executes or shells text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import plugins

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for room in ("core", "bot") for path in (ROOT / room).rglob("*.py"))
BUILTINS = frozenset({"eval", "exec", "compile", "__import__", "execfile"})
MODULES = frozenset({
    "subprocess", "pty", "code", "codeop", "runpy", "pickle", "shelve", "marshal", "dill", "cloudpickle", "jsonpickle",
    "commands", "popen2", "imp", "xmlrpc",
})
CALLS = frozenset({
    "system", "popen", "startfile", "create_subprocess_shell", "subprocess_shell", "literal_eval", "unsafe_load", "full_load",
    *(f"{kind}{ends}" for kind in ("exec", "spawn", "posix_spawn") for ends in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe", "p")),
})
LOADERS = frozenset({"UnsafeLoader", "FullLoader", "Loader", "YAMLObject"})
# What is allowed, each by name and for one reason.
DOORS = {
    ("core/plugins.py", "import_module"): "a plug-in by a name that is a file of its folder",
    ("core/warming.py", "create_subprocess_exec"): "compiles kernels: this interpreter with a constant script",
}
DOORED = frozenset({"import_module", "create_subprocess_exec", "subprocess_exec", "load_module", "exec_module", "spec_from_file_location"})


def found(source: str, name: str = "core/x.py") -> Iterator[str]:
    """What of a module could run text, as `line: what`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            taken = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            bad = [module for module in modules if module.split(".")[0] in MODULES]
            bad += [item for item in taken if item in CALLS | LOADERS or (item in DOORED and (name, item) not in DOORS)]
        elif isinstance(node, ast.Name) and node.id in BUILTINS:
            bad = [node.id]
        elif isinstance(node, ast.Attribute):
            closed = node.attr in DOORED and (name, node.attr) not in DOORS
            bad = [node.attr] if closed or node.attr in CALLS | LOADERS or node.attr == "__builtins__" else []
        elif isinstance(node, ast.keyword) and node.arg in ("shell", "allow_pickle"):
            bad = [] if isinstance(node.value, ast.Constant) and node.value.value is False else [node.arg or ""]
        else:
            bad = []
        yield from (f"{getattr(node, 'lineno', 0)}: {item}" for item in bad)


def test_k5_program_when_parsed_then_no_path_of_it_runs_text() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in SOURCES]

    assert [f"{name}:{item}" for name in names for item in found((ROOT / name).read_text(encoding="utf-8"), name)] == []


@pytest.mark.parametrize(
    "source",
    [
        "eval(line)", "exec(line)", "f = eval", "compile(line, '', 'exec')", "__import__(name)", "import subprocess",
        "import os\nos.system(line)", "from os import popen", "import os\nos.execvp(line, [])", "asyncio.create_subprocess_shell(line)",
        "import pickle", "import importlib\nimportlib.import_module(name)", "from importlib import import_module", "run(line, shell=True)",
        "np.load(file, allow_pickle=True)", "yaml.load(text, Loader=yaml.Loader)", "yaml.unsafe_load(text)",
        "asyncio.create_subprocess_exec(line)", "x.__builtins__",
    ],
)
def test_k5_checker_when_text_would_run_then_it_is_caught(source: str) -> None:
    assert list(found(source))


@pytest.mark.parametrize("source", ["re.compile(pattern)", "np.load(file, allow_pickle=False)", "self.execute(statement)", "line.strip()"])
def test_k5_checker_when_nothing_runs_then_it_is_silent(source: str) -> None:
    assert list(found(source)) == []


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door[1])
def test_k5_door_when_listed_then_it_is_still_there(door: tuple[str, str]) -> None:
    assert f".{door[1]}(" in (ROOT / door[0]).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["os", "..app", "paper; x", "paper.__class__", "/tmp/evil", "_paper_rules", ""])
def test_k5_plugin_when_the_name_is_no_file_of_its_folder_then_nothing_is_imported(name: str) -> None:
    with pytest.raises(KeyError, match="there is no"):
        plugins.load("brokers", name)
