"""Training a small network on a catalogue's own photos, to predict their words.

The same task as pretraining: the words of a product are labels of its photo. Only the activations
are kept; they describe regions. No download, minutes on a processor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.config import LearnConfig
from shopsight.errors import UsageError
from shopsight.regions.extractor import Photo
from shopsight.regions.hf_models import device_of
from shopsight.regions.learned_extractor import LearnedExtractor
from shopsight.regions.letterbox import placed
from shopsight.regions.network import RegionNetwork, normalised
from shopsight.types import IntArray

_STEP = 16  # sides of the canvas are multiples of it
_DROPOUT = 0.3
_SMALL_SHARE, _SMALL = 0.6, 0.7  # of the epochs, photos are seen smaller, which is twice as fast
_WARMUP = 0.2  # of all steps
_LAST_LR = 100  # how many times lower than the first it ends
# What is varied from one look to the next: size, shape, place, contrast, brightness.
_SIZE, _SHAPE, _PLACE, _CONTRAST, _BRIGHTNESS = 0.3, 0.1, 0.16, 0.3, 0.3


def learn(
    photos: Sequence[Photo],
    words: Sequence[Sequence[str]],
    config: LearnConfig,
    seed: int,
    progress: Callable[[str], None],
) -> LearnedExtractor:
    """See `shopsight.regions.learn_extractor`."""
    draw = np.random.default_rng(seed)
    chosen = np.sort(draw.permutation(len(photos))[: config.most_photos])
    labels = label_rows([words[i] for i in chosen.tolist()], config)
    pixels, canvas = _on_canvas(photos, chosen, config)
    known = labels.sum(1) > 0
    with _as_set(config, seed):
        network = _train(pixels[known], labels[known], canvas, config, progress)
    shape = {"channels": config.channels, "width": config.width}
    return LearnedExtractor(network, shape, canvas, config.regions)


def label_rows(words: Sequence[Sequence[str]], config: LearnConfig) -> Tensor:
    """Which words each photo has.

    Args:
        words: of each photo.
        config: which words are labels.

    Returns:
        (N, words) 1.0 where it has the word.

    Raises:
        UsageError: no word stands on enough photos, or all stand on every one.

    >>> label_rows([["red", "hat"], ["red", "hat"], ["sock"]], LearnConfig(least_products=2))
    tensor([[1., 1.],
            [1., 1.],
            [0., 0.]])
    """
    counts = Counter(word for one in words for word in set(one))
    enough = [word for word, count in counts.items() if count >= config.least_products]
    kept = sorted(enough, key=lambda word: (-counts[word], word))[: config.most_words]
    if len(kept) < 2:
        raise UsageError(
            f"there is nothing to learn from: fewer than two words stand on at least"
            f" {config.least_products} of {len(words):,} photos"
        )
    place = {word: i for i, word in enumerate(kept)}
    rows = torch.zeros(len(words), len(kept))
    for row, one in zip(rows, words, strict=True):
        row[[place[word] for word in one if word in place]] = 1
    return rows


def word_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy with each photo's words, all of them equally likely; the mean over photos.

    >>> round(word_loss(torch.zeros(1, 4), torch.tensor([[1.0, 1.0, 0.0, 0.0]])).item(), 4)
    1.3863
    """
    shares = labels / labels.sum(1, keepdim=True).clamp(min=1)
    return -(functional.log_softmax(logits, dim=1) * shares).sum(1).mean()


def _on_canvas(
    photos: Sequence[Photo], chosen: IntArray, config: LearnConfig
) -> tuple[Tensor, tuple[int, int]]:
    """(N, H, W, 3) photos on a canvas whose shape suits most of them, and its sides."""
    look = chosen[:: max(1, len(chosen) // 256)].tolist()
    aspects = [photos[i].shape[1] / photos[i].shape[0] for i in look]
    aspect = float(np.clip(np.median(aspects), 0.5, 2))
    sides = (config.size * min(1, 1 / aspect), config.size * min(1, aspect))
    height, width = (max(1, round(side / _STEP + 0.2)) * _STEP for side in sides)
    pixels = torch.empty(len(chosen), height, width, 3, dtype=torch.uint8)
    for row, i in enumerate(chosen.tolist()):
        pixels[row] = torch.from_numpy(placed(photos[i], height, width).pixels)
    return pixels, (height, width)


def _train(
    pixels: Tensor,
    labels: Tensor,
    canvas: tuple[int, int],
    config: LearnConfig,
    progress: Callable[[str], None],
) -> RegionNetwork:
    device = device_of(config.regions)
    network = RegionNetwork(config.channels, config.width)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    head = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(config.width, labels.shape[1])).to(device)
    weights = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.lr,
    )
    batch = min(config.batch, len(pixels))
    steps = len(pixels) // batch
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.lr, config.epochs * steps, pct_start=_WARMUP, final_div_factor=_LAST_LR
    )
    for epoch in range(config.epochs):
        total, order = 0.0, torch.randperm(len(pixels))
        sides = _sides(canvas, epoch / config.epochs)
        for rows in torch.split(order[: steps * batch], batch):
            seen = varied(normalised(pixels[rows].to(device)), sides)
            with torch.autocast(device.type, torch.bfloat16, enabled=_half(device)):
                logits = head(network.whole(seen))
            loss = word_loss(logits.float(), labels[rows].to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            rate.step()
            total += loss.item()
        progress(f"epoch {epoch + 1} of {config.epochs}, loss {total / steps:.3f}")
    return network


def varied(seen: Tensor, sides: tuple[int, int]) -> Tensor:
    """Photos (B, 3, H, W) at another size, each flipped, moved, stretched and lit at random."""
    batch, device = len(seen), seen.device

    def spread(width: float, *shape: int) -> Tensor:
        return (torch.rand(batch, *shape, device=device) - 0.5) * width

    size = 1 / (1 + spread(_SIZE))
    grid = torch.zeros(batch, 2, 3, device=device)
    grid[:, 0, 0] = size * (1 + spread(_SHAPE)) * spread(1).sign()
    grid[:, 1, 1] = size
    grid[:, :, 2] = spread(_PLACE, 2)
    places = functional.affine_grid(grid, [batch, 3, *sides], align_corners=False)
    moved = functional.grid_sample(seen, places, align_corners=False, padding_mode="border")
    lit = moved * (1 + spread(_CONTRAST, 1, 1, 1)) + spread(_BRIGHTNESS, 1, 1, 1)
    return lit.contiguous(memory_format=torch.channels_last)


def _sides(canvas: tuple[int, int], done: float) -> tuple[int, int]:
    """How large photos are seen, after a share of the training."""
    if done >= _SMALL_SHARE:
        return canvas
    height, width = (max(_STEP, int(side * _SMALL) // 8 * 8) for side in canvas)
    return height, width


def _half(device: torch.device) -> bool:
    """Whether bf16 is quicker there: on GPUs, and on processors that have it."""
    if device.type != "cpu":
        return True
    known = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(known and known())


@contextmanager
def _as_set(config: LearnConfig, seed: int) -> Iterator[None]:
    """Threads and randomness as settings say, and as they were afterwards."""
    threads = torch.get_num_threads()
    if config.threads:
        torch.set_num_threads(config.threads)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
