"""Settings of a catalogue that is made from a table of photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import check_ranges
from shopsight.errors import UsageError


@dataclass(frozen=True)
class SmallPhotoConfig:
    """How large a photo may be, and how it is stored.

    Args:
        photo_side: the longer side of a stored photo, at most, in pixels.
        photo_quality: JPEG quality of stored photos.
        max_megapixels: photos of more million pixels are refused before they are decoded.
        max_mb: photos of more MiB are refused.
    """

    photo_side: int = 320
    photo_quality: int = 85
    max_megapixels: int = 100
    max_mb: int = 64

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_ranges(self, photo_side=(16, 65_000), photo_quality=(1, 100), max_mb=1)
        # Pillow raises DecompressionBombError beyond 178 megapixels.
        check_ranges(self, max_megapixels=(1, 170))


@dataclass(frozen=True)
class PhotoColumnsConfig:
    """Which column of a table is what; an empty name is found by what columns are usually called.

    Args:
        id: column of product ids.
        image: column of photos: a path, bytes, or both as in Hugging Face's image columns.
        text: columns whose words describe the product.
        split_column: column that names each product's split (train, valid, testA...); without
            it, products are drawn at random.
        queries: column of queries that shoppers found the product with, as a list or with "|"
            between them.
        features: column of ready-made region features, with ``--extractor features``.
        boxes: column of their boxes.
        labels: column of their labels, numbers or names; may be missing.
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
    """Which queries, splits and candidate pools are made of a catalogue.

    Args:
        queries_per_product: queries made from the text of each product.
        least_words: fewest words of a query made from text.
        most_words: most words of one.
        word_fraction: a word is used in queries if this share of products has it; rarer ones are
            taken for brands and model numbers.
        word_products: fewest products that a used word must have, whatever their share.
        shuffle: chance of a query made from text to have its words in another order.
        valid_fraction: share of products in the valid split.
        test_fraction: share of products in the testA split.
        eval_queries: most queries of an evaluation split.
        pool_size: candidates per evaluation query, about.
        relevant: most relevant products in a pool.
    """

    queries_per_product: int = 3
    least_words: int = 2
    most_words: int = 4
    word_fraction: float = 0.002
    word_products: int = 4
    shuffle: float = 0.25
    valid_fraction: float = 0.1
    test_fraction: float = 0.1
    eval_queries: int = 500
    pool_size: int = 30
    relevant: int = 6

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_ranges(
            self,
            queries_per_product=1,
            least_words=1,
            most_words=self.least_words,
            word_fraction=(0, 1),
            word_products=1,
            shuffle=(0, 1),
            valid_fraction=(0, 1),
            test_fraction=(0, 1),
            eval_queries=1,
            pool_size=2,
            relevant=(1, self.pool_size - 1),
        )
        if self.valid_fraction + self.test_fraction >= 1:
            reason = "leave no product to train on"
            raise UsageError(f"--valid-fraction and --test-fraction {reason}")


@dataclass(frozen=True)
class PhotosConfig:
    """How a table of photos becomes a prepared folder.

    Args:
        dtype: number format of the stored region features.
        on_error: at a bad row or photo, stop the work, or skip the product and count it.
        workers: processes that read photos; 0 takes every core this process may use.
        vocabulary_size: most tokens of the WordPiece vocabulary trained on the queries.
        tokenizer: a Hugging Face tokenizer (name or local folder) instead of a trained one.
        shard_mib: size of one feature shard, in MiB.
    """

    dtype: Literal["float16", "float32"] = "float16"
    on_error: Literal["stop", "skip"] = "stop"
    workers: int = 0
    vocabulary_size: int = 16_000
    tokenizer: str | None = None
    shard_mib: int = 1024

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_ranges(self, workers=0, vocabulary_size=1, shard_mib=1)
