"""Rules a linter does not know. Each failure says where, and what to do about it."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from typing import Any

VAGUE_NAMES = {
    "base_service",
    "common",
    "core",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "shared",
    "tools",
    "util",
    "utils",
}
COMMAND_LINES = {"cli.py", "__main__.py", "main.py"}
MADE_AT_START = {
    "AsyncClient",
    "AsyncEngine",
    "Client",
    "Database",
    "FastAPI",
    "FastStream",
    "Publisher",
    "RabbitBroker",
    "Service",
    "Worker",
    "connect",
    "create_async_engine",
    "create_engine",
    "create_pool",
    "create_service",
    "getenv",
    "load",
    "make_broker",
}
MAX_LINES = 400
FEATURE_ORDER = {
    "models": 0,
    "schemas": 0,
    "errors": 0,
    "repository": 1,
    "service": 2,
    "activities": 3,
    "workflow": 3,
    "requests": 4,
    "consumers": 4,
}
MACHINE_PATH = re.compile(r"(?<![\w./*:-])/(?:work|root|Users|home/\w+)/(?!\.cache/|temporal)")
REGISTRY_HOST = re.compile(
    r"https?://[\w.-]*(?:registry|mirror|artifact|packages)[\w.-]*|https?://[^\s\"']+/simple\b"
)


def complain(findings: Iterable[str], cure: str) -> None:
    """Fail with every finding and what to do about them."""
    found = sorted(findings)
    assert not found, "\n  ".join([f"{cure}:", *found])


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def name_of(node: ast.expr) -> str:
    """The last word of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


class TestModules:
    def test_have_names_that_say_what_they_hold(self, modules: list[Any]) -> None:
        complain(
            (str(m) for m in modules if VAGUE_NAMES & {m.path.stem, m.path.parent.name}),
            "name the file after the one thing it does, or move its parts to where they are used",
        )

    def test_are_no_longer_than_one_can_hold_in_mind(self, modules: list[Any]) -> None:
        lengths = {str(m): len(m.text.splitlines()) for m in modules}
        complain(
            (f"{path}: {count} lines" for path, count in lengths.items() if count > MAX_LINES),
            f"split it by what it does: {MAX_LINES} lines at most, near 250 is good",
        )

    def test_make_nothing_when_imported(self, modules: list[Any]) -> None:
        complain(
            (
                f"{m}:{call.lineno}: {name_of(call.func)}()"
                for m in modules
                if m.is_package_source
                for statement in m.tree.body
                if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr)
                for call in calls(statement)
                if name_of(call.func) in MADE_AT_START or name_of(call.func).endswith("Settings")
            ),
            "make it in create_service(settings), so that importing needs no environment",
        )

    def test_print_only_on_a_command_line(self, modules: list[Any]) -> None:
        complain(
            (
                f"{m}:{call.lineno}"
                for m in modules
                if m.is_package_source and m.path.name not in COMMAND_LINES
                for call in calls(m.tree)
                if isinstance(call.func, ast.Name) and call.func.id == "print"
            ),
            "log it: structlog.get_logger().info(...)",
        )

    def test_silence_no_type_error(self, modules: list[Any]) -> None:
        complain(
            (
                f"{m}:{token.start[0]}"
                for m in modules
                for token in tokenize.generate_tokens(io.StringIO(m.text).readline)
                if token.type == tokenize.COMMENT and re.match(r"#\s*type:\s*ignore", token.string)
            ),
            "give it the right type (a Protocol or a cast that says why) instead of ignoring it",
        )

    def test_touch_nothing_private_of_somebody_else(self, modules: list[Any]) -> None:
        complain(
            (f"{m}:{found}" for m in modules for found in _borrowed(m.tree)),
            "use the public way; if there is none, say so in an ADR and ask upstream",
        )


