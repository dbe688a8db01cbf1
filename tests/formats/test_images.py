"""Any photo as a small JPEG: every supported and every rejected kind."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photoshop import saved
from shopsight.config import SmallPhotoConfig
from shopsight.errors import UsageError
from shopsight.formats import images as photos
from shopsight.formats.images import KINDS, PhotoError, SmallPhoto, decode_photo


def small_photo(source: bytes | Path, config: SmallPhotoConfig | None = None) -> SmallPhoto:
    return photos.small_photo(source, config or SmallPhotoConfig())


def read_photo(source: bytes | Path) -> np.ndarray:
    return photos.read_photo(source, SmallPhotoConfig())


RED, BLUE = (220, 20, 30), (20, 30, 220)


def two_tone(height: int = 40, width: int = 60) -> Image.Image:
    """The left half red, the right half blue: a rotation shows."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


def colour(pixels: np.ndarray, top: float, left: float) -> tuple[int, ...]:
    """The mean colour around a point given as fractions of the sides."""
    y, x = int(top * pixels.shape[0]), int(left * pixels.shape[1])
    return tuple(
        int(level) for level in pixels[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].mean((0, 1))
    )


def near(colour: tuple[int, ...], expected: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(colour, expected, strict=True))


def assert_two_tone(data: bytes) -> None:
    pixels = read_photo(data)
    assert pixels.shape == (40, 60, 3)
    assert near(colour(pixels, 0.5, 0.2), RED)
    assert near(colour(pixels, 0.5, 0.8), BLUE)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "JPEG", "PPM"])
def test_formats_that_are_read(kind):
    assert_two_tone(saved(two_tone(), kind))


def test_a_small_jpeg_is_kept_byte_by_byte():
    data = saved(two_tone(), "JPEG", quality=60)
    assert small_photo(data).jpeg == data
    grey = saved(two_tone().convert("L"), "JPEG")
    assert small_photo(grey).jpeg == grey


def test_a_small_jpeg_with_much_beside_its_pixels_is_not_kept():
    data = saved(two_tone(), "JPEG", comment=b"x" * 60_000) + b"y" * 10_000
    assert len(small_photo(data).jpeg) < 5_000


def test_a_large_photo_becomes_small_and_keeps_its_shape():
    photo = small_photo(saved(two_tone(800, 1200), "JPEG"))
    assert (photo.height, photo.width) == (213, 320)
    assert (photo.original_height, photo.original_width) == (800, 1200)
    pixels = decode_photo(photo.jpeg)
    assert near(colour(pixels, 0.5, 0.2), RED)
    assert near(colour(pixels, 0.5, 0.8), BLUE)
    assert len(small_photo(saved(two_tone(800, 1200), "JPEG"), SmallPhotoConfig(64)).jpeg) < 2_000


def test_a_thread_of_a_photo_keeps_a_pixel():
    photo = small_photo(saved(Image.new("RGB", (5000, 1)), "PNG"))
    assert (photo.height, photo.width) == (1, 320)


def test_cmyk_becomes_rgb():
    data = saved(two_tone().convert("CMYK"), "JPEG", quality=95)
    assert small_photo(data).jpeg != data
    assert_two_tone(data)


def test_grey_becomes_rgb():
    pixels = read_photo(saved(Image.new("L", (20, 30), 90), "PNG"))
    assert pixels.shape == (30, 20, 3)
    assert near(colour(pixels, 0.5, 0.5), (90, 90, 90), 2)


def test_sixteen_bits_of_grey_keep_their_levels():
    levels = np.full((30, 20), 30_000, np.uint16)
    pixels = read_photo(saved(Image.fromarray(levels), "PNG"))
    assert near(colour(pixels, 0.5, 0.5), (117, 117, 117), 2)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_white(mode):
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 20, 40))
    if mode == "P":
        data = saved(image.convert("P"), "GIF", transparency=image.convert("P").getpixel((30, 5)))
        data = saved(image, "PNG") if b"GIF" not in data else data
    else:
        data = saved(image.convert(mode), "PNG")
    pixels = read_photo(data)
    if mode != "P":
        assert near(colour(pixels, 0.5, 0.2), (0, 0, 0))
    assert near(colour(pixels, 0.5, 0.8), (255, 255, 255))


def test_half_transparent_pixels_let_white_through():
    pixels = read_photo(saved(Image.new("RGBA", (20, 20), (0, 0, 0, 128)), "PNG"))
    assert near(colour(pixels, 0.5, 0.5), (127, 127, 127), 3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind):
    later = Image.new("RGB", (60, 40), (0, 200, 0))
    assert_two_tone(saved(two_tone(), kind, save_all=True, append_images=[later, later]))


@pytest.mark.parametrize("turn", range(1, 9))
def test_the_exif_orientation_is_applied(turn):
    # What the sensor saw of an upright two-tone photo, for each of EXIF's eight orientations.
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[turn]
    image = two_tone() if stored is None else two_tone().transpose(stored)
    exif = Image.Exif()
    exif[0x0112] = turn
    for kind in ("JPEG", "PNG", "TIFF"):
        data = saved(image, kind, exif=exif)
        assert_two_tone(data)
        photo = small_photo(data)
        assert (photo.original_height, photo.original_width) == (40, 60)


