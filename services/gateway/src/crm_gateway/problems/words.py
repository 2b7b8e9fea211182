"""What problems are called in the languages we speak: `words.json`, a line for each code.

Services say what is wrong in English, with the names and numbers of the case. Whoever asks for
another language is told by the code, so that no service has to know it: `{limit}` in a line stands
for what the problem has under that name, a member of the document or of the field's `params`.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import orjson

from crm_gateway.mail.languages import DEFAULT, Language

PAGE = "/docs/problems"
"""Where the codes are explained, each at its own anchor."""


Lines = str | list[str]
"""What is said; or several lines, of which the first is said that names nothing unknown."""


@cache
def words() -> Mapping[str, Mapping[str, Mapping[Language, Lines]]]:
    """The words by language: of `codes` of problems, of wrong `fields`, of `titles` by status.

    English is there for codes alone, to be explained; the others say it themselves.
    """
    read: Mapping[str, Mapping[str, Mapping[Language, Lines]]]
    read = orjson.loads(files(__package__).joinpath("words.json").read_bytes())
    return read


def in_language(document: dict[str, Any], language: Language) -> dict[str, Any]:
    """A problem document in this language; what we have no words for stays as it is, and so does
    what names a number that a service of before did not tell."""
    if language == DEFAULT:
        return document

    def worded(kind: str, code: str, said: str, named: Mapping[str, Any]) -> str:
        lines = words()[kind].get(code, {}).get(language, said)
        for line in [lines] if isinstance(lines, str) else lines:
            with suppress(KeyError):
                return said if line == said else line.format_map(named)
        return said

    return {
        **document,
        "title": worded("titles", str(document["status"]), document["title"], {}),
        "detail": worded("codes", document["code"], document["detail"], document),
        "errors": [
            {
                **each,
                "message": worded("fields", each["code"], each["message"], each.get("params", {})),
            }
            for each in document["errors"]
        ],
    }


def page() -> str:
    """The page that explains every code, in English and Portuguese."""
    rows = "\n".join(
        f'<tr id="{code}"><th scope="row"><a href="#{code}">{code}</a></th>'
        f"<td>{_explained(told['en'])}</td>"
        f'<td lang="pt-BR">{_explained(told["pt-BR"])}</td></tr>'
        for code, told in words()["codes"].items()
    )
    return _PAGE.replace("ROWS", rows)


def _explained(lines: Lines) -> str:
    return escape(lines if isinstance(lines, str) else " ".join(lines))


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Problems - Ventros CRM</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
th, td { border-bottom: 1px solid #ccc; padding: .4rem; text-align: left; vertical-align: top }
th { font-family: monospace; font-weight: normal }
tr:target { background: #fff3c4 }
</style>
</head>
<body>
<h1>Problems</h1>
<p>What is refused is answered by a problem document (RFC 9457). Its <code>type</code> leads here,
its <code>code</code> is stable, its <code>detail</code> is for people, in English or Brazilian
Portuguese as <code>Accept-Language</code> asks. <a href="/docs">All routes</a>.</p>
<table>
<thead><tr><th>Code</th><td>Meaning</td><td lang="pt-BR">Significado</td></tr></thead>
<tbody>
ROWS
</tbody>
</table>
</body>
</html>
"""
