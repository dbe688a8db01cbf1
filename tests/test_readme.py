"""The commands of the README and the guides work as printed, and their links resolve."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shopsight.config import SyntheticShopConfig
from shopsight.demo.shop import generate_shop


def code_blocks(text: str, language: str) -> list[str]:
    """The code blocks of a language in a Markdown text, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def targets(makefile: str) -> set[str]:
    """The targets a Makefile explains."""
    return set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M))


def run(command: list[str], folder: Path) -> None:
    """Run a command in a folder, with the tested package's command first in the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"), [("README.md", 9), ("docs/quickstart.md", 4), ("docs/photos.md", 8)]
)
def test_commands_work(repository: Path, tmp_path: Path, name: str, count: int) -> None:
    blocks = code_blocks((repository / name).read_text(), "bash")
    assert len(blocks) == count
    makefile = targets((repository / "Makefile").read_text())
    for block in blocks:
        assert set(re.findall(r"^make ([\w-]+)", block, re.M)) <= makefile
        script = re.sub(r"^make .*$", "", block, flags=re.M)
        run(["bash", "-euo", "pipefail", "-c", script], tmp_path)


@pytest.mark.slow
def test_first_screen_works_in_python_and_on_the_command_line(
    repository: Path, tmp_path: Path
) -> None:
    text = (repository / "README.md").read_text()
    for language, command in (("python", [sys.executable, "-c"]), ("sh", ["bash", "-euc"])):
        folder = tmp_path / language
        generate_shop(folder, SyntheticShopConfig(products=300, queries=300))
        run([*command, code_blocks(text, language)[0]], folder)
        assert (folder / "index" / "index.json").exists()


def test_makefile_explains_its_targets(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    assert targets(makefile) == {"help", "demo", "test", "test-all", "check", "docs", "bench"}
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout
    assert all(f"make {target} " in shown for target in targets(makefile))


def test_links_resolve(repository: Path) -> None:
    checked, broken = 0, []
    for page in [*repository.glob("*.md"), *repository.glob("docs/*.md")]:
        # Links to the actions of the repository's page on GitHub begin with two steps up.
        links = re.findall(r"\]\((?!https?:|#|\.\./\.\./)([^)#]+)", page.read_text())
        checked += len(links)
        broken += [f"{page.name}: {link}" for link in links if not (page.parent / link).exists()]
    assert broken == []
    assert checked >= 40
