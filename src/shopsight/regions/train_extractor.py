"""Train the `learned` extractor: backbones that predict the words of photos.

The words of a product, in its text and its queries, are the labels of its photo (softmax over all
words, as in Joulin et al., 2016). The activations become region features, and the last layer a
`WordHead`, which ranks by itself.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.config import LearnConfig
from shopsight.device import choose_device
from shopsight.errors import UsageError
from shopsight.regions.backbone import Backbone
from shopsight.regions.detector import Detector
from shopsight.regions.efficientnet import EfficientNetLite
from shopsight.regions.hf_models import HFBackbone
from shopsight.regions.letterbox import letterbox
from shopsight.regions.network_extractor import LEARNED, NetworkExtractor
from shopsight.regions.region_network import RegionNetwork
from shopsight.regions.starts import HF, LITE
from shopsight.regions.word_head import WordHead
from shopsight.types import IntArray, Photo, Progress
from shopsight.weights import load_checkpoint, save_checkpoint

_MULTIPLE = 8  # divisor of the sides of a canvas
_DROPOUT = 0.3
# Progressive resizing: the first 60 % of the epochs run at a smaller size, almost twice as fast.
_SMALL_FRACTION, _SMALL_SCALE = 0.6, 0.75
_WARMUP = 0.1  # fraction of the steps
_FINAL_LR = 0.02  # fraction of the peak
_CHECKPOINT_STEPS = 200
# Ranges of the random augmentation.
_SCALE, _ASPECT, _SHIFT = 0.2, 0.1, 0.2


def learn(
    photos: Sequence[Photo],
    words: Sequence[Sequence[str]],
    config: LearnConfig,
    seed: int,
    progress: Progress,
    folder: Path | None,
) -> NetworkExtractor:
    """See `shopsight.regions.learn_extractor`."""
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(len(photos))[: config.max_photos])
    names, labels = label_matrix([words[i] for i in sample.tolist()], config)
    labelled = labels.sum(1) > 0
    sample, labels = sample[labelled.numpy()], labels[labelled]
    models = []
    with _isolated(config):
        for number, size in enumerate(config.sizes):
            torch.manual_seed(_seed(seed, number))
            backbone = new_backbone(config, _canvas(photos, sample, size))
            pixels = _letterboxed(photos, sample, backbone.canvas)
            model = WordModel(backbone, len(names)).to(choose_device(config.regions.device))
            prefix = f"network {number + 1} of {len(config.sizes)}, " if number else ""
            report = _Report(progress, prefix, config.epochs, len(pixels))
            checkpoint = folder / f"learning-{number}.safetensors" if folder else None
            _fit(model, (pixels, labels), config, _seed(seed, number), report, checkpoint)
            models.append(model)
        head = WordHead(names, [model.backbone.width for model in models])
        for layer, model in zip(head.layers, models, strict=True):
            layer.load_state_dict(model.words.state_dict())
    backbones = [model.backbone for model in models]
    regions = config.regions
    detector = Detector.pretrained(regions.detector, regions) if regions.detector else None
    return NetworkExtractor(LEARNED, backbones, regions, detector, head)


class WordModel(nn.Module):
    """A backbone with logits of words, from the features of the whole photo."""

    def __init__(self, backbone: Backbone, words: int) -> None:
        super().__init__()
        self.backbone, self.dropout = backbone, nn.Dropout(_DROPOUT)
        self.words = nn.Linear(backbone.width, words)

    def forward(self, photos: Tensor) -> Tensor:
        """(B, L) logits of normalised photos (B, 3, H, W)."""
        logits: Tensor = self.words(self.dropout(self.backbone.whole(self.backbone.maps(photos))))
        return logits


def new_backbone(config: LearnConfig, canvas: tuple[int, int]) -> Backbone:
    """The network that training starts from, with the weights that ``config.start`` names."""
    if config.start.startswith(HF):
        network = HFBackbone.pretrained(config.start.removeprefix(HF), max(canvas))
        return network.requires_grad_(True)
    if config.start == LITE:
        return EfficientNetLite.pretrained(canvas)
    return RegionNetwork(canvas, config.channels, config.width)


def label_matrix(words: Sequence[Sequence[str]], config: LearnConfig) -> tuple[list[str], Tensor]:
    """The L most frequent words, and (N, L) which of them each of N photos has.

    Raises:
        UsageError: fewer than two words are frequent enough.

    >>> label_matrix([["red", "hat"], ["red", "hat"], ["sock"]], LearnConfig(min_products=2))
    (['hat', 'red'], tensor([[1., 1.],
            [1., 1.],
            [0., 0.]]))
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
    return labels, matrix


