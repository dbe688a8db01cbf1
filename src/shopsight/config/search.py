"""Settings of an index, of a search, of near-duplicates and of click labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import PROBABILITY, check_ranges


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
        match_recall: fraction of the relevant validation products that the cut-off keeps; a search
            finds no product below it. 0: without a cut-off.
        text_fields: fields (in any case) whose words are searched as well; those that exist.
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
    match_recall: float = 0.95
    text_fields: tuple[str, ...] = (
        "title", "name", "product_name", "brand", "sku", "model", "ean", "gtin", "mpn",
    )  # fmt: skip
    compact_above: int = 16
    compact_fraction: float = 0.3

    def __post_init__(self) -> None:
        check_ranges(self, flat_below=0, nlist=0, candidates=1, compact_above=1)
        check_ranges(self, target_recall=PROBABILITY, compact_fraction=PROBABILITY)
        check_ranges(self, match_recall=PROBABILITY)


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
        check_ranges(self, max_tokens=1, oversample=1, exact_below=0, photo_megapixels=1)


@dataclass(frozen=True)
class DedupeConfig:
    """Definition of near-duplicate products.

    Args:
        cosine: minimum cosine of their dual-encoder vectors.
        bits: maximum number of the 64 bits of their difference hashes that differ, if both have a
            photo.
        neighbours: nearest products that each product is compared with.
    """

    cosine: float = 0.98
    bits: int = 6
    neighbours: int = 10

    def __post_init__(self) -> None:
        check_ranges(self, bits=0, neighbours=1, cosine=(-1, 1))


@dataclass(frozen=True)
class ClickLabelConfig:
    """Relevance labels from clicks.

    Args:
        prior: prior click-through rate; 0 uses that of the whole log.
        prior_weight: weight of the prior in impressions.
        min_clicks: minimum number of clicks of a relevant product.
        min_ratio: minimum smoothed click-through rate of a relevant product, relative to the
            query's best product.
        grades: number of grades above 0; the best product of a query has the highest.
    """

    prior: float = 0.0
    prior_weight: float = 10.0
    min_clicks: int = 1
    min_ratio: float = 0.3
    grades: int = 1

    def __post_init__(self) -> None:
        check_ranges(
            self, prior_weight=0, min_clicks=1, grades=1, prior=PROBABILITY, min_ratio=PROBABILITY
        )
