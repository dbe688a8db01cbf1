"""Settings of an index, of searching it, and of reading a query log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import PROBABILITY, check_ranges
from shopsight.errors import UsageError


@dataclass(frozen=True)
class IndexConfig:
    """Settings of an index.

    Args:
        precision: number format of stored encodings; int8 has one scale per vector.
        regions: store region features, which explanations use (most of an index's bytes).
        index_type: flat compares with every product, ivf with the nearest lists only; auto is flat
            for segments of up to ``flat_below`` products.
        flat_below: largest segment that auto searches exhaustively.
        nlist: number of IVF lists; 0 uses about 4 * sqrt(products).
        target_recall: recall@``candidates`` that nprobe is tuned for at build time, on training
            queries.
        candidates: products retrieved for re-ranking by default.
        compact_above: number of segments above which a change compacts the index.
        compact_fraction: fraction of removed products above which a change compacts the index.
    """

    precision: Literal["float16", "float32", "int8"] = "float16"
    regions: bool = True
    index_type: Literal["auto", "flat", "ivf"] = "auto"
    flat_below: int = 50_000
    nlist: int = 0
    target_recall: float = 0.98
    candidates: int = 200
    compact_above: int = 16
    compact_fraction: float = 0.3

    def __post_init__(self) -> None:
        """Validate the numbers."""
        check_ranges(
            self,
            flat_below=0,
            nlist=0,
            candidates=1,
            compact_above=1,
            target_recall=PROBABILITY,
            compact_fraction=PROBABILITY,
        )


@dataclass(frozen=True)
class SearchConfig:
    """Limits of a search.

    Args:
        max_tokens: tokens of a query that are read; the rest is ignored.
        oversample: products requested from the vector index, as a multiple of the candidates;
            rescoring with the stored vectors keeps the best.
        exact_below: filters that allow at most this many products are searched exhaustively.
        photo_megapixels: size limit of a query photo.
    """

    max_tokens: int = 64
    oversample: float = 1.25
    exact_below: int = 20_000
    photo_megapixels: int = 50

    def __post_init__(self) -> None:
        """Validate the numbers."""
        check_ranges(self, max_tokens=1, oversample=1, exact_below=0, photo_megapixels=1)


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
        check_ranges(self, bits=0, neighbours=1)
        if not -1 <= self.cosine <= 1:
            raise UsageError(f"cosine must be from -1 to 1, not {self.cosine}")


@dataclass(frozen=True)
class ClickLabelConfig:
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
        check_ranges(self, weight=0, clicks=1, grades=1, prior=PROBABILITY, share=PROBABILITY)
