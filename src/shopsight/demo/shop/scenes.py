"""Product photos: the product on a background, sometimes next to another object."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw, ImageFilter

from shopsight.demo.shop.cloth import cloth
from shopsight.demo.shop.pen import FINE, Box, Colour, Pen, blend
from shopsight.demo.shop.products import Product
from shopsight.demo.shop.words import COLOURS, FIXED, KINDS, PALETTES, PATTERNS, RGB

_SIZES = {"square": (144, 144), "tall": (126, 160), "wide": (168, 126)}
_PASTELS, _WOOD, _SKIN, _HAIR = (PALETTES[name] for name in ("pastels", "wood", "skin", "hair"))


def render_photo(product: Product) -> Image.Image:
    """Render a product's photo; deterministic."""
    rng = random.Random(product.seed)
    size = _size(product.of.aspect)
    background = _background(product, size, rng)
    worn = rng.random() < product.of.worn
    frame = _frame(product, size, worn, rng)
    if rng.random() < 0.16:
        _company(product, background, rng)
    return _drawn(product, background, frame, worn, rng)


def _drawn(
    product: Product,
    background: Image.Image,
    frame: Box,
    worn: bool,
    rng: random.Random,
) -> Image.Image:
    size = background.size
    ground, figure = (_jitter(RGB[COLOURS[i].name], rng) for i in (product.colour, product.figure))
    weave = cloth(
        PATTERNS[product.pattern].name, (size[0] * FINE, size[1] * FINE), ground, figure, rng
    )
    pen = Pen(size, frame, _fills(product, ground, figure, worn, rng), weave, rng)
    product.of.draw(pen, product.of.styles[product.style].name)
    return pen.onto(background, centred=not (product.of.on_floor or "worn" in pen.fills))


def _fills(
    product: Product, ground: Colour, figure: Colour, worn: bool, rng: random.Random
) -> dict[str, Colour]:
    dark = sum(ground) < 200
    fills = {
        **FIXED,
        "main": ground,
        "deep": blend(ground, (255, 255, 255), 0.18) if dark else blend(ground, (20, 16, 28), 0.3),
        "pale": blend(ground, (255, 255, 255), 0.28),
        "trim": figure if product.pattern else blend(ground, (255, 255, 255), 0.45),
        "wood": rng.choice(_WOOD),
        "skin": rng.choice(_SKIN),
        "hair": rng.choice(_HAIR),
    }
    if worn:
        fills["worn"] = fills["skin"]
    return fills


def _size(aspect: float) -> tuple[int, int]:
    return _SIZES["tall" if aspect < 0.8 else "wide" if aspect > 1.3 else "square"]


def _frame(product: Product, size: tuple[int, int], worn: bool, rng: random.Random) -> Box:
    """Bounding box of the product: large and roughly centred; furniture is on the floor."""
    of = product.of
    fraction = rng.uniform(0.58, 0.64) if worn else rng.uniform(0.68, 0.86)
    height = min(size[1] * fraction, size[0] * fraction / of.aspect)
    width = height * of.aspect * rng.uniform(0.94, 1.06)
    left = (size[0] - width) / 2 + rng.uniform(-0.05, 0.05) * size[0]
    top = (size[1] - height) / 2 + rng.uniform(-0.03, 0.05) * size[1]
    if worn:
        top = rng.uniform(0.17, 0.2) * size[1]
    if of.on_floor:
        top = size[1] * 0.93 - height
    return left, top, left + width, top + height


def _background(product: Product, size: tuple[int, int], rng: random.Random) -> Image.Image:
    ground = RGB[COLOURS[product.colour].name]
    contrasting = [
        colour
        for colour in _PASTELS
        if sum(abs(a - b) for a, b in zip(colour, ground, strict=True)) > 60
    ]
    wall = rng.choice(contrasting)
    kind = rng.random()
    if product.of.on_floor and kind < 0.75:
        return _room(size, wall, rng)
    if product.of.category == "home" and kind < 0.35:
        return _shelf(size, wall, rng)
    if kind < 0.3:
        return Image.new("RGB", size, wall)
    shade = blend(wall, (90, 90, 104), rng.uniform(0.12, 0.3))
    ramp = Image.linear_gradient("L").resize(size)
    if rng.random() < 0.4:
        ramp = Image.radial_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, shade), Image.new("RGB", size, wall), ramp)


