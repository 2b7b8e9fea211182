"""Small pictures are made of pictures, and of nothing that merely says so."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from service_kit.thumbnails import LONGEST_SIDE, MOST_PIXELS, READABLE, thumbnail_of

RED, CLEAR = (200, 30, 30), (0, 0, 0, 0)


def picture(size: tuple[int, int], kind: str, **options: Any) -> bytes:
    into = BytesIO()
    Image.new("RGB", size, RED).save(into, kind, **options)
    return into.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is this large."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def small(file: Path, content: bytes, mime_type: str) -> Image.Image:
    file.write_bytes(content)
    made = thumbnail_of(file, mime_type)
    assert made is not None
    shown = Image.open(BytesIO(made))
    assert shown.format == "WEBP"
    return shown


class TestThumbnail:
    @pytest.mark.parametrize("mime_type", READABLE)
    def test_fits_and_keeps_its_proportions(self, file: Path, mime_type: str) -> None:
        shown = small(file, picture((1600, 800), READABLE[mime_type]), mime_type)
        assert shown.size == (LONGEST_SIDE, LONGEST_SIDE // 2)
        there = shown.convert("RGB").tobytes()[:3]
        assert all(abs(one - wanted) < 20 for one, wanted in zip(there, RED, strict=True))

    def test_of_what_is_small_is_no_larger(self, file: Path) -> None:
        assert small(file, picture((40, 30), "PNG"), "image/png").size == (40, 30)

    def test_stands_upright_and_tells_nothing_of_the_camera(self, file: Path) -> None:
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = 6, "Camera of Maria"  # turned by a quarter
        content = picture((800, 400), "JPEG", exif=exif)
        shown = small(file, content, "image/jpeg")
        assert shown.size == (LONGEST_SIDE // 2, LONGEST_SIDE)
        assert b"Maria" in content
        assert not shown.getexif()

    def test_stays_transparent(self, file: Path) -> None:
        into = BytesIO()
        Image.new("RGBA", (400, 400), CLEAR).save(into, "PNG")
        shown = small(file, into.getvalue(), "image/png")
        assert shown.getchannel("A").getextrema() == (0, 0)


class TestNone:
    def test_of_what_claims_to_be_huge(self, file: Path) -> None:
        side = int(MOST_PIXELS**0.5)
        for width, height in ((side, side + 2), (60_000, 60_000), (2**31 - 1, 2**31 - 1)):
            file.write_bytes(claiming(width, height))
            assert thumbnail_of(file, "image/png") is None

    @pytest.mark.parametrize("mime_type", READABLE)
    def test_of_what_is_broken(self, file: Path, mime_type: str) -> None:
        whole = picture((600, 600), READABLE[mime_type])
        for content in (b"", whole[:30], whole[: len(whole) // 2], whole[:20] + b"\xff" * 500):
            file.write_bytes(content)
            assert thumbnail_of(file, mime_type) is None

    def test_of_another_format_than_it_says(self, file: Path) -> None:
        file.write_bytes(picture((600, 600), "GIF"))
        assert thumbnail_of(file, "image/png") is None
