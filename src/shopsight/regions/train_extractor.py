"""Train the `learned` extractor: a small network that predicts the words of photos.

The task is that of label match: the words of a product are the labels of its photo. Training takes
minutes on a CPU and downloads nothing; the activations become region features.
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
from shopsight.device import choose_device
from shopsight.errors import UsageError
from shopsight.regions.learned_extractor import LearnedExtractor
from shopsight.regions.letterbox import letterbox
from shopsight.regions.network import RegionNetwork, normalise_pixels
from shopsight.types import IntArray, Photo

_STRIDE = 16  # of the network; canvas sides are multiples of it
_DROPOUT = 0.3
# Progressive resizing: the first 60 % of the epochs run at 0.7 times the size, twice as fast.
_SMALL_FRACTION, _SMALL_SCALE = 0.6, 0.7
_WARMUP = 0.2  # fraction of the steps
_FINAL_LR_DIVISOR = 100
# Ranges of the random augmentation.
_SCALE, _ASPECT, _SHIFT, _CONTRAST, _BRIGHTNESS = 0.3, 0.1, 0.16, 0.3, 0.3


def learn(
    photos: Sequence[Photo],
    words: Sequence[Sequence[str]],
    config: LearnConfig,
    seed: int,
    progress: Callable[[str], None],
) -> LearnedExtractor:
    """See `shopsight.regions.learn_extractor`."""
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(len(photos))[: config.max_photos])
    labels = label_matrix([words[i] for i in sample.tolist()], config)
    pixels, canvas = _letterboxed(photos, sample, config)
    labelled = labels.sum(1) > 0
    with _isolated(config, seed):
        network = _train(pixels[labelled], labels[labelled], canvas, config, progress)
    shape = {"channels": config.channels, "width": config.width}
    return LearnedExtractor(network, shape, canvas, config.regions)


def label_matrix(words: Sequence[Sequence[str]], config: LearnConfig) -> Tensor:
    """(N, L) multi-hot labels of N photos over the L most frequent words.

    Raises:
        UsageError: fewer than two words are frequent enough.

    >>> label_matrix([["red", "hat"], ["red", "hat"], ["sock"]], LearnConfig(min_products=2))
    tensor([[1., 1.],
            [1., 1.],
            [0., 0.]])
    """
    counts = Counter(word for photo_words in words for word in set(photo_words))
    frequent = [word for word, count in counts.items() if count >= config.min_products]
    labels = sorted(frequent, key=lambda word: (-counts[word], word))[: config.max_words]
    if len(labels) < 2:
        raise UsageError(
            f"cannot learn an extractor: fewer than two words occur on at least"
            f" {config.min_products} of {len(words):,} photos"
        )
    index = {word: i for i, word in enumerate(labels)}
    matrix = torch.zeros(len(words), len(labels))
    for row, photo_words in zip(matrix, words, strict=True):
        row[[index[word] for word in photo_words if word in index]] = 1
    return matrix


def word_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax cross entropy with a uniform target over each photo's words; mean over photos.

    Args:
        logits: (B, L).
        labels: (B, L) multi-hot.

    >>> round(word_loss(torch.zeros(1, 4), torch.tensor([[1.0, 1.0, 0.0, 0.0]])).item(), 4)
    1.3863
    """
    targets = labels / labels.sum(1, keepdim=True).clamp(min=1)
    return -(functional.log_softmax(logits, dim=1) * targets).sum(1).mean()


def _letterboxed(
    photos: Sequence[Photo], sample: IntArray, config: LearnConfig
) -> tuple[Tensor, tuple[int, int]]:
    """(N, H, W, 3) photos on a canvas of their median aspect ratio, and its sides."""
    probe = sample[:: max(1, len(sample) // 256)].tolist()
    aspects = [photos[i].shape[1] / photos[i].shape[0] for i in probe]
    aspect = float(np.clip(np.median(aspects), 0.5, 2))
    sides = (config.size * min(1, 1 / aspect), config.size * min(1, aspect))
    height, width = (max(1, round(side / _STRIDE + 0.2)) * _STRIDE for side in sides)
    pixels = torch.empty(len(sample), height, width, 3, dtype=torch.uint8)
    for row, i in enumerate(sample.tolist()):
        pixels[row] = torch.from_numpy(letterbox(photos[i], height, width).pixels)
    return pixels, (height, width)


def _train(
    pixels: Tensor,
    labels: Tensor,
    canvas: tuple[int, int],
    config: LearnConfig,
    progress: Callable[[str], None],
) -> RegionNetwork:
    device = choose_device(config.regions.device)
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
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        config.lr,
        config.epochs * steps,
        pct_start=_WARMUP,
        final_div_factor=_FINAL_LR_DIVISOR,
    )
    for epoch in range(config.epochs):
        total, order = 0.0, torch.randperm(len(pixels))
        sides = _sides(canvas, epoch / config.epochs)
        for rows in torch.split(order[: steps * batch], batch):
            inputs = augment(normalise_pixels(pixels[rows].to(device)), sides)
            with torch.autocast(device.type, torch.bfloat16, enabled=_bf16_is_fast(device)):
                logits = head(network.whole(inputs))
            loss = word_loss(logits.float(), labels[rows].to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item()
        progress(f"epoch {epoch + 1} of {config.epochs}, loss {total / steps:.3f}")
    return network


def augment(photos: Tensor, sides: tuple[int, int]) -> Tensor:
    """Random flip, scale, aspect, shift, contrast and brightness of photos (B, 3, H, W).

    Returns:
        (B, 3, *sides).
    """
    batch, device = len(photos), photos.device

    def uniform(width: float, *shape: int) -> Tensor:
        return (torch.rand(batch, *shape, device=device) - 0.5) * width

    scale = 1 / (1 + uniform(_SCALE))
    affine = torch.zeros(batch, 2, 3, device=device)
    affine[:, 0, 0] = scale * (1 + uniform(_ASPECT)) * uniform(1).sign()
    affine[:, 1, 1] = scale
    affine[:, :, 2] = uniform(_SHIFT, 2)
    grid = functional.affine_grid(affine, [batch, 3, *sides], align_corners=False)
    warped = functional.grid_sample(photos, grid, align_corners=False, padding_mode="border")
    lit = warped * (1 + uniform(_CONTRAST, 1, 1, 1)) + uniform(_BRIGHTNESS, 1, 1, 1)
    return lit.contiguous(memory_format=torch.channels_last)


def _sides(canvas: tuple[int, int], progress: float) -> tuple[int, int]:
    """Input sides after a fraction of the training."""
    if progress >= _SMALL_FRACTION:
        return canvas
    height, width = (max(_STRIDE, int(side * _SMALL_SCALE) // 8 * 8) for side in canvas)
    return height, width


def _bf16_is_fast(device: torch.device) -> bool:
    # Without AVX-512 BF16, a CPU emulates bf16 and is slower than in float32.
    if device.type != "cpu":
        return True
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())


@contextmanager
def _isolated(config: LearnConfig, seed: int) -> Iterator[None]:
    """Set threads and seed, and restore the caller's afterwards."""
    threads = torch.get_num_threads()
    if config.threads:
        torch.set_num_threads(config.threads)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
