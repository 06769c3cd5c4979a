"""The shape of the project, held by reading its own sources. No code of it is imported."""

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "connectors", "streams")
CODE = (*PACKAGES, "tests", "benchmarks")

FILE_LINES_MAX = 400  # beyond that a file has more than one subject
FUNCTION_LINES_MAX = 70  # beyond that a function does not fit a screen, nor a head

# Who may import what of ours, by the longest path that fits. A package may always import itself.
MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "schemas": (),
    "connectors": ("schemas",),
    "streams": ("schemas", "connectors"),
    "streams.core": ("schemas",),
}
RIVALS = ("connectors.sparebank1", "connectors.dkplus")

# A foreign library that only some know, and who they are (module, or a package with its insides).
KNOWN_BY: Mapping[str, tuple[str, ...]] = {
    "sqlalchemy": ("streams.ledger",),
    "sqlite3": ("streams.ledger",),
    "psycopg": ("streams.ledger",),
    "alembic": ("streams.ledger",),
    "faust": ("streams.ingest", "streams.faust_app", "streams.app", "streams.worker"),
    "mode": ("streams.ingest", "streams.faust_app", "streams.app", "streams.worker"),
    "aiohttp": ("connectors.http",),
    "opentelemetry": ("streams.tracing",),
    "requests": (),
    "httpx": (),
    "jinja2": ("streams.console",),
    "urllib3": (),
    "urllib.request": (),
    "http.client": (),
}
# The server half of aiohttp: simulators and the pages of the worker.
AIOHTTP_SERVER = (
    "connectors.dkplus.simulator",
    "connectors.sparebank1.simulator",
    "connectors.simulation",
    "streams.ops",
    "streams.web",
    "streams.console",
)
# What `streams/core` may import besides ours: nothing that does I/O or waits.
CORE_FOREIGN = frozenset({"msgspec"})
CORE_BANNED_STANDARD = frozenset({"asyncio", "socket", "threading", "subprocess", "logging", "os"})

BANNED_CALLS = re.compile(
    r"time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|perf_counter_ns|clock_gettime"
    r"|clock_gettime_ns|process_time|localtime|gmtime)"
    r"|datetime\.datetime\.(now|utcnow|today)|datetime\.date\.today"
    r"|uuid\.uuid[1467]|os\.urandom|secrets\.\w+"
    r"|random\.(?!Random$)\w+"
)
# They measure, or stand in for somebody else's machine; nothing there decides for a delivery.
CLOCKS_ALLOWED = (
    "streams.clock",
    "streams.local",
    "streams.ops.demo",
    "streams.ops.chaos",
    "streams.ops.soak",
    "connectors.dkplus.simulator",
    "connectors.sparebank1.simulator",
    "tests",
    "benchmarks",
)
VAGUE_NAMES = frozenset({"util", "utils", "helper", "helpers", "common", "misc", "manager"})


@cache
def sources() -> dict[str, tuple[Path, ast.Module]]:
    found = {}
    for top in CODE:
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = (path, ast.parse(path.read_text(encoding="utf-8")))
    return found


def ours() -> list[str]:
    return [name for name in sources() if name.split(".")[0] in PACKAGES]


def within(module: str, package: str) -> bool:
    """Also `simulator_routes` is within `simulator`: one subject may have several files."""
    return module == package or module.startswith((package + ".", package + "_"))


def imported(module: str) -> Iterator[str]:
    """Every module, or member of one, that a module imports anywhere in it, by its full name."""
    for node in ast.walk(sources()[module][1]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} line {node.lineno}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(name: str) -> str | None:
    """The module of ours that an imported name stands for, or None."""
    parent = name.rpartition(".")[0]
    return name if name in sources() else parent if parent in sources() else None


def allowed_for(module: str) -> tuple[str, ...]:
    fitting = max((p for p in MAY_IMPORT if within(module, p)), key=len)
    return (*MAY_IMPORT[fitting], fitting)


def test_imports_point_one_way() -> None:
    wrong = [
        f"{module} imports {name}"
        for module in ours()
        for name in imported(module)
        if name.split(".")[0] in (*PACKAGES, "tests", "benchmarks")
        and not any(within(name, package) for package in allowed_for(module))
    ]
    assert wrong == []


def test_the_accounting_systems_do_not_know_each_other() -> None:
    wrong = [
        f"{module} imports {name}"
        for one, other in (RIVALS, RIVALS[::-1])
        for module in ours()
        if within(module, one)
        for name in imported(module)
        if within(name, other)
    ]
    assert wrong == []


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {
        module: {found for name in imported(module) if (found := module_of(name))} - {module}
        for module in ours()
    }
    while leaves := [module for module, needs in graph.items() if not needs & set(graph)]:
        for leaf in leaves:
            del graph[leaf]
    assert sorted(graph) == [], "these are in a cycle of imports, or import one that is"


@pytest.mark.parametrize("library", KNOWN_BY)
def test_a_library_is_known_only_where_it_belongs(library: str) -> None:
    wrong = [
        f"{module} imports {name}"
        for module in ours()
        for name in imported(module)
        if name == library or name.startswith(library + ".")
        if not any(within(module, allowed) for allowed in KNOWN_BY[library])
        if not (
            re.match(r"aiohttp\.web(\.|$)", name)
            and any(within(module, allowed) for allowed in AIOHTTP_SERVER)
        )
    ]
    assert wrong == []


