"""Links to files and archives: signed, for a while, and good without a login (docs/adr/0020).

Within the platform a file is named by a reference. It becomes a link where it leaves, at the moment
it leaves: an answer of the API, an attempt of a webhook. So a link is never older than what shows
it.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import urlencode
from uuid import UUID

from pydantic import Field

from service_kit.settings import ServiceSettings
from service_kit.signing import Signatures, Signed

Linked = Literal["media", "subject-export"]
"""What a link leads to: a file, or the archive of a subject export."""

PATHS: dict[Linked, str] = {
    "media": "/api/v1/media/{id}/file",
    "subject-export": "/api/v1/subject-exports/{id}/file",
}
_REFERENCE = re.compile(
    rb'"((?:media_|profile_picture_|thumbnail_)?url)":"(media|subject-export):([0-9a-f-]{36})"'
)


def reference(linked_id: UUID, kind: Linked = "media") -> str:
    """What `url`, `media_url` and their kind are within the platform, for what is ours."""
    return f"{kind}:{linked_id}"


class MediaLinkSettings(ServiceSettings):
    """Settings of services from which links to files leave for customers."""

    media_base_url: str = Field(
        default="http://127.0.0.1:8080",
        pattern=r"^https?://",
        description="where customers reach the gateway: links to files begin with it",
    )
    media_link_seconds: int = Field(
        default=900, ge=1, le=86_400, description="a link to a file is good for"
    )

    @property
    def media_links(self) -> "MediaLinks":
        """Makes links for customers."""
        return MediaLinks(self.signatures, self.media_base_url, self.media_link_seconds)


@dataclass(frozen=True, slots=True)
class MediaLinks:
    """Makes links that lead to `base_url`, and proves them. They are good for `seconds`."""

    signatures: Signatures
    base_url: str
    seconds: int

    def link(self, tenant_id: str, linked_id: UUID, kind: Linked = "media") -> str:
        """A link to something of this tenant's."""
        expires = int(time.time()) + self.seconds
        query = {"tenant": tenant_id, "expires": expires}
        signature = self.signatures.sign(_signed(kind, tenant_id, linked_id, expires))
        path = PATHS[kind].format(id=linked_id)
        return f"{self.base_url.rstrip('/')}{path}?{urlencode({**query, 'signature': signature})}"

    def proves(
        self, linked_id: UUID, query: Mapping[str, str], kind: Linked = "media"
    ) -> str | None:
        """The tenant a link was made for; None when it is no link of ours, or too old."""
        tenant_id, expires = query.get("tenant", ""), query.get("expires", "")
        if not re.fullmatch(r"\d{1,12}", expires, re.ASCII) or int(expires) < time.time():
            return None
        signed = _signed(kind, tenant_id, linked_id, int(expires))
        return tenant_id if self.signatures.prove(signed, query.get("signature")) else None

    def written_out(self, body: bytes, tenant_id: str) -> bytes:
        """A JSON text of this tenant's, its references now links."""
        if b'"media:' not in body and b'"subject-export:' not in body:
            return body
        return _REFERENCE.sub(lambda found: self._written(found, tenant_id), body)

    def _written(self, found: re.Match[bytes], tenant_id: str) -> bytes:
        kind = cast(Linked, found[2].decode())
        link = self.link(tenant_id, UUID(found[3].decode()), kind)
        return b'"%s":"%s"' % (found[1], link.encode())


def _signed(kind: Linked, tenant_id: str, linked_id: UUID, expires: int) -> Signed:
    # No request has this key, so that neither can ever pass for the other.
    return Signed(f"{kind} link", str(linked_id), tenant_id, str(expires), b"")
