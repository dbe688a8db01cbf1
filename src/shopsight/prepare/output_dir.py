"""Where a prepared folder goes: what may be replaced, what is there already, the last rename."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from shopsight.data.dataset import PREPARED, SHARD, PreparedData
from shopsight.errors import DataError, OutputError

log = logging.getLogger("shopsight")


def check_place(out: Path, raw: Path) -> None:
    """Refuse an ``out`` that holds anything but a prepared folder, or that holds the raw files.

    Args:
        out: where the prepared folder shall be.
        raw: what it is made from.

    Raises:
        OutputError: see above.
    """
    if not out.name or out.name == "..":
        raise OutputError(f"--out '{out}' is not the name of a new folder")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: a file is in the way; choose another --out")
    if out.resolve() in (raw.resolve(), *raw.resolve().parents):
        raise OutputError(f"{out} holds the raw files themselves; choose another --out")
    if (
        out.exists()
        and any(out.iterdir())
        and not (PREPARED.describes(out) or SHARD.describes(out))
    ):
        raise OutputError(f"{out} exists and is not a prepared folder; choose another --out")


def the_same(out: Path, fingerprint: str, *, is_stream: bool = False) -> PreparedData:
    """The prepared folder at ``out``, if it is what this call would make.

    Args:
        out: the folder.
        fingerprint: of the files and settings of this call.
        is_stream: whether a file is standard input, which may hold something else each time.

    Raises:
        OutputError: it is damaged, or was made from something else.
    """
    try:
        data = PreparedData.open(out)
    except DataError as error:
        reason = str(error).removesuffix("; prepare the folder again")
        raise OutputError(f"{reason}; replace it with --force") from error
    if data.manifest.get("fingerprint") != fingerprint:
        reason = "was prepared from other files or with other settings"
    elif is_stream:
        reason = "exists, and standard input may hold something else than it was made from"
    else:
        log.warning("%s is already prepared from these files; nothing was done", out)
        return data
    raise OutputError(f"{out} {reason}; choose another --out, or replace it with --force")


def put_in_place(partial: Path, out: Path, name: str = "data") -> None:
    """Let the complete folder ``name`` of ``partial`` take the place of ``out``."""
    if out.exists():
        shutil.rmtree(out)
    (partial / name).rename(out)
    shutil.rmtree(partial)