def _room(size: tuple[int, int], wall: Colour, rng: random.Random) -> Image.Image:
    """A wall, a floor and a skirting board, sometimes with a picture or a plant."""
    image = Image.new("RGB", size, blend(wall, rng.choice(_PASTELS), 0.5))
    draw = ImageDraw.Draw(image)
    floor = int(size[1] * rng.uniform(0.7, 0.8))
    wood = rng.choice(_WOOD)
    draw.rectangle([0, floor, *size], fill=blend(wood, (255, 255, 255), 0.25))
    for i in range(1, 4):
        y = floor + (size[1] - floor) * i // 4
        draw.line([(0, y), (size[0], y)], fill=blend(wood, (255, 255, 255), 0.12))
    draw.rectangle([0, floor - 4, size[0], floor], fill=(246, 244, 240))
    extra = rng.random()
    if extra < 0.3:
        left = rng.choice((0.05, 0.72)) * size[0]
        draw.rectangle([left, 10, left + 34, 50], fill=(70, 60, 54))
        draw.rectangle([left + 3, 13, left + 31, 47], fill=rng.choice(_PASTELS))
        draw.ellipse([left + 9, 20, left + 25, 36], fill=rng.choice(list(RGB.values())))
    elif extra < 0.55:
        _plant(draw, rng.choice((0.07, 0.86)) * size[0], floor + 8, size[1] * 0.34, rng)
    return image.filter(ImageFilter.BoxBlur(0.6))


def _plant(
    draw: ImageDraw.ImageDraw, x: float, y: float, height: float, rng: random.Random
) -> None:
    green = blend((58, 118, 70), (120, 160, 80), rng.random())
    for lean in (-0.34, -0.16, 0.0, 0.18, 0.36):
        tip = (x + lean * height, y - height * (1 - abs(lean)))
        draw.line([(x, y - height * 0.3), tip], fill=green, width=2)
        draw.ellipse([tip[0] - 5, tip[1] - 8, tip[0] + 5, tip[1] + 6], fill=green)
    draw.polygon([(x - 9, y - height * 0.32), (x + 9, y - height * 0.32), (x + 7, y), (x - 7, y)],
                 fill=rng.choice(((186, 104, 74), (230, 228, 224), (90, 94, 104))))  # fmt: skip


def _shelf(size: tuple[int, int], wall: Colour, rng: random.Random) -> Image.Image:
    """A wall and a table top."""
    image = Image.new("RGB", size, wall)
    draw = ImageDraw.Draw(image)
    edge = int(size[1] * 0.76)
    wood = rng.choice(_WOOD)
    draw.rectangle([0, edge, *size], fill=blend(wood, (255, 255, 255), 0.2))
    draw.line([(0, edge), (size[0], edge)], fill=blend(wood, (255, 255, 255), 0.4), width=3)
    return image.filter(ImageFilter.BoxBlur(1))


def _company(product: Product, background: Image.Image, rng: random.Random) -> None:
    """Draw a smaller object of another kind next to the product."""
    small = ("mug", "vase", "cushion", "hat", "handbag", "clock")
    indices = [i for i, kind in enumerate(KINDS) if kind.name in small and i != product.kind]
    kind = rng.choice(indices)
    style, colour = rng.randrange(len(KINDS[kind].styles)), rng.randrange(len(COLOURS))
    other = Product(-1, kind, style, colour, 0, 0, "", 0.0, True, 0)
    width, height = background.size
    high = height * 0.26
    wide = high * KINDS[kind].aspect
    left = 3.0 if rng.random() < 0.5 else width - wide - 3
    top = height * 0.97 - high
    _drawn(other, background, (left, top, left + wide, top + high), False, rng)


def _jitter(colour: Colour, rng: random.Random) -> Colour:
    """Jitter a colour."""
    shift = rng.uniform(-14, 14)
    a, b, c = (max(0, min(255, int(v + shift + rng.uniform(-9, 9)))) for v in colour)
    return a, b, c
