"""One photo, whatever it is, as a small JPEG: what a prepared folder keeps and models see.

Nothing of a photo is believed before it is decoded: its size is read from the header and checked
first, only formats that are decoded without another program are opened, and whatever a decoder
raises becomes one sentence.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shopsight.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "MPO")
KINDS = {
    "no-photo": "no photo: nothing named, or no such file",
    "not-a-photo": "not a photo, or of a format that is not read",
    "broken": "a photo that is cut off or broken",
    "too-large": "a photo of more bytes or pixels than allowed",
}
_ORIENTATION = 0x0112  # of EXIF
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # what it says to Pillow's transpositions
_SIDEWAYS = (2, 4, 5, 6)  # the transpositions that swap height and width
_MOST_KEPT_BYTES = 1 << 16  # of a small JPEG that is kept as it is; more is not its pixels


class PhotoLimits(Protocol):
    """How large photos may come, and how small they are stored; see `SmallPhotoConfig`."""

    @property
    def photo_side(self) -> int:
        """Longer side of a stored photo, in pixels."""

    @property
    def photo_quality(self) -> int:
        """JPEG quality of stored photos."""

    @property
    def max_megapixels(self) -> int:
        """Most million pixels of a photo."""

    @property
    def max_mb(self) -> int:
        """Most MiB of a photo."""


class PhotoError(Exception):
    """A photo that is refused.

    Attributes:
        kind: one of `KINDS`.
        reason: what is wrong, in words.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind, reason)  # both, so that it crosses from one process to another
        self.kind, self.reason = kind, reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class SmallPhoto:
    """A photo as it is stored.

    Attributes:
        jpeg: the file.
        height: its height in pixels.
        width: its width in pixels.
        original_height: height of the photo it was made from, upright.
        original_width: width of the same.
    """

    jpeg: bytes
    height: int
    width: int
    original_height: int
    original_width: int


def small_photo(source: bytes | Path, config: PhotoLimits) -> SmallPhoto:
    """A photo as a small JPEG.

    Transparent pixels are laid over white, of an animation the first frame is taken, a camera's
    note on how it was held is followed, and every colour model becomes red, green and blue. A
    JPEG that is small, upright and no CMYK is kept byte by byte.

    Args:
        source: the file's bytes, or where it is.
        config: how large photos may come, and how small they are stored.

    Raises:
        PhotoError: no such file, not a photo, broken, or too large.
        UsageError: Pillow is not installed.
    """
    data = source if isinstance(source, bytes) else _read(source, config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of decoders, about what they could mend
        image = _opened(data, config)
        try:
            return _small(image, data, config)
        except PhotoError:
            raise
        except MemoryError as error:
            raise PhotoError("too-large", "the photo does not fit in memory") from error
        except Exception as error:  # decoders raise anything at broken files
            raise PhotoError("broken", f"the photo is broken ({_value(error)})") from error


def decode_photo(jpeg: bytes) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a stored photo."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _pillow().open(BytesIO(jpeg), formats=("JPEG",))
        return np.asarray(image.convert("RGB"))


def read_photo(source: bytes | Path, config: PhotoLimits) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a new photo, exactly as a prepared folder would have them.

    Raises:
        PhotoError: see `small_photo`.
    """
    return decode_photo(small_photo(source, config).jpeg)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError("photos need Pillow: pip install 'shopsight[photos]'") from error
    return Image


def _read(path: Path, config: PhotoLimits) -> bytes:
    limit = config.max_mb << 20
    try:
        if not path.is_file():  # a folder, a pipe, a device: reading could last for ever
            what = "is not a file" if path.exists() else "does not exist"
            raise PhotoError("no-photo", f"{path} {what}")
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        reason = getattr(error, "strerror", None) or str(error)
        raise PhotoError("no-photo", f"{path} cannot be read, {reason.lower()}") from error
    return data


def _opened(data: bytes, config: PhotoLimits) -> Image:
    """The photo with only its header read, if it is none of those that are refused."""
    if not data:
        raise PhotoError("no-photo", "the photo is empty, 0 bytes")
    if len(data) > config.max_mb << 20:
        reason = f"the photo has more than {config.max_mb} MiB"
        raise PhotoError("too-large", f"{reason} (--max-mb)")
    pillow = _pillow()
    pillow.init()
    known = [name for name in FORMATS if name in pillow.OPEN]
    try:
        image: Image = pillow.open(BytesIO(data), formats=known)
    except pillow.UnidentifiedImageError as error:
        raise PhotoError("not-a-photo", f"not a photo (it begins with {data[:12]!r})") from error
    except pillow.DecompressionBombError as error:
        raise PhotoError("too-large", f"the photo is too large ({_value(error)})") from error
    except Exception as error:  # decoders raise anything at broken files
        raise PhotoError("broken", f"the photo is broken ({_value(error)})") from error
    if image.width * image.height > config.max_megapixels * 1_000_000:
        size = f"{image.width:,} x {image.height:,} pixels"
        most = f"more than {config.max_megapixels} million (--max-megapixels)"
        raise PhotoError("too-large", f"the photo has {size}, {most}")
    return image


def _small(image: Image, data: bytes, config: PhotoLimits) -> SmallPhoto:
    pillow = _pillow()
    width, height = image.size
    side = config.photo_side
    if image.format == "JPEG":
        image.draft("RGB", (2 * side, 2 * side))  # decoded at a fraction where that is enough
    image.load()
    turn = _turn(image)
    original = (width, height) if turn in _SIDEWAYS else (height, width)
    is_kept = image.format == "JPEG" and image.mode in ("RGB", "L") and turn is None
    if is_kept and max(width, height) <= side and len(data) <= _MOST_KEPT_BYTES:
        return SmallPhoto(data, height, width, *original)
    image = _coloured(image)
    image = image if turn is None else image.transpose(pillow.Transpose(turn))
    image.info = {}  # comments and profiles, which would be written along
    image.thumbnail((side, side), resample=pillow.Resampling.LANCZOS, reducing_gap=3.0)
    file = BytesIO()
    image.save(file, "JPEG", quality=config.photo_quality)
    return SmallPhoto(file.getvalue(), image.height, image.width, *original)


def _turn(image: Image) -> int | None:
    """How the photo has to be turned to stand upright; None if unknown or upright."""
    try:
        noted = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a note that cannot be read is no reason to refuse the photo
        return None
    return _TURNS.get(noted) if isinstance(noted, int) else None


def _coloured(image: Image) -> Image:
    """Red, green and blue, transparent pixels over white."""
    pillow = _pillow()
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more a pixel
        levels = np.asarray(image, np.float64)
        levels = levels / 256 if levels.max(initial=0) > 255 else levels
        return pillow.fromarray(levels.clip(0, 255).astype(np.uint8)).convert("RGB")  # type: ignore[no-any-return]
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        above = image.convert("RGBA")
        below = pillow.new("RGBA", above.size, "white")
        return pillow.alpha_composite(below, above).convert("RGB")  # type: ignore[no-any-return]
    return image.convert("RGB")


def _value(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
