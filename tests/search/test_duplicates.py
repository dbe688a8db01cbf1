"""Near-duplicates: difference hashes and groups."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shopsight.cli.main import main
from shopsight.config import DedupeConfig
from shopsight.data.dataset import PreparedData
from shopsight.search.duplicates import difference_hash, find_duplicates
from shopsight.search.index import add_products
from shopsight.search.snapshot import Snapshot

Subset = Callable[..., PreparedData]


def photo(pixels: np.ndarray, **options: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


def test_a_hash_by_hand() -> None:
    ramp = np.tile(np.linspace(0, 255, 90, dtype=np.uint8), (80, 1))
    assert difference_hash(photo(ramp)) == 2**64 - 1
    assert difference_hash(photo(ramp[:, ::-1].copy())) == 0
    assert difference_hash(b"no photo") is None


def test_a_hash_survives_resizing_and_compression() -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (6, 6), np.uint8)).resize((200, 200))
    whole = difference_hash(photo(np.asarray(image), quality=95))
    small = difference_hash(photo(np.asarray(image.resize((90, 90))), quality=40))
    other = difference_hash(photo(rng.integers(0, 255, (90, 90), np.uint8)))
    assert whole is not None
    assert small is not None
    assert other is not None
    assert (whole ^ small).bit_count() <= 4
    assert (whole ^ other).bit_count() >= 15


def test_copies_are_found(own_index: Path, subset: Subset, capsys) -> None:
    """Products added again under other ids are grouped; similar photos alone are not."""
    add_products(own_index, subset(10, 14, suffix="b"))
    add_products(own_index, subset(10, 11, suffix="c"))
    snapshot = Snapshot.current(own_index)
    ids = snapshot.ids(np.arange(10, 14))
    groups = find_duplicates(snapshot, DedupeConfig(cosine=0.9999, bits=0))
    assert [group.product_ids for group in groups] == [
        (ids[0], f"{ids[0]}b", f"{ids[0]}c"),
        *((copied, f"{copied}b") for copied in sorted(ids[1:])),
    ]
    assert all(group.same_file and group.cosine > 0.9999 for group in groups)
    loose = find_duplicates(snapshot, DedupeConfig(cosine=0.5, bits=64))
    assert sum(len(group.product_ids) for group in loose) > 9
    strict = ["dedupe", str(own_index), "--cosine", "0.9999", "--bits", "0"]
    assert main([*strict, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (len(printed["groups"]), printed["redundant"]) == (4, 5)
    assert main(strict) == 0
    assert "4 groups; 5 redundant products" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--cosine", "2"], ["--bits", "-1"], ["--neighbours", "0"]])
def test_invalid_settings(options: list[str], index: Path, capsys) -> None:
    assert main(["dedupe", str(index), *options]) == 2
    assert options[0].removeprefix("--") in capsys.readouterr().err
