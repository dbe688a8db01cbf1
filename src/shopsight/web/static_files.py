"""Static files of the page, loaded once, and the API documentation page."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

_MEDIA_TYPES = {
    "html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml",
}  # fmt: skip


class StaticFile(NamedTuple):
    """A file of the page; its ETag is a hash of its bytes."""

    body: bytes
    media_type: str
    etag: str


def static_files() -> dict[str, StaticFile]:
    """All files of the page by name."""
    # A dictionary of loaded files instead of a directory on disk: a request is looked up by name
    # only, so no path in it can reach any other file.
    files = {}
    for path in (resources.files("shopsight.web") / "static").iterdir():
        media_type = _MEDIA_TYPES.get(path.name.rpartition(".")[2])
        if media_type:
            body = path.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            files[path.name] = StaticFile(body, f"{media_type}; charset=utf-8", etag)
    return files


def api_docs_html(description: dict[str, Any]) -> str:
    """Render an OpenAPI description as HTML without scripts."""
    environment = Environment(
        loader=PackageLoader("shopsight.web"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["type_text"] = _type_text
    template = environment.get_template("docs.html")
    return template.render(info=description["info"], paths=description["paths"])


def _type_text(parameter: dict[str, Any]) -> str:
    """Type, range and default of an OpenAPI parameter.

    >>> _type_text({"name": "k", "in": "query", "required": True, "schema": {
    ...     "type": "integer", "minimum": 1, "maximum": 9, "default": 3}})
    'integer, 1 to 9, default 3, required'
    """
    schema = parameter["schema"]
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    kind = options[0]
    words = ["list of strings" if kind.get("type") == "array" else kind.get("type", "")]
    low, high = kind.get("minimum"), kind.get("maximum")
    if low is not None and high is not None:
        words.append(f"{low} to {high}")
    if "maxLength" in kind:
        words.append(f"at most {kind['maxLength']} characters")
    if schema.get("default") not in (None, [], False):
        words.append(f"default {schema['default']}")
    if parameter["required"] and parameter["in"] == "query":
        words.append("required")
    return ", ".join(words)
