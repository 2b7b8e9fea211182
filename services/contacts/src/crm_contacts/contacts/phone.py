"""Phone numbers and other identities as people type them, made into WhatsApp's."""

import re
import unicodedata

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult
from service_kit.errors import InvalidError
from shared_events.identity import IdentityKind, WhatsAppId

_HIDDEN_ID = re.compile(r"[1-9][0-9]{0,48}")
_MEXICAN_TRUNK = re.compile(r"52(?:01|044|045)(\d{10})")
"""What was dialled before a number in Mexico until 2019, kept in many address books."""
_ARGENTINE_WITH_BOTH = re.compile(r"549(?=0?\d{12}$)(0?\d{2,4}15\d{6,8})")
"""A mobile with the `9` from abroad and the `15` of home as well, where one of them says it."""
_GROUP = re.compile(r"[1-9][0-9]{0,29}(-[0-9]{1,18})?")


def parse_identity(kind: IdentityKind, value: str, region: str) -> WhatsAppId:
    """Read an identity of this kind; a phone as `parse_phone` reads it.

    Raises InvalidError (field `value`, code `invalid_phone` or `invalid_identity`).
    """
    if kind == "phone":
        try:
            return parse_phone(value, region)
        except InvalidError as error:
            raise InvalidError.field("value", "invalid_phone", error.problem.detail) from None
    if not (_HIDDEN_ID if kind == "lid" else _GROUP).fullmatch(value):
        raise InvalidError.field("value", "invalid_identity", "WhatsApp has no such id.")
    return WhatsAppId(kind, value)


def parse_phone(text: str, region: str) -> WhatsAppId:
    """Read a number typed by a person; one without country code is of `region` (ISO, "BR").

    Raises InvalidError (field `phone`, code `invalid_phone`) for what no line can have. Only the
    lengths are judged, not whether a prefix is in use: numbering plans change faster than we do.
    """
    # 00 before a country code is how most of the world dials; Brazil's plan reads a carrier there.
    international = f"+{text[2:]}" if text.startswith("00") else text
    number = _parsed(international, region)
    if number is None and not international.lstrip().startswith("+"):
        # As it was dialled at home before the plan changed.
        at_home = f"+{phonenumbers.country_code_for_region(region)}{_digits(text)}"
        number = _parsed(at_home, region)
    if number is None and text.isdecimal():
        number = _parsed(f"+{text}", region)  # as WhatsApp writes it: with country code, no plus
    if number is None:
        raise _invalid(region)
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    typed = WhatsAppId("phone", e164.removeprefix("+"))
    return WhatsAppId("phone", typed.canonical)


def _parsed(international: str, region: str) -> PhoneNumber | None:
    """The number, where a line can have it."""
    try:
        number = phonenumbers.parse(_dialled(international), region)
    except NumberParseException:
        return None
    reason = phonenumbers.is_possible_number_with_reason(number)
    return number if reason == ValidationResult.IS_POSSIBLE else None


def _dialled(international: str) -> str:
    """A number as WhatsApp still writes it, which no plan has any more, as it is dialled."""
    if not international.lstrip().startswith("+"):
        return international
    digits = _digits(international)
    if match := _MEXICAN_TRUNK.fullmatch(digits):
        return f"+52{match[1]}"
    if match := _ARGENTINE_WITH_BOTH.fullmatch(digits):
        return f"+54{match[1]}"
    canonical = WhatsAppId("phone", digits).canonical
    return international if canonical == digits else f"+{canonical}"


def _digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(c)) for c in text if c.isdecimal())


def _invalid(region: str) -> InvalidError:
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    shown = phonenumbers.format_number(example, PhoneNumberFormat.E164) if example else "+5511..."
    return InvalidError.field(
        "phone", "invalid_phone", f"This is not a phone number; write it like {shown}."
    )
