"""All settings of a preparation of photos."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from shopsight.config import (
    PhotoColumnsConfig,
    PhotosConfig,
    QueryGenerationConfig,
    SmallPhotoConfig,
)


@dataclass(frozen=True)
class PhotosSettings:
    """All settings of a preparation of photos."""

    photos: PhotosConfig = field(default_factory=PhotosConfig)
    columns: PhotoColumnsConfig = field(default_factory=PhotoColumnsConfig)
    small: SmallPhotoConfig = field(default_factory=SmallPhotoConfig)
    queries: QueryGenerationConfig = field(default_factory=QueryGenerationConfig)
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The settings that change the result, for ``data.json``."""
        return asdict(replace(self, photos=replace(self.photos, workers=0, on_error="stop")))

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Settings restored from `as_dict`, before or after a round trip through JSON."""
        return cls(
            PhotosConfig(**saved["photos"]),
            PhotoColumnsConfig(**saved["columns"] | {"text": tuple(saved["columns"]["text"])}),
            SmallPhotoConfig(**saved["small"]),
            QueryGenerationConfig(**saved["queries"]),
            saved["seed"],
        )
