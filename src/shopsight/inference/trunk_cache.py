"""The frozen trunk's output for every region of a catalogue, computed once and read back.

The matching stages leave the encoder's box layers, norm and attention block as they are (speed.md,
point 5), so what these give for a product never changes: it is written to a file, as large as the
features unless the encoder reduces them, and read like them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shopsight.batches.batch import Regions, as_regions
from shopsight.data.dataset import PreparedData
from shopsight.data.region_store import RegionStore
from shopsight.errors import DataError, OutputError
from shopsight.formats.append_npy import AppendableArray
from shopsight.formats.atomic import write_json
from shopsight.formats.checksums import fingerprint
from shopsight.types import AnyArray

_AT_ONCE = 4096  # regions that pass the trunk together
_SYNC_BYTES = 256 << 20  # what a killed process may have to do again


class TrunkCache(RegionStore):
    """A region store whose features went through the trunk; use `build`.

    Args:
        store: the catalogue.
        path: the file of (R, G) outputs.
    """

    through_trunk = True

    def __init__(self, store: RegionStore, path: Path) -> None:
        super().__init__(store.folder)
        outputs: AnyArray = np.load(path, mmap_mode="r", allow_pickle=False)
        if len(outputs) != len(self.pixel_boxes):
            raise DataError(f"{path}: of another catalogue; delete it")
        self._shards, self._starts = [np.asarray(outputs)], np.array([0, len(outputs)])

    @classmethod
    def build(
        cls,
        folder: Path,
        store: RegionStore,
        trunk: Callable[[Regions], Tensor],
        key: str,
        device: torch.device | str = "cpu",
        progress: Callable[[int, int], None] | None = None,
        width: int = 0,
    ) -> TrunkCache:
        """Run the trunk over the catalogue, or go on where that was cut short, or do nothing.

        Args:
            folder: where the file is, or will be.
            store: the catalogue.
            trunk: from regions to (R, G); called in no-gradient mode.
            key: names trunk and data; another key is another file.
            device: where the trunk is.
            progress: told the products done, and of how many.
            width: G, if it is not the store's F.

        Raises:
            OutputError: the disk is full; outputs do not fit float16.
        """
        path = folder / f"trunk-{key}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _write(path, store, trunk, torch.device(device), progress, width or store.width)
        return cls(store, path)

    @classmethod
    def kept(cls, folder: Path, store: RegionStore, key: str) -> TrunkCache | None:
        """What `build` left; None if it never was built, or not to the end."""
        path = folder / f"trunk-{key}.npy"
        return cls(store, path) if path.exists() else None


def trunk_key(trunk: nn.Module, data: PreparedData) -> str:
    """Names what a trunk gives for a prepared folder."""
    return weights_key(trunk, *(entry["sha256"] for entry in data.manifest["files"].values()))


def weights_key(module: nn.Module, *more: str) -> str:
    """A short name for a module's weights, and for what else decides its outputs.

    >>> weights_key(nn.Identity()) == weights_key(nn.Identity()) != weights_key(nn.Identity(), "a")
    True
    """
    chunks: list[Any] = list(more)
    for name, tensor in module.state_dict().items():
        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        chunks += [f"{name} {tuple(tensor.shape)} {tensor.dtype}", content.numpy()]
    return fingerprint(chunks)[:16]


def _write(
    path: Path,
    store: RegionStore,
    trunk: Callable[[Regions], Tensor],
    device: torch.device,
    progress: Callable[[int, int], None] | None,
    width: int,
) -> None:
    partial, journal = path.with_suffix(".partial"), path.with_suffix(".json")
    done = _done_before(partial, journal)
    rows = int(store.offsets[done])
    with closing(AppendableArray(partial, np.float16, (width,), rows)) as file:
        synced = rows
        while done < len(store):
            stop = _stop(store, done)
            file.append(_outputs(path, store, trunk, device, done, stop))
            done = stop
            if progress:
                progress(done, len(store))
            if (file.rows - synced) * file.row_bytes >= _SYNC_BYTES:
                file.sync()
                write_json(journal, {"products": done, "bytes": partial.stat().st_size})
                synced = file.rows
        file.sync()
    partial.replace(path)
    journal.unlink(missing_ok=True)


def _done_before(partial: Path, journal: Path) -> int:
    """Products whose outputs an earlier process left whole on disk."""
    if not (partial.exists() and journal.exists()):
        return 0
    note = json.loads(journal.read_bytes())
    return int(note["products"]) if partial.stat().st_size >= note["bytes"] else 0


def _stop(store: RegionStore, start: int) -> int:
    """Products from ``start`` on whose regions pass the trunk together, at least one."""
    limit = store.offsets[start] + _AT_ONCE
    return max(int(np.searchsorted(store.offsets, limit, side="right")) - 1, start + 1)


def _outputs(
    path: Path,
    store: RegionStore,
    trunk: Callable[[Regions], Tensor],
    device: torch.device,
    start: int,
    stop: int,
) -> NDArray[np.float16]:
    regions = as_regions(store.read(np.arange(start, stop)))
    with torch.no_grad():
        outputs = trunk(regions.to(device)).to(torch.float16)
    if not bool(outputs.isfinite().all()):
        raise OutputError(f"{path}: the trunk's outputs do not fit float16; set cache_trunk: false")
    half: NDArray[np.float16] = outputs.cpu().numpy()
    return half
