"""Uploaded pictures, made anew: nothing of the file that was sent is kept but what can be seen.

Pillow alone says what a file is: only the decoders of JPEG, PNG and WebP are tried. The size is
read from the header and refused before anything is decoded. What is kept is a JPEG encoded here:
turned upright, without EXIF, colour profile, comments or whatever followed the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Final

from PIL import Image, ImageOps

from data.enums import FileKind
from dispatch.rules.trust.files import CONTENT_MAX, in_mb

FORMATS: Final = ("JPEG", "PNG", "WEBP")
ACCEPTED: Final = "a JPEG, PNG or WebP"
PIXELS_MAX: Final = 40_000_000
SIDE_MAX: Final = 16_000
SIDE_MIN: Final = 64
QUALITY: Final = 85
DECODED: Final = 2400
LONGEST: Final = {FileKind.PHOTO: 512, FileKind.EVIDENCE: DECODED, FileKind.RESULT: 1600}
"""The longest side of what is kept, in pixels."""


@dataclass
class PictureRefused(Exception):
    """A file is not a picture that can be kept; it says what is wrong, and what to send."""

    problem: str
    cure: str


def make_anew(content: bytes, kind: FileKind) -> bytes:
    """The picture as a new JPEG; a photo is cut to its central square. Raises PictureRefused."""
    if not content:
        raise PictureRefused("is empty", f"choose {ACCEPTED} file")
    if len(content) > CONTENT_MAX:
        raise PictureRefused(f"is larger than {in_mb(CONTENT_MAX)}", "send a smaller picture")
    with _open(content) as image:
        _check_size(*image.size)
        # A camera's JPEG may hold a second picture for screens with more contrast.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            raise PictureRefused("is animated", "send a still picture")
        picture = _decode(image)
    if kind is FileKind.PHOTO:
        side = min(LONGEST[kind], *picture.size)
        picture = ImageOps.fit(picture, (side, side))
    picture.thumbnail((LONGEST[kind], LONGEST[kind]))
    made = BytesIO()
    picture.save(made, "JPEG", quality=QUALITY, optimize=True)
    return made.getvalue()


def _open(content: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels() from None
    except Exception:
        raise PictureRefused(f"is not {ACCEPTED} picture", f"send {ACCEPTED} picture") from None


def _check_size(width: int, height: int) -> None:
    if width * height > PIXELS_MAX or max(width, height) > SIDE_MAX:
        raise _too_many_pixels()
    if min(width, height) < SIDE_MIN:
        raise PictureRefused(
            f"is {width} x {height} pixels", f"send a picture of at least {SIDE_MIN} on each side"
        )


def _too_many_pixels() -> PictureRefused:
    most = f"{PIXELS_MAX // 1_000_000} megapixels or {SIDE_MAX:,} pixels on a side"
    return PictureRefused(f"has more than {most}", "send a smaller picture")


def _decode(image: Image.Image) -> Image.Image:
    """The picture upright and in plain colours; what is large is reduced while it is decoded."""
    try:
        picture = _in_plain_mode(image)
        picture.thumbnail((DECODED, DECODED), reducing_gap=2)
        picture = ImageOps.exif_transpose(picture)
        if picture.mode == "RGBA":
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        plain = picture.convert("RGB")
    except Exception:
        # Decoders fail in many ways over what is cut off or made to harm.
        raise PictureRefused("is damaged or cut off", "save it again, or take a new one") from None
    plain.info.clear()
    return plain


def _in_plain_mode(image: Image.Image) -> Image.Image:
    """The picture in a mode that can be reduced without harm to its colours."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in {"RGB", "L", "CMYK"} else image.convert("RGB")
