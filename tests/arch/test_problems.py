"""Every code that a caller may be refused with is explained (problems/words.json of the gateway).

What a service says in English stands where it is raised; the gateway has the other languages, and
the page that problem documents lead to.
"""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Formatter

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


NO_NUMBERS = {
    *("job_ended", "export_not_ready", "subject_export_not_ready", "unsupported_media_type"),
    *("invalid_form", "unknown_column", "same_target", "invalid_phone", "not_allowed", "missing"),
    *("url_not_allowed", "unknown_event_type", "not_in_content", "reserved_key"),
}
"""What these name is a word, and told in English alone."""


def sources() -> Iterator[Path]:
    return (each for where in ("libs", "services") for each in ROOT.glob(f"{where}/*/src/**/*.py"))


def lines(told: str | list[str]) -> Sequence[str]:
    return [told] if isinstance(told, str) else told


def names(line: str) -> set[str]:
    """The placeholders of a line."""
    return {name for _, name, _, _ in Formatter().parse(line) if name is not None}


def filled() -> Iterator[tuple[str, str, set[str], set[str]]]:
    """Kind and code of what is raised with something put into its English words, what that is
    passed on as, and what of it is not."""
    for file in sources():
        for call in (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)):
            for kind, code in named(call):
                says = [arg for arg in call.args if isinstance(arg, ast.JoinedStr)]
                put_in = {
                    ast.unparse(part.value)
                    for text in says
                    for part in text.values
                    if isinstance(part, ast.FormattedValue)
                }
                given = {ast.unparse(one.value): one.arg for one in call.keywords if one.arg}
                for one in (each.value for each in call.keywords if each.arg == "extra"):
                    if isinstance(one, ast.Dict):
                        given |= {
                            ast.unparse(value): ast.literal_eval(key)
                            for key, value in zip(one.keys, one.values, strict=True)
                            if key is not None
                        }
                if put_in:
                    told = {str(given[each]) for each in put_in & given.keys()}
                    yield kind, code, told, put_in - given.keys()


def raised() -> Iterator[tuple[str, str]]:
    """Kind and code of what the sources raise by name, `codes` or `fields`."""
    for file in sources():
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
            assert all(line.endswith(".") for each in told.values() for line in lines(each))
        for kind in ("fields", "titles"):
            assert all(told.keys() == {"pt-BR"} and told["pt-BR"] for told in WORDS[kind].values())

    def test_explain_nothing_that_is_never_raised(self) -> None:
        text = "".join(file.read_text() for file in sources())
        for code in WORDS["codes"]:
            noun = code.removesuffix("_not_found")
            state = code.removeprefix("media_")
            assert f'"{code}"' in text or f'"{noun}"' in text or f'"{state}"' in text, code

    def test_name_the_same_numbers_in_both_languages(self) -> None:
        """By name, and those that are spelt out."""
        for code, told in WORDS["codes"].items():
            english, portuguese = lines(told["en"]), lines(told["pt-BR"])
            assert list(map(names, english)) == list(map(names, portuguese)), code
            spelt = [re.findall(r"\d+", " ".join(each)) for each in (english, portuguese)]
            assert spelt[0] == spelt[1], code

    def test_name_every_number_that_is_told_in_english(self) -> None:
        found = [each for each in filled() if each[1] not in NO_NUMBERS]
        assert len(found) > 20
        for kind, code, told, lost in found:
            assert not lost, f"{code}: {lost} is in its words, and not beside them"
            known = [names(line) for line in lines(WORDS[kind][code]["pt-BR"])]
            assert told == known[0], code
