"""Pictures for tests, good and bad, as bytes."""

import struct
import zlib
from io import BytesIO

from PIL import Image

SECRET = b"taken at 47.3667 8.541"
SCRIPT = b"PK\x03\x04<script>alert(1)</script>"
COLOUR = (200, 100, 50)


def picture(kind="JPEG", size=(400, 200), mode="RGB", colour=COLOUR, **options):
    """A picture of one colour."""
    return encode(Image.new("RGB", size, colour).convert(mode), kind, **options)


def encode(image, kind="JPEG", **options):
    made = BytesIO()
    image.save(made, kind, **options)
    return made.getvalue()


def noise(kind="JPEG"):
    """A picture that takes many bytes."""
    return encode(Image.effect_noise((600, 300), 60), kind)


def png_header(width, height, data=b""):
    """A PNG that claims a size, whatever its data say."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


def with_text_bomb():
    """A PNG whose comment is a megabyte of nothing for each kilobyte, many times."""
    header, end = png_header(100, 100)[:33], png_header(100, 100)[33:]
    bomb = b"zTXt" + b"Comment\x00\x00" + zlib.compress(b"0" * 80_000_000)
    return (
        header + struct.pack(">I", len(bomb) - 4) + bomb + struct.pack(">I", zlib.crc32(bomb)) + end
    )


def animated(kind):
    second = Image.new("RGB", (100, 100), "red")
    return picture(kind, (100, 100), save_all=True, append_images=[second])


def sixteen_bit(value=40_000):
    return encode(Image.new("I;16", (200, 100), value), "PNG")


def from_a_phone():
    """Taken with the phone turned: 200 wide and 400 high once it is upright."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, SECRET.decode()
    return picture(exif=exif, comment=SECRET, xmp=SECRET, icc_profile=SECRET)
