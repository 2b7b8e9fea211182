"""Small pictures of pictures. Whoever sent one chose its bytes: nothing they say is trusted.

Only formats that phones send are read, and only so many pixels, by what the header says before a
pixel is decoded: a small file may claim to be huge (https://en.wikipedia.org/wiki/Zip_bomb).
"""

from io import BytesIO
from pathlib import Path

import structlog
from PIL import Image, ImageOps

log = structlog.get_logger()

MIME_TYPE = "image/webp"
READABLE = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
"""The MIME types that a thumbnail is made of, and what Pillow calls them."""
LONGEST_SIDE = 320
"""Of a thumbnail, in pixels."""
MOST_PIXELS = 16_000_000
"""Of a picture that a thumbnail is made of: 64 MB while it is decoded."""
_QUALITY = 75


def thumbnail_of(path: Path, mime_type: str) -> bytes | None:
    """A small picture of the one in this file, upright, without what else the file tells.

    None for what is too large, broken, or nothing we read. It takes a processor for up to a second.
    """
    try:
        with Image.open(path, formats=[READABLE[mime_type]]) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                return None
            picture.draft("RGB", (2 * LONGEST_SIDE, 2 * LONGEST_SIDE))  # of JPEG alone: quicker
            picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            upright = ImageOps.exif_transpose(picture)
            small = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
            into = BytesIO()
            small.save(into, "WEBP", quality=_QUALITY)
            return into.getvalue()
    except Exception as error:
        # A decoder given a broken file raises whatever it likes. The file is kept all the same.
        log.info("thumbnail_not_made", error=type(error).__name__)
        return None
