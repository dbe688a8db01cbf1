"""Products of the small world: attributes, regions and region features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from shopsight.demo.world.words import HUMAN_LABELS, KINDS, OTHERS_LABEL, VALUES
from shopsight.types import IntArray

MAX_REGIONS = 91
_BANK = 1 << 22  # shared noise values; regions use windows of them
_COMMON_SIDES = (500, 750, 800)


@dataclass(frozen=True, eq=False)
class Products:
    """P products with R regions in all; packed."""

    ids: IntArray  # (P,) distinct
    attributes: NDArray[np.int8]  # (P, kinds) value index per attribute
    image_sizes: IntArray  # (P, 2) height and width in pixels
    offsets: IntArray  # (P + 1,) regions of product ``i``: ``offsets[i]:offsets[i + 1]``
    boxes: NDArray[np.float32]  # (R, 4) top, left, bottom, right in integer pixels
    labels: IntArray  # (R,) region classes
    strengths: NDArray[np.float32]  # (R, kinds) weight of the product's value in the feature
    noise_starts: IntArray  # (R,) start of the window in the noise bank

    def __len__(self) -> int:
        return len(self.ids)


def sample_products(count: int, first_id: int, rng: np.random.Generator) -> Products:
    """Sample ``count`` products with ids from ``first_id`` upwards, in random order.

    Region counts follow the competition's: mean 3.77, sd 3.3, quartiles 2, 3, 5, at most 91.
    """
    attributes = np.stack([rng.choice(len(v), count, p=_long_tail(len(v))) for v in VALUES], 1)
    lengths = np.clip(np.rint(rng.lognormal(np.log(2.8), 0.76, count)), 1, MAX_REGIONS)
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    owner = np.repeat(np.arange(count), np.diff(offsets))
    sides = rng.integers(72, 1200, (count, 2))
    image_sizes = np.where(
        rng.random((count, 2)) < 0.7, rng.choice(_COMMON_SIDES, (count, 2)), sides
    )
    whole = np.zeros(len(owner), bool)
    whole[offsets[:-1] + (rng.random(count) * np.diff(offsets)).astype(np.int64)] = True
    human = _has_person(attributes[:, 0])[owner] & ~whole & (rng.random(len(owner)) < 0.4)
    return Products(
        ids=first_id + rng.permutation(count),
        attributes=attributes.astype(np.int8),
        image_sizes=image_sizes,
        offsets=offsets,
        boxes=_boxes(image_sizes[owner], whole, rng),
        labels=_labels(attributes[owner, 0], human, rng),
        strengths=_strengths(whole, human, rng),
        noise_starts=rng.integers(0, _BANK // 2, len(owner)),
    )


class Features:
    """Mapping from attributes to region features.

    Every value has a random sparse non-negative direction; a region's feature is the rectified
    sum of its values' directions and Gaussian noise of standard deviation ``noise``. The dimension
    ``width`` (F) is at most 2,097,152.
    """

    def __init__(self, width: int, noise: float, rng: np.random.Generator) -> None:
        self.width = width
        self._first = np.cumsum([0, *(len(values) for values in VALUES)])
        rows = int(self._first[-1]) + len(HUMAN_LABELS)
        shown = rng.random((rows, width)) < 0.15
        self._directions = (shown * rng.gamma(2.0, 0.5, (rows, width))).astype(np.float32)
        bank = rng.standard_normal(_BANK // 2 + width, np.float32) * np.float32(noise)
        self._windows = sliding_window_view(bank, width)

    def of(self, products: Products, regions: IntArray, owner: IntArray) -> NDArray[np.float32]:
        """(n, F) features of ``regions`` (n,) of the products ``owner`` (n,)."""
        # Sums of rows instead of a matrix product: the rounding of a matrix product depends on its
        # shape, and a product's features must not depend on the block they are generated in.
        features = self._windows[products.noise_starts[regions]]
        for kind in range(len(KINDS)):
            rows = self._directions[self._first[kind] + products.attributes[owner, kind]]
            rows *= products.strengths[regions, kind, None]
            features += rows
        labels = products.labels[regions]
        human = np.flatnonzero(labels >= HUMAN_LABELS[0])
        features[human] += self._directions[self._first[-1] + labels[human] - HUMAN_LABELS[0]]
        np.maximum(features, 0, out=features)
        return features


def _long_tail(count: int) -> NDArray[np.float64]:
    """A mild long tail: the first value is about three times as common as the last."""
    weight: NDArray[np.float64] = 1 / (np.arange(count) + count / 2)
    weight /= weight.sum()
    return weight


def _has_person(types: IntArray) -> NDArray[np.bool_]:
    return np.array([value.worn for value in VALUES[0]])[types]


def _labels(types: IntArray, human: NDArray[np.bool_], rng: np.random.Generator) -> IntArray:
    own = np.array([value.label for value in VALUES[0]])[types]
    own = np.where(rng.random(len(own)) < 0.25, OTHERS_LABEL, own)
    return np.where(human, rng.choice(HUMAN_LABELS, len(own)), own).astype(np.int64)


def _strengths(
    whole: NDArray[np.bool_], human: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Whole objects show every attribute, parts about half of them, people none."""
    shape = (len(whole), len(KINDS))
    strengths = rng.uniform(0.6, 1.4, shape).astype(np.float32)
    strengths[~whole[:, None] & (rng.random(shape) < 0.5)] = 0
    strengths[human] = 0
    return strengths


def _boxes(
    image_sizes: IntArray, whole: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Boxes of at least one pixel inside the image; whole objects fill most of it."""
    fraction = np.where(whole[:, None], rng.uniform(0.7, 1, image_sizes.shape), 0)
    fraction = np.where(fraction, fraction, rng.uniform(0.1, 0.6, image_sizes.shape))
    extent = np.maximum(1, np.floor(fraction * image_sizes))
    start = np.floor(rng.random(image_sizes.shape) * (image_sizes - extent + 1))
    return np.concatenate([start, start + extent], 1).astype(np.float32)
