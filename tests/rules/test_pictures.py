"""Uploaded pictures are made anew; what is no picture, too large or made to harm is refused."""

from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data.enums import FileKind
from dispatch.rules.trust.files import CONTENT_MAX
from dispatch.rules.trust.pictures import PictureRefused, make_anew
from tests import pictures
from tests.pictures import COLOUR, SCRIPT, SECRET, picture

RESULT = FileKind.RESULT


def shown(content, kind=RESULT):
    made = Image.open(BytesIO(make_anew(content, kind)))
    made.load()
    assert (made.format, made.mode) == ("JPEG", "RGB")
    return made


def near(colour, wanted):
    return all(abs(one - other) < 6 for one, other in zip(colour, wanted, strict=True))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        pytest.param(picture(), COLOUR, id="JPEG"),
        pytest.param(picture("PNG"), COLOUR, id="PNG"),
        pytest.param(picture("WEBP"), COLOUR, id="WebP"),
        pytest.param(picture(mode="CMYK"), COLOUR, id="CMYK"),
        pytest.param(picture("PNG", mode="P", colour="red"), (254, 0, 0), id="palette"),
        pytest.param(picture("PNG", mode="L"), (124, 124, 124), id="grey"),
        pytest.param(picture("PNG", mode="1", colour="white"), (255, 255, 255), id="one bit"),
        pytest.param(pictures.sixteen_bit(), (156, 156, 156), id="16 bits"),
        pytest.param(
            pictures.encode(Image.new("RGBA", (100, 100), (0, 0, 0, 0)), "PNG"),
            (255, 255, 255),
            id="transparent",
        ),
    ],
)
def test_a_picture_of_any_kind_is_kept_as_a_jpeg_in_its_colours(content, wanted):
    assert near(shown(content).getpixel((20, 20)), wanted)


def test_a_picture_is_upright_and_tells_nothing_but_what_is_seen():
    content = pictures.from_a_phone()
    assert SECRET in content
    made = make_anew(content, RESULT)
    assert shown(content).size == (200, 400)
    assert SECRET not in made
    assert Image.open(BytesIO(made)).getexif() == {}


def test_what_follows_a_picture_is_left_out():
    made = make_anew(pictures.noise() + SCRIPT, RESULT)
    assert SCRIPT not in made
    assert made.endswith(b"\xff\xd9")


def test_a_photo_is_cut_to_its_central_square_and_others_to_their_longest_side():
    wide = Image.new("RGB", (3000, 1000), "red")
    wide.paste("blue", (1000, 0, 2000, 1000))
    content = pictures.encode(wide)
    photo = shown(content, FileKind.PHOTO)
    assert photo.size == (512, 512)
    assert near(photo.getpixel((20, 256)), (0, 0, 255))
    assert shown(content, FileKind.EVIDENCE).size == (2400, 800)
    assert shown(content).size == (1600, 533)
    assert shown(picture(size=(90, 300)), FileKind.PHOTO).size == (90, 90)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "is empty", id="nothing"),
        pytest.param(b"\0" * (CONTENT_MAX + 1), "is larger than 8 MB", id="too many bytes"),
        pytest.param(b"<svg onload=alert(1)>", "is not a JPEG", id="SVG"),
        pytest.param(b"%PDF-1.7\n", "is not a JPEG", id="PDF"),
        pytest.param(picture("GIF"), "is not a JPEG", id="GIF"),
        pytest.param(picture("TIFF"), "is not a JPEG", id="TIFF"),
        pytest.param(pictures.png_header(0, 0), "is not a JPEG", id="no pixels"),
        pytest.param(pictures.png_header(10_000, 10_000), "megapixels", id="100 megapixels"),
        pytest.param(pictures.png_header(60_000, 60_000), "megapixels", id="3,600 megapixels"),
        pytest.param(
            pictures.png_header(2**31 - 1, 2**31 - 1), "megapixels", id="as many as can be"
        ),
        pytest.param(pictures.png_header(20_000, 100), "16,000 pixels", id="too long"),
        pytest.param(picture(size=(400, 20)), "is 400 x 20 pixels", id="too small"),
        pytest.param(pictures.png_header(100, 100), "is damaged", id="claims more than it has"),
        pytest.param(pictures.with_text_bomb(), "is not a JPEG", id="a bomb in its comment"),
        pytest.param(pictures.animated("WEBP"), "is animated", id="animated WebP"),
        pytest.param(pictures.animated("PNG"), "is animated", id="animated PNG"),
        pytest.param(pictures.noise()[:9000], "is damaged", id="cut off JPEG"),
        pytest.param(pictures.noise("PNG")[:9000], "is damaged", id="cut off PNG"),
        pytest.param(picture("WEBP")[:60], "is ", id="cut off WebP"),
    ],
)
@pytest.mark.parametrize("kind", FileKind)
def test_what_cannot_be_kept_is_refused_with_its_cure(content, problem, kind):
    with pytest.raises(PictureRefused) as refused:
        make_anew(content, kind)
    assert problem in refused.value.problem
    assert refused.value.cure


GOOD = [picture(size=(80, 70)), picture("PNG", (80, 70)), picture("WEBP", (80, 70))]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=8))))
def test_a_damaged_picture_is_kept_anew_or_refused_and_nothing_else(good, changes):
    content = bytearray(good)
    for place, new in changes:
        start = place % len(content)
        content[start : start + len(new)] = new
    with suppress(PictureRefused):
        shown(bytes(content))
