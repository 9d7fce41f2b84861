"""Reading config.yaml: text of a bounded size, YAML whose keys come once and whose anchors do not grow without end."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from reprlib import Repr
from typing import Any

from core.errors import DeskError

MOST_BYTES = 100_000  # of config.yaml
MOST_VALUES = 20_000  # in it, each counted as often as an anchor repeats it
LONGEST_VALUE = 1_000  # characters
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlevel = 3


class ConfigError(DeskError):
    """Everything that is wrong with a configuration, one sentence each."""

    def __init__(self, errors: tuple[str, ...]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a file; raise ConfigError with the first thing that keeps it from being read."""
    import yaml  # only where a file is read

    class Strict(yaml.SafeLoader):
        """Refuses a key given twice, which plain YAML would silently overwrite."""

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: list[Any] = [loader.construct_object(key, deep=True) for key, _ in node.value]
        if not all(isinstance(key, str | int | float | bool | date | None) for key in keys):
            raise ConfigError((f"{path.name}: a key must be a word (line {node.start_mark.line + 1})",))
        twice = sorted(str(key) for key, times in Counter(keys).items() if times > 1)
        if twice:
            raise ConfigError((f"{path.name}: {', '.join(twice)} is given twice (line {node.start_mark.line + 1})",))
        return {loader.construct_object(key, deep=True): loader.construct_object(value, deep=True) for key, value in node.value}

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        loader = Strict(read_text(path))
        node = loader.get_single_node()
        _check_size(path, node)
        plain = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ConfigError((f"{path.name} is not valid YAML: {_yaml_words(error)}",)) from error
    except (ValueError, OverflowError, RecursionError) as error:  # a date that does not exist, a number without end, a thousand brackets
        raise ConfigError((f"{path.name} cannot be read: {' '.join(str(error).split())}",)) from error
    if plain is None:
        return {}
    if not isinstance(plain, dict):
        raise ConfigError((f"{path.name} must be a mapping of keys such as accounts and market",))
    return plain


def read_text(path: Path) -> str:
    """The text of a configuration; raise ConfigError where the path leads to none, or to what has no end."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ConfigError((f"{path} cannot be read: it is no file",))  # a device or a pipe may never end
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError((f"{path} cannot be read: {getattr(error, 'strerror', None) or error}",)) from error
    if len(content) > MOST_BYTES:
        raise ConfigError((f"{path} cannot be read: it is over {MOST_BYTES:,} bytes",))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError((f"{path} cannot be read: it is not UTF-8 text",)) from error


def shown(value: object) -> str:
    """A value that is wrong, as it is repeated to whoever wrote it: not endless."""
    return _SHORT.repr(value)


def _check_size(path: Path, root: Any) -> None:
    """Refuse what would grow without bound when it is read: anchors within anchors, and numbers of thousands of digits."""
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        known = sizes.get(id(node))
        if known is not None:
            return known
        sizes[id(node)] = 1  # of one that holds itself, which the loader refuses
        parts: list[Any] = []
        if not isinstance(node.value, str):
            parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        sizes[id(node)] = found = 1 + sum(map(size, parts))
        if found > MOST_VALUES or (isinstance(node.value, str) and len(node.value) > LONGEST_VALUE):
            what = f"more than {MOST_VALUES:,} values" if parts else f"a value of more than {LONGEST_VALUE:,} characters"
            raise ConfigError((f"{path.name} cannot be read: {what} (line {node.start_mark.line + 1})",))
        return found

    if root is not None:
        size(root)


def _yaml_words(error: Any) -> str:
    """What is wrong and where, without the parser's drawing of it."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
    return f"{problem or ' '.join(str(error).split())}{where}"
