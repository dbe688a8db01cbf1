"""The commands of the README and the quickstart work as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


def shell_blocks(text: str) -> list[str]:
    """The ``bash`` code blocks of a Markdown text, in order."""
    return re.findall(r"^```bash\n(.*?)^```$", text, re.M | re.S)


def targets(makefile: str) -> set[str]:
    """The targets a Makefile explains."""
    return set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M))


@pytest.mark.parametrize(
    ("name", "blocks"), [("README.md", 9), ("docs/quickstart.md", 4), ("docs/photos.md", 8)]
)
def test_its_commands_work(repository: Path, tmp_path: Path, name: str, blocks: int) -> None:
    found = shell_blocks((repository / name).read_text())
    assert len(found) == blocks
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    known = targets((repository / "Makefile").read_text())
    for block in found:
        made = re.findall(r"^make ([\w-]+)", block, re.M)
        assert set(made) <= known, f"{name} names a target that the Makefile has not: {made}"
        script = re.sub(r"^make .*$", "", block, flags=re.M)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def test_the_makefile_explains_its_targets(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    assert targets(makefile) == {"help", "demo", "test", "test-all", "check", "docs", "bench"}
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout
    assert all(f"make {target} " in shown for target in targets(makefile))


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/quickstart.md",
        "docs/models.md",
        "docs/photos.md",
        "docs/serving.md",
    ],
)
def test_its_links_lead_somewhere(repository: Path, name: str) -> None:
    page = repository / name
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []
