"""Settings of a catalogue that is prepared from a table of photos."""

from __future__ import annotations

from dataclasses import dataclass

from shopsight.config.checks import check_ranges
from shopsight.config.data import ImportConfig
from shopsight.errors import UsageError


@dataclass(frozen=True)
class SmallPhotoConfig:
    """Size limits of photos, and how they are stored.

    Args:
        photo_side: maximum length of the longer side of a stored photo, in pixels.
        photo_quality: JPEG quality of stored photos.
        max_megapixels: photos of more million pixels are rejected before decoding.
        max_mb: photos of more MiB are rejected.
    """

    photo_side: int = 320
    photo_quality: int = 85
    max_megapixels: int = 100
    max_mb: int = 64

    def __post_init__(self) -> None:
        check_ranges(self, photo_side=(16, 65_000), photo_quality=(1, 100), max_mb=1)
        # Pillow raises DecompressionBombError beyond 178 megapixels.
        check_ranges(self, max_megapixels=(1, 170))


@dataclass(frozen=True)
class PhotoColumnsConfig:
    """Columns of a product table; an empty name selects a column with a common name.

    Args:
        id: column of product ids.
        image: column of photos: a path, bytes, or both as in Hugging Face's image columns.
        text: columns whose words describe the product.
        split_column: column with each product's split (train, valid, testA...); without it,
            products are assigned at random.
        queries: column of queries that lead to the product, as a list or separated by "|".
        features: column of precomputed region features, with ``--extractor features``.
        boxes: column of their boxes.
        labels: column of their labels, numbers or names; optional.
    """

    id: str = ""
    image: str = ""
    text: tuple[str, ...] = ()
    split_column: str = ""
    queries: str = ""
    features: str = "features"
    boxes: str = "boxes"
    labels: str = "labels"


@dataclass(frozen=True)
class QueryGenerationConfig:
    """Query, split and pool generation.

    Args:
        queries_per_product: queries generated from the text of each product.
        min_words: minimum number of words of a generated query.
        max_words: maximum number of words of a generated query.
        word_fraction: minimum fraction of products that share a word used in queries; rarer words
            are taken for brands and model numbers.
        word_products: minimum number of products that share such a word, whatever the fraction.
        shuffle: probability that the words of a generated query are reordered.
        valid_fraction: fraction of products in the valid split.
        test_fraction: fraction of products in the testA split.
        eval_queries: maximum number of queries of an evaluation split.
        pool_size: approximate number of candidates per evaluation query.
        relevant: maximum number of relevant products in a pool.
    """

    queries_per_product: int = 3
    min_words: int = 2
    max_words: int = 4
    word_fraction: float = 0.002
    word_products: int = 4
    shuffle: float = 0.25
    valid_fraction: float = 0.1
    test_fraction: float = 0.1
    eval_queries: int = 500
    pool_size: int = 30
    relevant: int = 6

    def __post_init__(self) -> None:
        check_ranges(self, queries_per_product=1, min_words=1, max_words=self.min_words)
        check_ranges(self, word_products=1, eval_queries=1, pool_size=2)
        check_ranges(self, **dict.fromkeys(("word_fraction", "shuffle"), (0, 1)))
        check_ranges(self, valid_fraction=(0, 1), test_fraction=(0, 1))
        check_ranges(self, relevant=(1, self.pool_size - 1))
        if self.valid_fraction + self.test_fraction >= 1:
            raise UsageError("valid_fraction and test_fraction leave no product to train on")


@dataclass(frozen=True)
class PhotosConfig(ImportConfig):
    """Import of a table of photos."""
