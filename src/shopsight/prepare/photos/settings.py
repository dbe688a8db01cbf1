"""All settings of a preparation of photos."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from shopsight.config import (
    PhotoColumnsConfig,
    PhotosConfig,
    QueryGenerationConfig,
    SmallPhotoConfig,
)
from shopsight.errors import unknown_name

_SECTIONS: dict[str, Any] = {
    "photos": PhotosConfig,
    "columns": PhotoColumnsConfig,
    "small": SmallPhotoConfig,
    "queries": QueryGenerationConfig,
}


@dataclass(frozen=True)
class PhotosSettings:
    """All settings of a preparation of photos.

    Attributes:
        photos: reading and storing.
        columns: names of the table's columns.
        small: size limits of photos, and how they are stored.
        queries: queries, splits and pools.
        seed: of every draw.
    """

    photos: PhotosConfig = field(default_factory=PhotosConfig)
    columns: PhotoColumnsConfig = field(default_factory=PhotoColumnsConfig)
    small: SmallPhotoConfig = field(default_factory=SmallPhotoConfig)
    queries: QueryGenerationConfig = field(default_factory=QueryGenerationConfig)
    seed: int = 0

    @classmethod
    def from_options(cls, seed: int = 0, **options: Any) -> Self:
        """Settings from flat options, named as on the command line.

        Raises:
            UsageError: an unknown option, or an invalid value.

        >>> settings = PhotosSettings.from_options(text="title", on_error="skip", pool_size=20)
        >>> settings.columns.text, settings.photos.on_error, settings.queries.pool_size
        (('title',), 'skip', 20)
        """
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        if isinstance(options.get("text"), str):
            options["text"] = (options["text"],)
        sections = {}
        for section, kind in _SECTIONS.items():
            names = [option.name for option in fields(kind) if option.name in options]
            sections[section] = kind(**{name: options.pop(name) for name in names})
        if options:
            known = [option.name for kind in _SECTIONS.values() for option in fields(kind)]
            raise unknown_name("option", next(iter(options)), known)
        return cls(**sections, seed=seed)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Settings restored from `as_dict`."""
        sections = [saved[section] for section in _SECTIONS]
        options = {name: value for section in sections for name, value in section.items()}
        return cls.from_options(saved["seed"], **options)

    def as_dict(self) -> dict[str, Any]:
        """The settings that change the result, for ``data.json``."""
        neutral = replace(self, photos=replace(self.photos, workers=0, on_error="stop"))
        return asdict(neutral)