def _borrowed(tree: ast.Module) -> Iterator[str]:
    """Underscore names that this module neither defines nor says of itself."""
    own = {
        name
        for node in ast.walk(tree)
        for name in (
            *([node.attr] if isinstance(node, ast.Attribute) and _is_own(node.value) else ()),
            *([node.name] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ()),
            *_field(node),
        )
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in own:
            yield f"{node.lineno}: .{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (*node.module.split("."), *(alias.name for alias in node.names))
            yield from (f"{node.lineno}: {name}" for name in names if _is_private(name))


def _is_private(name: str) -> bool:
    # `_replace` is what named tuples offer to everybody.
    return name.startswith("_") and not name.endswith("__") and name not in ("_", "_replace")


def _is_own(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _field(node: ast.AST) -> list[str]:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


class TestTests:
    def test_wait_for_conditions_not_for_time(self, modules: list[Any]) -> None:
        complain(
            (
                f"{m}:{call.lineno}"
                for m in modules
                if m.is_test
                for call in calls(m.tree)
                if name_of(call.func) == "sleep" and ast.unparse(call.func) == "time.sleep"
            ),
            "poll for the condition with a deadline instead of time.sleep",
        )

    def test_leave_the_clock_to_everybody_else(self, modules: list[Any]) -> None:
        """To another task of the process, a sleep that does not sleep is a loop without end."""
        complain(
            (
                f"{m}:{call.lineno}"
                for m in modules
                if m.is_test
                for call in calls(m.tree)
                if name_of(call.func) == "setattr" and call.args
                if re.search(r"\b(asyncio|time)('$|\.)|^(asyncio|time)$", ast.unparse(call.args[0]))
            ),
            "give the code a clock of its own instead of changing the process's",
        )


class TestImports:
    def test_of_shared_events_are_pydantic_and_the_standard_library(
        self, modules: list[Any]
    ) -> None:
        # FastStream's exchanges and queues are data; see shared_events.topology.
        allowed = {"shared_events", "pydantic", "faststream", *sys.stdlib_module_names}
        complain(
            (
                f"{m}: {imported}"
                for m in modules
                if m.path.parts[:2] == ("libs", "shared-events") and m.is_package_source
                for imported in _imported(m.tree)
                if imported.partition(".")[0] not in allowed
            ),
            "keep the contract free of plumbing: what needs this belongs in service_kit",
        )

    def test_never_go_round_in_a_circle(self, modules: list[Any]) -> None:
        sources = {_dotted(m): m for m in modules if m.is_package_source}
        graph = {name: _imports_of(m, sources) for name, m in sources.items()}
        complain(
            (" -> ".join([*circle, circle[0]]) for circle in _circles(graph)),
            "let one of them hand over what the other needs, or move what both need to a third"
            " (imports for type checkers count: a circle of types is one too)",
        )

    def test_of_records_stay_in_the_kit(self, modules: list[Any]) -> None:
        complain(
            (
                str(m)
                for m in modules
                if m.is_package_source and m.path.parts[0] == "services"
                if "asyncpg.Record" in _imported(m.tree)
                or any(
                    ast.unparse(n) == "asyncpg.Record"
                    for n in ast.walk(m.tree)
                    if isinstance(n, ast.Attribute)
                )
            ),
            "read rows by service_kit.rows: a misspelt column is then mypy's, not production's",
        )

    def test_of_libraries_keep_their_types(self, modules: list[Any]) -> None:
        complain(
            (
                f"{m}:{call.lineno}"
                for m in modules
                if m.is_package_source
                for call in calls(m.tree)
                if name_of(call.func) == "cast" and ast.unparse(call.args[0]) in {"Any", "'Any'"}
            ),
            "cast to the type it has, or to a Protocol of what is used of it",
        )

    def test_within_a_feature_go_one_way(self, modules: list[Any]) -> None:
        complain(
            (
                f"{m} imports {imported}"
                for m in modules
                if m.is_package_source and m.path.parts[0] == "services"
                for imported in _imported(m.tree)
                if _goes_up(m, imported)
            ),
            "requests and consumers call service, service calls repository, repository uses models:"
            " move what is imported down, or the caller up",
        )


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _dotted(module: Any) -> str:
    """`a/src/b/c.py` as `b.c`; a package is its `__init__`."""
    parts = module.path.with_suffix("").parts
    inside = parts[parts.index("src") + 1 :]
    return ".".join(inside[:-1] if inside[-1] == "__init__" else inside)


def _imports_of(module: Any, sources: dict[str, Any]) -> set[str]:
    """The modules it imports when it is imported, for type checkers too; not within functions."""
    top = ast.Module(
        [
            n
            for n in ast.walk(module.tree)
            if isinstance(n, ast.Import | ast.ImportFrom) and not _within_a_function(module.tree, n)
        ],
        [],
    )
    found = {name for name in _imported(top) if name in sources}
    # `from a import b` imports a.b; that a package's own door is opened on the way is no arrow.
    doors = {
        node.module
        for node in top.body
        if isinstance(node, ast.ImportFrom)
        and node.module
        and all(f"{node.module}.{alias.name}" in sources for alias in node.names)
    }
    return found - doors - {_dotted(module)}


def _within_a_function(tree: ast.Module, node: ast.AST) -> bool:
    return any(
        node in ast.walk(function)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def _circles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """Each circle once, beginning with its first name."""
    for start in sorted(graph):
        paths, seen = [[start]], {start}
        while paths:
            path = paths.pop()
            for name in sorted(graph[path[-1]]):
                if name == start and start == min(path):
                    yield path
                elif name not in seen and name > start:
                    seen.add(name)
                    paths.append([*path, name])


def _goes_up(module: Any, imported: str) -> bool:
    package = ".".join(module.path.parts[3:-1])
    feature, _, name = imported.rpartition(".")
    if feature != package or len(module.path.parts) < 6:
        return False
    here, there = FEATURE_ORDER.get(module.path.stem), FEATURE_ORDER.get(name)
    return here is not None and there is not None and there > here


class TestFiles:
    def test_name_no_machine_and_no_registry(self, files: list[Any]) -> None:
        complain(
            (
                f"{source}: {match.group()}"
                for source in files
                if source.path.name != "uv.lock" and source.path.suffix not in (".png", ".ico")
                for pattern in (MACHINE_PATH, REGISTRY_HOST)
                for match in pattern.finditer(source.text)
            ),
            "say it relative to the project, or leave it to the environment",
        )

    def test_hold_no_unresolved_note(self, modules: list[Any]) -> None:
        note = re.compile(r"#\s*(?:TODO|FIXME|XXX|HACK)\b")
        complain(
            (
                f"{m}:{token.start[0]}"
                for m in modules
                for token in tokenize.generate_tokens(io.StringIO(m.text).readline)
                if token.type == tokenize.COMMENT and note.search(token.string)
            ),
            "do it, or open an issue",
        )
