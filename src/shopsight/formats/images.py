"""Normalise any photo into a small JPEG, the form in which a prepared folder keeps it.

Photos are untrusted: their size is read from the header and checked before they are decoded, only
formats that need no external program are opened, and whatever a decoder raises becomes one message.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopsight.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from shopsight.config import SmallPhotoConfig

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "MPO", "HEIF")
KINDS = {
    "no-photo": "no photo named, or no such file",
    "not-a-photo": "not a photo, or an unsupported format",
    "broken": "a truncated or broken photo",
    "too-large": "a photo with more bytes or pixels than allowed",
}
_ORIENTATION = 0x0112  # EXIF tag
_TRANSPOSITIONS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # of Pillow, by EXIF orientation
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_MAX_KEPT_BYTES = 1 << 16  # of a small JPEG that is kept as it is; more is not its pixels


class PhotoError(Exception):
    """A rejected photo; ``kind`` is one of `KINDS`, ``reason`` the message."""

    def __init__(self, kind: str, reason: str) -> None:
        # Both go to the base class, so that pickling between processes keeps them.
        super().__init__(kind, reason)
        self.kind, self.reason = kind, reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class SmallPhoto:
    """A photo as it is stored; sizes in pixels, those of the source photo upright."""

    jpeg: bytes
    height: int
    width: int
    original_height: int
    original_width: int


def small_photo(source: bytes | Path, config: SmallPhotoConfig) -> SmallPhoto:
    """Convert a photo into a small, upright RGB JPEG.

    Transparent pixels become white, of an animation the first frame is taken, and the EXIF
    orientation is applied. A JPEG that is small, upright and not CMYK is kept byte by byte.

    Raises:
        PhotoError: no such file, not a photo, broken, or too large.
        UsageError: Pillow is not installed.
    """
    data = source if isinstance(source, bytes) else _read(source, config)
    with warnings.catch_warnings():
        # Decoders warn about what they repaired.
        warnings.simplefilter("ignore")
        image = _open(data, config)
        try:
            return _shrink(image, data, config)
        except MemoryError as error:
            raise PhotoError("too-large", "the photo does not fit in memory") from error
        # Decoders raise anything at broken files.
        except Exception as error:
            raise PhotoError("broken", f"the photo is broken ({_reason(error)})") from error


def decode_photo(jpeg: bytes) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a stored photo."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _pillow().open(BytesIO(jpeg), formats=("JPEG",))
        return np.asarray(image.convert("RGB"))


def read_photo(source: bytes | Path, config: SmallPhotoConfig) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a new photo, as a prepared folder stores them; see `small_photo`."""
    return decode_photo(small_photo(source, config).jpeg)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError("photos need Pillow: pip install 'shopsight[photos]'") from error
    return Image


def _read(path: Path, config: SmallPhotoConfig) -> bytes:
    try:
        # Reading a pipe or a device could last for ever.
        if not path.is_file():
            state = "is not a file" if path.exists() else "does not exist"
            raise PhotoError("no-photo", f"'{path}' {state}")
        with open(path, "rb") as file:
            return file.read((config.max_mb << 20) + 1)
    # A name with a null byte is a ValueError.
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PhotoError("no-photo", f"'{path}' cannot be read, {reason.lower()}") from error


def _open(data: bytes, config: SmallPhotoConfig) -> Image:
    """The photo with only its header read, checked against the limits."""
    if not data:
        raise PhotoError("no-photo", "the photo is empty, 0 bytes")
    if len(data) > config.max_mb << 20:
        raise PhotoError("too-large", f"the photo has more than {config.max_mb} MiB (--max-mb)")
    pillow = _pillow()
    pillow.init()
    is_heic = data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS
    if is_heic and not _opens_heic():
        advice = "export it as JPEG (or pip install pillow-heif)"
        raise PhotoError("not-a-photo", f"a HEIC photo, as iPhones take them; {advice}")
    try:
        formats = [name for name in FORMATS if name in pillow.OPEN]
        image: Image = pillow.open(BytesIO(data), formats=formats)
    except pillow.UnidentifiedImageError as error:
        if is_heic:
            raise PhotoError("broken", "the HEIC photo is broken") from error
        raise PhotoError("not-a-photo", f"not a photo (it begins with {data[:12]!r})") from error
    except pillow.DecompressionBombError as error:
        raise PhotoError("too-large", f"the photo is too large ({_reason(error)})") from error
    except Exception as error:
        raise PhotoError("broken", f"the photo is broken ({_reason(error)})") from error
    if image.width * image.height > config.max_megapixels * 1_000_000:
        size = f"{image.width:,} x {image.height:,} pixels"
        limit = f"more than {config.max_megapixels} million (--max-megapixels)"
        raise PhotoError("too-large", f"the photo has {size}, {limit}")
    return image


def _opens_heic() -> bool:
    """Whether Pillow opens HEIC photos, for which ``pillow-heif`` must be installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _shrink(image: Image, data: bytes, config: SmallPhotoConfig) -> SmallPhoto:
    pillow = _pillow()
    width, height = image.size
    side = config.photo_side
    if image.format == "JPEG":
        # Decodes at a fraction of the size where that is enough: several times faster.
        image.draft("RGB", (2 * side, 2 * side))
    image.load()
    orientation = _orientation(image)
    # Orientations from 5 on swap height and width.
    original = (width, height) if orientation >= 5 else (height, width)
    is_kept = image.format == "JPEG" and image.mode in ("RGB", "L") and orientation == 1
    if is_kept and max(width, height) <= side and len(data) <= _MAX_KEPT_BYTES:
        return SmallPhoto(data, height, width, *original)
    image = _as_rgb(image)
    if orientation > 1:
        image = image.transpose(pillow.Transpose(_TRANSPOSITIONS[orientation]))
    # Comments and colour profiles would be written into every thumbnail.
    image.info = {}
    image.thumbnail((side, side), resample=pillow.Resampling.LANCZOS, reducing_gap=3.0)
    file = BytesIO()
    image.save(file, "JPEG", quality=config.photo_quality)
    return SmallPhoto(file.getvalue(), image.height, image.width, *original)


def _orientation(image: Image) -> int:
    """EXIF orientation from 1 (upright) to 8; 1 if absent or invalid."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    # Broken EXIF data do not make a photo unusable.
    except Exception:
        return 1
    valid = isinstance(orientation, int) and orientation in _TRANSPOSITIONS
    return orientation if valid else 1


def _as_rgb(image: Image) -> Image:
    """RGB, transparent pixels over white."""
    pillow = _pillow()
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow clips 16 bits to 8 instead of scaling them.
        levels = np.asarray(image, np.float64)
        levels = levels / 256 if levels.max(initial=0) > 255 else levels
        return pillow.fromarray(levels.clip(0, 255).astype(np.uint8)).convert("RGB")  # type: ignore[no-any-return]
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        above = image.convert("RGBA")
        below = pillow.new("RGBA", above.size, "white")
        return pillow.alpha_composite(below, above).convert("RGB")  # type: ignore[no-any-return]
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
