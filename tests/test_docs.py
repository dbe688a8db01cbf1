"""The documents refer to what exists: sections of the method, files, pages of the site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

REFERENCE = re.compile(r"method(?:\.md)?,?\s+(?:#\s+)?[Ss]ections?\s+(\d+)|\(method\s+(\d+)\)")
HEADING = re.compile(r"^## (\d+)\. ", re.M)


def documents(repository: Path) -> Iterator[tuple[Path, str]]:
    """Every source file, recipe and page that may refer to the method."""
    for pattern in ("src/**/*.py", "src/**/*.yaml", "docs/*.md", "*.md", "recipes/*.yaml"):
        for path in sorted(repository.glob(pattern)):
            yield path.relative_to(repository), path.read_text()


def test_references_to_the_method_resolve(repository: Path) -> None:
    sections = [
        int(number) for number in HEADING.findall((repository / "docs/method.md").read_text())
    ]
    assert sections == list(range(1, 10))
    references = [
        (path, int(match[1] or match[2]))
        for path, text in documents(repository)
        for match in REFERENCE.finditer(text)
    ]
    assert [(path, number) for path, number in references if number not in sections] == []
    assert len({path for path, _ in references if path.parts[0] == "src"}) >= 10
    assert len(references) >= 16


def test_the_site_has_every_page(repository: Path) -> None:
    site = (repository / "mkdocs.yml").read_text()
    pages = {
        path.relative_to(repository / "docs").as_posix() for path in repository.glob("docs/**/*.md")
    }
    assert len(pages) >= 10
    assert {page for page in pages if page not in site} == set()
    assert yaml.compose(site) is not None
