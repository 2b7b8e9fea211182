"""Everything is said in every language."""

import re
from importlib.resources import files

import pytest
from crm_console.bubbles import TICKS
from crm_console.sessions import REASONS
from crm_console.words import LANGUAGES, texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_there_and_takes_the_same_values(language: str) -> None:
    english, other = texts("en"), texts(language)
    assert other.keys() == english.keys()
    for name, text in other.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", english[name])), name


def test_every_text_that_is_asked_for_is_there() -> None:
    pages = [p.read_text() for p in (files("crm_console") / "templates").iterdir()]
    asked = {name for page in pages for name in re.findall(r"\bt\('([\w.]+\w)'[,)]", page)}
    assert asked <= texts("en").keys()
    assert {f"status.{status}" for status in TICKS} <= texts("en").keys()
    assert {f"reason.{reason}" for reason in REASONS} <= texts("en").keys()
