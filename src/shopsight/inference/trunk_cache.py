"""The frozen trunk's output for every region of a catalogue, computed once and read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shopsight.batches.batch import Regions, as_regions
from shopsight.data.dataset import PreparedData
from shopsight.data.region_store import RegionStore
from shopsight.errors import DataError, OutputError
from shopsight.formats.append_npy import AppendableArray
from shopsight.formats.atomic import write_json
from shopsight.formats.checksums import fingerprint
from shopsight.types import AnyArray

_BATCH = 4096  # regions per forward pass
_SYNC_BYTES = 256 << 20  # output that a killed process may lose


class TrunkCache(RegionStore):
    """A region store whose features are trunk outputs, the (R, G) array of a file."""

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
        width: int = 0,
    ) -> TrunkCache:
        """Build or resume the trunk cache; open it if it is complete.

        Args:
            trunk: from regions to (R, G); called in no-gradient mode.
            key: identifies trunk and data; another key is another file.
            width: G, if it differs from the store's F.

        Raises:
            OutputError: the disk is full; outputs exceed the range of float16.
        """
        path = folder / f"trunk-{key}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _write(path, store, lambda regions: trunk(regions.to(device)), width or store.width)
        return cls(store, path)

    @classmethod
    def open(cls, folder: Path, store: RegionStore, key: str) -> TrunkCache | None:
        """Open the cache if complete, else None."""
        path = folder / f"trunk-{key}.npy"
        return cls(store, path) if path.exists() else None


def trunk_key(trunk: nn.Module, data: PreparedData) -> str:
    """Key of the outputs of a trunk for a prepared folder."""
    return weights_key(trunk, *(entry["sha256"] for entry in data.manifest["files"].values()))


def weights_key(module: nn.Module, *more: str) -> str:
    """A short fingerprint of the weights of a module and of further strings.

    >>> weights_key(nn.Identity()) == weights_key(nn.Identity()) != weights_key(nn.Identity(), "a")
    True
    """
    chunks: list[Any] = list(more)
    for name, tensor in module.state_dict().items():
        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        chunks += [f"{name} {tuple(tensor.shape)} {tensor.dtype}", content.numpy()]
    return fingerprint(chunks)[:16]


def _write(path: Path, store: RegionStore, trunk: Callable[[Regions], Tensor], width: int) -> None:
    partial, journal = path.with_suffix(".partial"), path.with_suffix(".json")
    done = _products_on_disk(partial, journal)
    rows = int(store.offsets[done])
    with closing(AppendableArray(partial, np.float16, (width,), rows)) as file:
        synced = rows
        while done < len(store):
            # As many products as fit into a batch of regions, but at least one.
            limit = np.searchsorted(store.offsets, store.offsets[done] + _BATCH, side="right")
            stop = max(int(limit) - 1, done + 1)
            with torch.no_grad():
                outputs = trunk(as_regions(store.read(np.arange(done, stop)))).to(torch.float16)
            if not bool(outputs.isfinite().all()):
                reason = "the trunk's outputs exceed the range of float16"
                raise OutputError(f"{path}: {reason}; set cache_trunk: false")
            file.append(outputs.cpu().numpy())
            done = stop
            # The journal counts only synced rows, so that it never promises lost ones.
            if (file.rows - synced) * file.row_bytes >= _SYNC_BYTES:
                file.sync()
                write_json(journal, {"products": done, "bytes": partial.stat().st_size})
                synced = file.rows
        file.sync()
    partial.replace(path)
    journal.unlink(missing_ok=True)


def _products_on_disk(partial: Path, journal: Path) -> int:
    """Products whose outputs an earlier process has synced."""
    if not (partial.exists() and journal.exists()):
        return 0
    synced = json.loads(journal.read_bytes())
    return int(synced["products"]) if partial.stat().st_size >= synced["bytes"] else 0
