"""The documents refer to what exists: sections of the method, files, pages of the site."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import shopsight

MENTION = re.compile(r"method\.md|\bmethod\s+sections?\b|\(method\s+\d")
REFERENCE = re.compile(r"docs/method\.md, sections? (\d+)(?: to (\d+))?")
HEADING = re.compile(r"^## (\d+)\. ", re.M)


def documents(repository: Path) -> Iterator[tuple[Path, str]]:
    """Every source file, recipe and page that may refer to the method."""
    for pattern in ("src/**/*.py", "src/**/*.yaml", "docs/*.md", "*.md", "recipes/*.yaml"):
        for path in sorted(repository.glob(pattern)):
            yield path.relative_to(repository), path.read_text()


def test_references_to_the_method_resolve(repository: Path) -> None:
    method = (repository / "docs/method.md").read_text()
    sections = {int(number) for number in HEADING.findall(method)}
    assert sections == set(range(1, 13))
    sources, references, malformed = set(), [], []
    for path, text in documents(repository):
        found = [int(number) for match in REFERENCE.findall(text) for number in match if number]
        references += [(path, number) for number in found]
        if path.parts[0] == "src":
            sources |= {path} if found else set()
            if len(MENTION.findall(text)) != len(REFERENCE.findall(text)):
                malformed.append(path)
    assert [(path, number) for path, number in references if number not in sections] == []
    assert malformed == [], "write: docs/method.md, section N"
    assert len(sources) >= 16
    assert len(references) >= 19


def test_the_site_has_every_page(repository: Path) -> None:
    site = (repository / "mkdocs.yml").read_text()
    pages = {
        path.relative_to(repository / "docs").as_posix() for path in repository.glob("docs/**/*.md")
    }
    assert len(pages) >= 10
    assert {page for page in pages if page not in site} == set()
    assert yaml.compose(site) is not None


def test_the_reference_has_every_name_of_the_front_door(repository: Path) -> None:
    page = (repository / "docs/api/index.md").read_text()
    documented = set(re.findall(r"^::: shopsight\.[\w.]+\.(\w+)$", page, re.M))
    assert documented == set(shopsight.__all__) - {"__version__"}
    assert len(documented) >= 20


@pytest.mark.slow
def test_site_builds_without_warnings_and_loads_nothing_from_elsewhere(
    repository: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", tmp_path]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) >= 15
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]* src=\"https?:|<link[^>]*stylesheet[^>]*https?:"
    )
    assert [page.name for page in pages if loaded.search(page.read_text())] == []
