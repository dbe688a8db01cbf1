"""Settings of an index, of searching it, and of reading a query log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import at_least, shares
from shopsight.errors import UsageError


@dataclass(frozen=True)
class IndexConfig:
    """How an index is made.

    Args:
        precision: number format of what ranks again; int8 has one factor for each vector.
        regions: keep every product's region features, which say what region answers a word;
            most of an index's bytes are theirs.
        recall: kind of the recall index: flat compares with every product, ivf with those of the
            nearest lists only; auto takes flat up to ``flat_below`` products.
        flat_below: most products of a part of the index that auto compares with one and all.
        lists: lists of an ivf index; 0 takes about four times the root of the products.
        target: share of the ``depth`` truly nearest products that an ivf index shall find; the
            lists it looks into are chosen for it, on queries of the training split.
        depth: candidates that are recalled and ranked again where a search does not say.
        compact_above: parts, or share of removed products, beyond which a change rewrites the index
            into one part; see ``compact_fraction``.
        compact_fraction: share of removed products beyond which a change rewrites it.
    """

    precision: Literal["float16", "float32", "int8"] = "float16"
    regions: bool = True
    recall: Literal["auto", "flat", "ivf"] = "auto"
    flat_below: int = 50_000
    lists: int = 0
    target: float = 0.98
    depth: int = 200
    compact_above: int = 16
    compact_fraction: float = 0.3

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        at_least(self, flat_below=0, lists=0, depth=1, compact_above=1)
        shares(self, "target", "compact_fraction")


@dataclass(frozen=True)
class SearchConfig:
    """How an index is searched.

    Args:
        most_tokens: tokens of a query that are read; the rest is left out.
        spare: candidates that the recall index gives, as a multiple of the depth; the best of
            them by their stored vectors stay.
        few: a filter that allows so many products or fewer compares with every one of them.
        photo_megapixels: most million pixels of a photo that is searched with.
    """

    most_tokens: int = 64
    spare: float = 1.25
    few: int = 20_000
    photo_megapixels: int = 50

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        at_least(self, most_tokens=1, spare=1, few=0, photo_megapixels=1)


@dataclass(frozen=True)
class DedupeConfig:
    """When two products' photos are near-identical.

    Args:
        cosine: least cosine of their dual vectors.
        bits: most of the 64 bits of their difference hashes that may differ, where both have a
            photo.
        neighbours: nearest products that each one is compared with.
    """

    cosine: float = 0.98
    bits: int = 6
    neighbours: int = 10

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        at_least(self, bits=0, neighbours=1)
        if not -1 <= self.cosine <= 1:
            raise UsageError(f"cosine must be from -1 to 1, not {self.cosine}")


@dataclass(frozen=True)
class JudgeConfig:
    """How clicks become answers.

    Args:
        prior: the share of impressions that is clicked, before anything is known; 0 takes that of
            the whole log.
        weight: impressions that the prior counts for.
        clicks: least clicks of a relevant product.
        share: least smoothed click rate of a relevant product, as a share of that of the query's
            best product.
        grades: grades above 0; the best product of a query has the highest.
    """

    prior: float = 0.0
    weight: float = 10.0
    clicks: int = 1
    share: float = 0.3
    grades: int = 1

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        at_least(self, weight=0, clicks=1, grades=1)
        shares(self, "prior", "share")