def word_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax cross entropy of logits (B, L) with a uniform target over each photo's words (B, L).

    >>> round(word_loss(torch.zeros(1, 4), torch.tensor([[1.0, 1.0, 0.0, 0.0]])).item(), 4)
    1.3863
    """
    targets = labels / labels.sum(1, keepdim=True).clamp(min=1)
    return -(functional.log_softmax(logits, dim=1) * targets).sum(1).mean()


def augment(photos: Tensor, sides: tuple[int, int]) -> Tensor:
    """Random flip, scale, aspect and shift of photos (B, 3, H, W), as (B, 3, *sides).

    Colours are left alone: they are words.
    """
    batch, device = len(photos), photos.device

    def uniform(width: float, *shape: int) -> Tensor:
        return (torch.rand(batch, *shape, device=device) - 0.5) * width

    scale = 1 + uniform(_SCALE)
    affine = torch.zeros(batch, 2, 3, device=device)
    affine[:, 0, 0] = scale * (1 + uniform(_ASPECT)) * uniform(1).sign()
    affine[:, 1, 1] = scale
    affine[:, :, 2] = uniform(_SHIFT, 2)
    grid = functional.affine_grid(affine, [batch, 3, *sides], align_corners=False)
    warped = functional.grid_sample(photos, grid, align_corners=False, padding_mode="border")
    return warped.contiguous(memory_format=torch.channels_last)


@dataclass
class _Report:
    """Progress of the training of a network: photos so far, and a line after each epoch."""

    progress: Progress
    prefix: str
    epochs: int
    photos: int
    started: float = 0.0
    first: int = -1

    def __call__(self, step: int, steps: int, loss: float) -> None:
        if self.first < 0:
            self.started, self.first = time.monotonic(), step - 1
        per_epoch, total = steps // self.epochs, self.epochs * self.photos
        line = ""
        if step % per_epoch == 0:
            minutes = (time.monotonic() - self.started) / 60 / (step - self.first) * steps
            line = (
                f": {self.prefix}epoch {step // per_epoch} of {self.epochs}, loss {loss:.3f},"
                f" {minutes * 10_000 / self.photos:.1f} minutes per 10,000 photos"
            )
        self.progress(f"learning{line}", total * step // steps, total)


def _fit(
    model: WordModel,
    examples: tuple[Tensor, Tensor],
    config: LearnConfig,
    seed: int,
    report: Callable[[int, int, float], None],
    checkpoint: Path | None,
) -> None:
    """Train on photos (N, H, W, 3) with labels (N, L), or resume from the checkpoint.

    Everything random in a step follows from the seed and the step, as in all training here.
    """
    pixels, labels = examples
    device, backbone = next(model.parameters()).device, model.backbone
    backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer, peak = _optimizer(model, config), config.lr
    batch = min(config.batch, len(pixels))
    per_epoch = len(pixels) // batch
    steps = per_epoch * config.epochs
    state: dict[str, Any] = {"step": 0, "loss": 0.0}
    if checkpoint and checkpoint.exists():
        state = load_checkpoint(checkpoint, model, optimizer)
    model.train()
    for step in range(state["step"], steps):
        epoch, position = divmod(step, per_epoch)
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(pixels)))
        rows = order[position * batch : (position + 1) * batch]
        torch.manual_seed(_seed(seed, step))
        for group in optimizer.param_groups:
            group["lr"] = peak * lr_factor(step / steps)
        photos = augment(
            backbone.normalise(pixels[rows].to(device)), _sides(backbone, step / steps)
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=_uses_bf16(backbone, device)):
            logits = model(photos)
        loss = word_loss(logits.float(), labels[rows].to(device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total = loss.item() + (state["loss"] if position else 0.0)
        state = {"step": step + 1, "loss": total}
        report(step + 1, steps, total / (position + 1))
        if checkpoint and ((step + 1) % _CHECKPOINT_STEPS == 0 or step + 1 == steps):
            save_checkpoint(checkpoint, model, optimizer, state)


def lr_factor(progress: float) -> float:
    """Learning rate after a fraction of the training, of its peak: linear warm-up, then cosine.

    >>> [round(lr_factor(p), 2) for p in (0.0, 0.05, 0.1, 0.55, 1.0)]
    [0.0, 0.5, 1.0, 0.51, 0.02]
    """
    if progress < _WARMUP:
        return progress / _WARMUP
    decayed = (1 + cos(pi * (progress - _WARMUP) / (1 - _WARMUP))) / 2
    return _FINAL_LR + (1 - _FINAL_LR) * decayed


def _optimizer(model: nn.Module, config: LearnConfig) -> torch.optim.Optimizer:
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.lr,
    )


def _canvas(photos: Sequence[Photo], sample: IntArray, size: int) -> tuple[int, int]:
    """Sides of a canvas of the photos' median aspect ratio; the longer side is about ``size``."""
    probe = sample[:: max(1, len(sample) // 256)].tolist()
    aspects = [photos[i].shape[1] / photos[i].shape[0] for i in probe]
    aspect = float(np.clip(np.median(aspects), 0.5, 2))
    sides = (size * min(1, 1 / aspect), size * min(1, aspect))
    height, width = (max(2, round(side / _MULTIPLE)) * _MULTIPLE for side in sides)
    return height, width


def _letterboxed(photos: Sequence[Photo], sample: IntArray, canvas: tuple[int, int]) -> Tensor:
    """(N, H, W, 3) photos on a canvas."""
    pixels = torch.empty(len(sample), *canvas, 3, dtype=torch.uint8)
    for row, i in enumerate(sample.tolist()):
        pixels[row] = torch.from_numpy(letterbox(photos[i], *canvas).pixels)
    return pixels


def _sides(backbone: Backbone, progress: float) -> tuple[int, int]:
    """Input sides after a fraction of the training."""
    if progress >= _SMALL_FRACTION or isinstance(backbone, HFBackbone):
        return backbone.canvas
    height, width = (int(side * _SMALL_SCALE) // _MULTIPLE * _MULTIPLE for side in backbone.canvas)
    return height, width


def _uses_bf16(backbone: Backbone, device: torch.device) -> bool:
    # Without AVX-512 BF16, a CPU emulates bf16 and is slower than in float32.
    if device.type != "cpu":
        return True
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return backbone.bf16_on_cpu and bool(supported and supported())


def _seed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1)[0])


@contextmanager
def _isolated(config: LearnConfig) -> Iterator[None]:
    """Set threads, and restore them and the random state afterwards."""
    threads = torch.get_num_threads()
    if config.threads:
        torch.set_num_threads(config.threads)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(threads)