def test_the_core_imports_nothing_that_does_or_waits() -> None:
    wrong = []
    for module in ours():
        if not within(module, "streams.core"):
            continue
        for name in imported(module):
            top = name.split(".")[0]
            standard = importlib.util.find_spec(top)
            foreign = standard is not None and "site-packages" in (standard.origin or "")
            if top in CORE_BANNED_STANDARD or (foreign and top not in CORE_FOREIGN):
                wrong.append(f"{module} imports {name}")
    assert wrong == []


def names_in_full(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every dotted name that is used or imported, with its import written out."""
    meaning: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            meaning |= {
                a.asname or a.name.split(".")[0]: (a.asname and a.name) or a.name.split(".")[0]
                for a in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                meaning[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.lineno, f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            dotted = ast.unparse(node)
            first, _, rest = dotted.partition(".")
            if first in meaning:
                yield node.lineno, f"{meaning[first]}.{rest}"


def test_only_the_clock_reads_clocks_and_draws_numbers() -> None:
    wrong = [
        f"{module} line {line}: {name}"
        for module, (_, tree) in sources().items()
        if not any(within(module, allowed) for allowed in CLOCKS_ALLOWED)
        for line, name in names_in_full(tree)
        if BANNED_CALLS.fullmatch(name)
    ]
    assert wrong == []


def test_the_ban_on_clocks_sees_through_the_ways_to_import_them() -> None:
    """The rule above is only as good as its reading of names."""
    text = (
        "import time\nimport time as t\nfrom time import monotonic as m\nimport datetime as d\n"
        "from datetime import datetime, date\nimport random, uuid\n"
        "time.time()\nt.sleep(1)\nt.monotonic()\nm()\nd.datetime.now()\ndatetime.now(UTC)\n"
        "date.today()\nrandom.random()\nrandom.Random(7)\nuuid.uuid4()\nuuid.uuid5(a, b)\n"
    )
    found = {line for line, name in names_in_full(ast.parse(text)) if BANNED_CALLS.fullmatch(name)}
    assert found == {3, 7, 9, 11, 12, 13, 14, 16}


def test_files_are_short() -> None:
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path, _ in sources().values()}
    long = {
        str(path.relative_to(ROOT)): lines
        for path, lines in lengths.items()
        if lines > FILE_LINES_MAX
    }
    assert long == {}


def test_functions_are_short() -> None:
    long = [
        f"{module} line {node.lineno}: {node.name} has {lines} lines"
        for module, (_, tree) in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_names_say_what_a_module_is_about() -> None:
    vague = [name for name in sources() if set(re.split(r"[._]", name)) & VAGUE_NAMES]
    assert vague == []


def test_packages_are_empty() -> None:
    """A package that imports its modules makes cycles, and costs every importer all of them."""
    full = [
        str(path.relative_to(ROOT))
        for path, tree in sources().values()
        if path.name == "__init__.py" and tree.body
    ]
    assert full == []


# --- words -----------------------------------------------------------------------------------

# Folders of the people and machines that the project is made on, never of where it runs.
PRIVATE_FOLDERS = ("home", "root", "work", "tmp", "Users")
PRIVATE_PATH = re.compile(rf"[\"'` =(](?:/(?:{'|'.join(PRIVATE_FOLDERS)}))/[A-Za-z._-]+")
TEXT_SUFFIXES = frozenset(
    {"", ".py", ".md", ".toml", ".lock", ".yml", ".yaml", ".json", ".jsonl", ".ini", ".mako"}
    | {".properties", ".txt", ".sh", ".html", ".css"}
)
NOT_OURS = frozenset({"__pycache__", "build", "dist", "node_modules"})


@cache
def texts() -> dict[str, str]:
    """All text files of the project, but for what tools leave behind."""
    found = {}
    for path in sorted(ROOT.iterdir()):
        kept = not path.name.startswith(".") or path.name in {".ci", ".gitignore"}
        if not kept or path.name in NOT_OURS or path.name.endswith(".egg-info"):
            continue
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and file.suffix in TEXT_SUFFIXES and not NOT_OURS & {*file.parts}:
                found[str(file.relative_to(ROOT))] = file.read_text(encoding="utf-8")
    return found


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name} line {number}: {line.strip()[:100]}"
        for name, text in texts().items()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_path_of_a_private_machine_is_named() -> None:
    assert lines_with(PRIVATE_PATH) == []


def test_no_host_of_a_package_index_is_named() -> None:
    """Whoever installs chooses where from. The hosts are asked of pip, so they stand nowhere."""
    index = pytest.importorskip("pip._internal.models.index", reason="pip is not installed").PyPI
    hosts = re.compile(f"{re.escape(index.netloc)}|{re.escape(index.file_storage_domain)}")
    assert lines_with(hosts) == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_by_hash_and_name_no_place(lock: str) -> None:
    text = texts()[lock]
    assert "://" not in text
    assert not re.search(r"(?m)^\s*-(?!-hash=sha256:)", text)
    pinned = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    assert pinned
    assert all(re.match(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+ .*\\$", line) for line in pinned)
    assert text.count("--hash=sha256:") >= len(pinned)


def test_the_lock_for_work_holds_all_of_the_lock_for_running() -> None:
    """Else what is tested is not what runs."""
    pins = {
        lock: {line for line in texts()[lock].splitlines() if "==" in line and line[0] != " "}
        for lock in ("requirements.lock", "requirements-dev.lock")
    }
    assert pins["requirements.lock"] <= pins["requirements-dev.lock"]