def test_broken_exif_data_are_ignored():
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40
    assert_two_tone(saved(two_tone(), "JPEG", exif=exif))


def rejection(source: bytes | Path, config: SmallPhotoConfig | None = None) -> PhotoError:
    with pytest.raises(PhotoError) as caught:
        small_photo(source, config)
    assert caught.value.kind in KINDS
    return caught.value


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("fraction", [0.3, 0.6, 0.9])
def test_truncated_photos_are_rejected(kind, fraction):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    data = saved(noise, kind)
    error = rejection(data[: int(len(data) * fraction)])
    assert error.kind in ("broken", "not-a-photo")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_damaged_bytes_raise_nothing_but_a_rejection(kind):
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8))
    data = saved(noise, kind)
    for _ in range(150):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            damaged[place] = int(rng.integers(0, 256))
        with suppress(PhotoError):
            assert max(read_photo(bytes(damaged)).shape) <= 320


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"", "no-photo", "empty"),
        (b"<html>not found</html>", "not-a-photo", "it begins with b'<html>not fo'"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not-a-photo", "not a photo"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 30, "not-a-photo", "not a photo"),
    ],
)
def test_other_files_are_rejected(data, kind, reason):
    error = rejection(data)
    assert error.kind == kind
    assert reason in str(error)


def bomb(side: int) -> bytes:
    """A PNG of a few hundred bytes that says it has ``side`` x ``side`` pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checked = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checked)

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [11_000, 60_000])
def test_decompression_bombs_are_rejected_before_they_are_decoded(side):
    error = rejection(bomb(side))
    assert error.kind == "too-large"
    assert len(bomb(side)) < 1000


def test_the_limit_of_pixels_is_a_setting():
    data = saved(Image.new("RGB", (2000, 1000)), "PNG")
    error = rejection(data, SmallPhotoConfig(max_megapixels=1))
    assert str(error) == (
        "the photo has 2,000 x 1,000 pixels, more than 1 million (--max-megapixels)"
    )
    assert small_photo(data, SmallPhotoConfig(max_megapixels=2)).width == 320


def test_too_many_bytes_are_rejected(tmp_path):
    path = tmp_path / "large.jpg"
    path.write_bytes(saved(two_tone(), "JPEG") + b"x" * (1 << 20))
    for source in (path, path.read_bytes()):
        error = rejection(source, SmallPhotoConfig(max_mb=1))
        assert str(error) == "the photo has more than 1 MiB (--max-mb)"


def test_text_that_unpacks_to_very_much_is_rejected():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("comment", "x" * (80 << 20), zip=True)
    data = saved(two_tone(), "PNG", pnginfo=info)
    assert len(data) < 1 << 20
    assert rejection(data).kind in ("broken", "too-large")


def test_paths_that_lead_to_no_file(tmp_path):
    assert rejection(tmp_path / "missing.jpg").kind == "no-photo"
    assert "does not exist" in str(rejection(tmp_path / "missing.jpg"))
    assert "is not a file" in str(rejection(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    assert "is not a file" in str(rejection(tmp_path / "pipe"))
    assert rejection(Path("with\0null")).kind == "no-photo"
    assert rejection(tmp_path / ("x" * 5000)).kind == "no-photo"


def test_errors_cross_from_one_process_to_another():
    import pickle

    error = pickle.loads(pickle.dumps(PhotoError("broken", "the photo is broken")))  # noqa: S301
    assert (error.kind, str(error)) == ("broken", "the photo is broken")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"photo_side": 4}, "photo_side must be from 16 to 65000, not 4"),
        ({"photo_quality": 0}, "photo_quality must be from 1 to 100, not 0"),
        ({"max_megapixels": 1000}, "max_megapixels must be from 1 to 170, not 1000"),
    ],
)
def test_settings_that_make_no_sense(values, sentence):
    with pytest.raises(UsageError, match=sentence):
        SmallPhotoConfig(**values)


def test_a_photo_is_read_as_it_would_be_stored():
    data = saved(two_tone(800, 1200), "PNG")
    np.testing.assert_array_equal(read_photo(data), decode_photo(small_photo(data).jpeg))
    assert Image.open(io.BytesIO(small_photo(data).jpeg)).format == "JPEG"


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1"])
def test_heic_is_named_without_a_reader_of_it(monkeypatch, brand):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError) as raised:
        small_photo(HEIC.replace(b"heic", brand, 1))
    assert raised.value.kind == "not-a-photo"
    assert str(raised.value) == (
        "a HEIC photo, as iPhones take them; export it as JPEG (or pip install pillow-heif)"
    )


def test_heic_is_read_with_a_reader_of_it():
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(two_tone()).save(file, quality=95)
    assert_two_tone(file.getvalue())
    with pytest.raises(PhotoError, match="the HEIC photo is broken"):
        small_photo(file.getvalue()[:300])
