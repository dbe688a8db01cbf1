"""The files of the page, read once, and the description of the API as a page of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class StaticFile:
    """A file of the page.

    Attributes:
        body: its bytes.
        media_type: what it is.
        etag: changes when the bytes do.
    """

    body: bytes
    media_type: str
    etag: str


def static_files() -> dict[str, StaticFile]:
    """Every file of the page by its name; nothing else can ever be asked for."""
    folder = resources.files("shopsight.web") / "static"
    found = {}
    for path in folder.iterdir():
        kind = _KINDS.get(path.name.rpartition(".")[2])
        if kind:
            body = path.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            found[path.name] = StaticFile(body, f"{kind}; charset=utf-8", etag)
    return found


@dataclass(frozen=True)
class Operation:
    """One operation of the API, as its page shows it.

    Attributes:
        method: "GET" or "POST".
        path: with its parameters in braces.
        summary: a sentence.
        description: more of it, maybe empty.
        parameters: name, what it must be, and what it means, of each.
        statuses: status and meaning of each answer.
    """

    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[tuple[str, str, str], ...]
    statuses: tuple[tuple[str, str], ...]


def docs_page(description: dict[str, Any]) -> str:
    """The OpenAPI description as HTML without any script.

    Args:
        description: what ``/openapi.json`` holds.
    """
    environment = Environment(
        loader=PackageLoader("shopsight.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("docs.html")
    return template.render(info=description["info"], operations=tuple(_operations(description)))


def _operations(description: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in description["paths"].items():
        for method, one in methods.items():
            yield Operation(
                method.upper(),
                path,
                one["summary"],
                one.get("description", ""),
                tuple(_parameter(each) for each in one.get("parameters", ())),
                tuple((status, each["description"]) for status, each in one["responses"].items()),
            )


def _parameter(given: dict[str, Any]) -> tuple[str, str, str]:
    schema = given["schema"]
    kinds = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    kind = kinds[0]
    words = ["several texts" if kind.get("type") == "array" else kind.get("type", "")]
    low, high = kind.get("minimum"), kind.get("maximum")
    if low is not None and high is not None:
        words.append(f"{low} to {high}")
    if "maxLength" in kind:
        words.append(f"at most {kind['maxLength']} characters")
    if schema.get("default") not in (None, [], False):
        words.append(f"default {schema['default']}")
    if given["required"] and given["in"] == "query":
        words.append("required")
    return given["name"], ", ".join(words), given.get("description", "")
