"""The page and its pieces as HTML. Every text is escaped by the template engine; only a piece made so is taken as it is by the page."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2 import TemplateError as TemplateError

HERE = Path(__file__).parent
STATIC = {"icon.svg": "image/svg+xml", "chat.css": "text/css; charset=utf-8", "chat.js": "text/javascript; charset=utf-8"}


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )


def load() -> None:
    """Read and compile the templates and files; for a thread, before the first page."""
    for name in ("page.html", "entry.html", "door.html", "blocks.html"):
        _environment().get_template(name)
    for name in STATIC:
        static(name)


def html(name: str, /, **values: Any) -> str:
    """A template with these values."""
    return _environment().get_template(f"{name}.html").render(**values)


@cache
def static(name: str) -> bytes:
    """A file of the page itself."""
    return (HERE / "static" / name).read_bytes()
