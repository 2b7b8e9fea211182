"""What the columns of a file say of contacts: by a mapping, or by what their headers are called."""

from collections.abc import Iterable, Mapping, Sequence

from service_kit.errors import InvalidError
from service_kit.search import fold

from crm_contacts.custom_fields.models import CustomField

CUSTOM = "custom_fields."

_CALLED: dict[str, str] = {
    "name": "name, full name, contact, contact name, nome, nome completo, contato, cliente",
    "phone": (
        "phone, phone number, mobile, mobile phone, cell, cell phone, whatsapp, number,"
        " telefone, celular, fone, tel, numero, telefone celular, whats"
    ),
    "email": "email, e mail, email address, mail, correio eletronico, endereco de email",
    "tags": "tags, tag, labels, label, etiquetas, etiqueta, marcadores, marcador",
    "language": "language, locale, idioma, lingua",
    "timezone": "timezone, time zone, fuso, fuso horario",
}
_TARGETS = {name: target for target, names in _CALLED.items() for name in names.split(", ")}


def targets(
    headers: Sequence[str],
    mapping: Mapping[str, str | None] | None,
    definitions: Iterable[CustomField],
) -> list[str | None]:
    """For each column what it says of a contact; None for one that says nothing.

    A column that no mapping names is known by its header: in English or Portuguese, or the key or
    label of a custom field. Of several that say the same, the first counts, and what a mapping says
    before all headers. Raises InvalidError `unknown_column` for a mapping that names a column the
    file has not, `same_target` for one that gives two columns one meaning, and `no_known_column`.
    """
    mapping = {fold(name).strip(): target for name, target in (mapping or {}).items()}
    known = {fold(header).strip() for header in headers}
    for name in mapping:
        if name not in known:
            raise InvalidError("unknown_column", f"The file has no column {name!r}.")
    named = [target for target in mapping.values() if target is not None]
    for one in named:
        if named.count(one) > 1:
            raise InvalidError("same_target", f"Two columns are mapped to {one}.")
    by_header = _TARGETS | _custom(definitions)
    found: list[str | None] = []
    for header in headers:
        name = fold(header).strip()
        by_itself = by_header.get(_words(name))
        target = mapping.get(name, None if by_itself in named else by_itself)
        found.append(target if target not in found else None)
    if not any(found):
        raise InvalidError("no_known_column", "No column says anything of a contact.")
    return found


def _custom(definitions: Iterable[CustomField]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in definitions:
        for name in (one.key, one.label):
            found.setdefault(_words(fold(name)), f"{CUSTOM}{one.key}")
    return {name: target for name, target in found.items() if name not in _TARGETS}


def _words(name: str) -> str:
    """A name as words, however they are joined: `E-mail`, `full_name`, `Nome (completo)`."""
    return " ".join("".join(c if c.isalnum() else " " for c in name).split())
