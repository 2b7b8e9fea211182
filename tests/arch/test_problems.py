"""Every code that a caller may be refused with is explained (problems/words.json of the gateway).

What a service says in English stands where it is raised; the gateway has the other languages, and
the page that problem documents lead to.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from service_kit import errors

ROOT = Path(__file__).parents[2]
WORDS = json.loads((ROOT / "services/gateway/src/crm_gateway/problems/words.json").read_text())
PLACES = {
    **{
        name: 0
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, errors.ProblemError)
    },
    "HttpError": 1,
}
"""Which argument of what is raised names the code."""


def raised() -> Iterator[tuple[str, str]]:
    """Kind and code of what the sources raise by name, `codes` or `fields`."""
    for file in [*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                yield from named(node)


def named(call: ast.Call) -> Iterator[tuple[str, str]]:
    """What this call names, if it makes an error and spells its code."""
    function = call.func
    if isinstance(function, ast.Name):
        name, kind = function.id, "codes"
    elif isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        name, kind = function.value.id, "fields" if function.attr == "field" else ""
    else:
        return
    if name not in PLACES or not kind:
        return
    place = 1 if kind == "fields" else PLACES[name]
    code = call.args[place] if len(call.args) > place else None
    if isinstance(code, ast.Constant) and isinstance(code.value, str) and code.value:
        yield kind, code.value + ("_not_found" if name == "NotFoundError" else "")


class TestWords:
    def test_explain_every_code_there_is(self) -> None:
        found = set(raised())
        assert len(found) > 180
        assert sorted(code for kind, code in found if code not in WORDS[kind]) == []

    def test_are_there_in_both_languages(self) -> None:
        for told in WORDS["codes"].values():
            assert all(told[language].endswith(".") for language in ("en", "pt-BR"))
        for kind in ("fields", "titles"):
            assert all(told.keys() == {"pt-BR"} and told["pt-BR"] for told in WORDS[kind].values())

    def test_explain_nothing_that_is_never_raised(self) -> None:
        sources = "".join(
            file.read_text()
            for file in [*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]
        )
        for code in WORDS["codes"]:
            noun = code.removesuffix("_not_found")
            state = code.removeprefix("media_")
            assert f'"{code}"' in sources or f'"{noun}"' in sources or f'"{state}"' in sources, code
