"""Pages of the documentation site that are kept in the repository's root.

``docs/index.md``, ``docs/contributing.md`` and ``docs/changelog.md`` hold a comment that names a
file of the root. mkdocs calls `on_page_markdown`, which replaces the comment by that file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_INCLUDE = re.compile(r"<!-- include (\S+) -->")
# Badges are images from elsewhere, which the site must not load.
_BADGES = re.compile(r"<!-- badges -->.*?<!-- /badges -->\n*", re.S)
_LINK = re.compile(r"(\]\()(?!https?:|#)([^)]+)\)")
_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Replace an include comment by the file it names, and make its links those of the site."""
    return _INCLUDE.sub(lambda match: page(match[1], config["extra"]["repository"]), markdown)


def page(name: str, repository: str) -> str:
    """The text of a root file as a page of the site.

    Args:
        name: file of the repository's root.
        repository: address of the repository, for links to files that are not on the site.
    """

    def link(match: re.Match[str]) -> str:
        target = match[2]
        if target in _PAGES:
            target = _PAGES[target]
        elif target.startswith("docs/"):
            target = target.removeprefix("docs/")
        else:
            target = f"{repository}/blob/main/{target}"
        return f"{match[1]}{target})"

    return _LINK.sub(link, _BADGES.sub("", (ROOT / name).read_text()))
