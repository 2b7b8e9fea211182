"""The languages we write to people in."""

from typing import Literal

Language = Literal["en", "pt-BR"]
DEFAULT: Language = "en"
_SPOKEN: dict[str, Language] = {"en": "en", "pt": "pt-BR"}


def preferred(accept_language: str) -> Language | None:
    """What an Accept-Language header likes best of what we speak; None when that is nothing.

    RFC 9110, 12.5.4: a range without weight weighs 1, one of weight 0 is not wanted. Of two alike
    the first wins, and any Portuguese is better understood in Brazil's than in English.
    """
    best: Language | None = None
    most = 0.0
    for part in accept_language.split(","):
        named, _, weight = part.strip().partition(";")
        language = _SPOKEN.get(named.partition("-")[0].strip().lower())
        weighs = _weight(weight)
        if language is not None and weighs > most:
            best, most = language, weighs
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip().lower() == "q" else 0.0
    except ValueError:
        return 0.0
