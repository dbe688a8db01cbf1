"""Output directory handling: overwrite rules and the final rename."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shopsight.data.dataset import PREPARED, SHARD
from shopsight.errors import DataError, OutputError
from shopsight.formats.checksums import check_sizes
from shopsight.formats.manifest import ManifestFormat
from shopsight.formats.outputs import check_output_folder
from shopsight.prepare.journal import partial_folder, remove_abandoned

log = logging.getLogger("shopsight")
_ADVICE = "choose another --out"


def check_output_dir(out: Path, raw: Path) -> None:
    """Raise OutputError unless ``out`` is new, empty or a prepared folder, and apart from ``raw``.

    Only folders that shopsight made are ever replaced, even with ``--force``.
    """
    if not out.name or out.name == "..":
        raise OutputError(f"--out '{out}' is not the name of a new folder")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: a file of this name exists; {_ADVICE}")
    if out.resolve() in (raw.resolve(), *raw.resolve().parents):
        raise OutputError(f"{out} contains the raw files themselves; {_ADVICE}")
    check_output_folder(out)
    if has_content(out) and not (PREPARED.describes(out) or SHARD.describes(out)):
        raise OutputError(f"{out} exists and is not a prepared folder; {_ADVICE}")


def has_content(out: Path) -> bool:
    """Whether ``out`` is a folder with anything in it."""
    return out.exists() and any(out.iterdir())


def is_prepared(
    out: Path,
    raw: Path,
    fingerprint: str,
    kind: ManifestFormat = PREPARED,
    *,
    force: bool = False,
    changed: Callable[[dict[str, Any]], str] = lambda _: "",
) -> bool:
    """Whether the complete folder of this call is already at ``out``; see `check_output_dir`.

    ``changed`` tells from the manifest what may have changed, although the fingerprint is equal.

    Raises:
        OutputError: ``out`` is damaged, was made from something else, or must not be replaced.
    """
    check_output_dir(out, raw)
    if force or not has_content(out):
        return False
    try:
        manifest = kind.read(out)
        check_sizes(out, manifest["files"], kind.remedy)
    except DataError as error:
        reason = str(error).removesuffix(f"; {kind.remedy}")
        raise OutputError(f"{reason}; replace it with --force") from error
    if manifest.get("fingerprint") != fingerprint:
        reason = "was prepared from other files or with other settings"
    elif what := changed(manifest):
        reason = f"exists, and {what}"
    else:
        log.warning("%s is already prepared from these files; nothing was done", out)
        remove_abandoned(out)
        return True
    raise OutputError(f"{out} {reason}; {_ADVICE}, or replace it with --force")


def publish(out: Path, name: str = "data") -> None:
    """Move the complete folder ``OUT.partial/NAME`` to ``out`` and remove the rest."""
    partial = partial_folder(out)
    if out.exists():
        shutil.rmtree(out)
    (partial / name).rename(out)
    shutil.rmtree(partial)
