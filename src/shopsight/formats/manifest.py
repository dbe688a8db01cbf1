"""Self-describing JSON manifests: the one file that says what a folder is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shopsight import __version__
from shopsight.errors import DataError
from shopsight.formats.atomic import write_json

FORMAT = b'"format": "shopsight '
"""The beginning of every manifest."""


@dataclass(frozen=True)
class ManifestFormat:
    """A kind of manifest; its file begins with format, version and the shopsight that wrote it.

    Attributes:
        noun: what the folder is, such as "index".
        remedy: how to get a good manifest, for messages: "build the index again".
        stamped: whether the shopsight version is recorded. Off for files whose checksum
            identifies data, which must not change from release to release.
    """

    file: str
    noun: str
    version: int
    remedy: str
    keys: frozenset[str] = frozenset()
    stamped: bool = True

    @property
    def format(self) -> str:
        """The value of the key ``format``."""
        return f"shopsight {self.noun}"

    def write(self, folder: Path, content: Mapping[str, Any]) -> None:
        """Write the manifest atomically. Raises OutputError if it cannot be written."""
        head = {"format": self.format, "version": self.version}
        stamp = {"shopsight": __version__} if self.stamped else {}
        write_json(folder / self.file, head | stamp | dict(content))

    def read(self, folder: str | Path) -> dict[str, Any]:
        """Read and check the manifest.

        Raises:
            DataError: missing, not JSON, of another format or version, or without one of `keys`.
        """
        path = Path(folder) / self.file
        try:
            content = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataError(f"{folder}: not {self._a_noun} (no {self.file})") from error
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not readable as JSON; {self.remedy}") from error
        if not isinstance(content, dict) or content.get("format") != self.format:
            raise DataError(f"{folder}: not {self._a_noun} ({self.file} has another format)")
        if content.get("version") != self.version:
            theirs = f"format version {content.get('version')}, not {self.version}"
            reason = f"made by another version of shopsight ({theirs})"
            raise DataError(f"{path}: {reason}; {self.remedy}")
        if missing := sorted(self.keys - content.keys()):
            raise DataError(f"{path}: damaged, '{missing[0]}' is missing; {self.remedy}")
        return content

    def describes(self, folder: Path) -> bool:
        """Whether a folder has a manifest of this format, even a damaged or outdated one."""
        path = folder / self.file
        return path.is_file() and f'"{self.format}"'.encode() in path.read_bytes()[:4096]

    @property
    def _a_noun(self) -> str:
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"
