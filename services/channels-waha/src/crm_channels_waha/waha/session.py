"""A WAHA session, as WAHA describes it (docs/waha.md, "Sessions")."""

from dataclasses import dataclass

from crm_channels_waha.waha.ids import person_id
from crm_channels_waha.waha.meaning import Restriction
from crm_channels_waha.waha.reading import Json, mapping, text
from crm_channels_waha.waha.restriction import read_timelock


@dataclass(frozen=True, slots=True)
class WahaSession:
    """A session as WAHA describes it. `phone` is digits, None before pairing."""

    status: str | None
    engine: str | None
    phone: str | None
    config: Json
    restriction: Restriction | None = None

    @classmethod
    def read(cls, session: Json) -> "WahaSession":
        """The session in an answer of WAHA's."""
        me = person_id(mapping(session.get("me")).get("id"))
        return cls(
            status=(text(session.get("status")) or "")[:100] or None,
            engine=(text(mapping(session.get("engine")).get("engine")) or "")[:50] or None,
            phone=me.value if me and me.kind == "phone" else None,
            config=mapping(session.get("config")),
            restriction=read_timelock(mapping(session, "me", "reachoutTimelock"), None),
        )

    @property
    def keeps_history(self) -> bool:
        """Whether a message missing from its history was really never sent.

        NOWEB keeps none without its store, GOWS may be told not to.
        """
        if self.engine == "GOWS":
            return mapping(self.config, "gows", "storage").get("messages") is not False
        if self.engine == "NOWEB":
            return mapping(self.config, "noweb", "store").get("enabled") is True
        return False
