"""Who may import whom, and what nobody may do: the picture of docs/ARCHITECTURE.md, held by the syntax tree."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
FILES = {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in sorted(SOURCE.rglob("*.py"))}

# Layer: the parts of ivcrush that it may import. The longest name that fits a module is its layer.
MAY_IMPORT = {
    "ivcrush.domain": {"ivcrush.domain"},
    "ivcrush.utils": {"ivcrush.utils", "ivcrush.domain.errors", "ivcrush.domain.market_calendar"},
    "ivcrush.config": {"ivcrush.config", "ivcrush.domain", "ivcrush.utils"},
    "ivcrush.application": {"ivcrush.application", "ivcrush.domain"},
    "ivcrush.application.metrics": {"ivcrush.application.metrics", "ivcrush.domain"},
    "ivcrush.application.services": {"ivcrush.application", "ivcrush.domain", "ivcrush.utils.performance"},
    "ivcrush.infrastructure": {"ivcrush.infrastructure", "ivcrush.domain", "ivcrush.utils"},
    "ivcrush.providers": {"ivcrush.infrastructure", "ivcrush.config.settings", "ivcrush.domain", "ivcrush.utils"},
    "ivcrush.at_rest": {"ivcrush.infrastructure", "ivcrush.config.settings", "ivcrush.domain", "ivcrush.utils"},
    "ivcrush.container": {
        "ivcrush.providers", "ivcrush.application", "ivcrush.infrastructure", "ivcrush.config.settings",
        "ivcrush.domain", "ivcrush.utils",
    },
    "ivcrush.health_container": {
        "ivcrush.at_rest", "ivcrush.providers", "ivcrush.application", "ivcrush.infrastructure",
        "ivcrush.config.settings", "ivcrush.domain", "ivcrush.utils",
    },
    "ivcrush.operations_container": {
        "ivcrush.at_rest", "ivcrush.application", "ivcrush.infrastructure", "ivcrush.config.settings",
        "ivcrush.domain", "ivcrush.utils",
    },
    "ivcrush.cli": {
        "ivcrush.cli", "ivcrush.container", "ivcrush.health_container", "ivcrush.operations_container",
        "ivcrush.providers", "ivcrush.application",
        "ivcrush.config.places", "ivcrush.config.settings", "ivcrush.config.rules", "ivcrush.config.validation",
        "ivcrush.domain", "ivcrush.utils",
    },
    "ivcrush.cli.demo": {"ivcrush.domain", "simulated_market"},
    "simulated_market": {"simulated_market"},
}  # fmt: skip
# Library: the only parts that may import it.
ONLY_IN = {
    "httpx": {"ivcrush.infrastructure.api"},
    "sqlite3": {"ivcrush.infrastructure.database", "ivcrush.infrastructure.cache"},
    "cachetools": {"ivcrush.infrastructure.cache"},
    "pydantic": {"ivcrush.config.config", "ivcrush.config.validation"},
    "pydantic_settings": {"ivcrush.config.config"},
    "dotenv": {"ivcrush.config.sources"},
    "tenacity": {"ivcrush.utils.retry"},
    "argparse": {"ivcrush.cli"},
    "subprocess": set(),
    "pickle": set(),
    "marshal": set(),
    "shelve": set(),
}
PURE = ("ivcrush.domain", "ivcrush.application.metrics")
IMPURE = {"asyncio", "io", "logging", "os", "pathlib", "random", "secrets", "socket", "sys", "threading", "time"}
CLOCKS = {"now", "today", "utcnow", "localtime", "fromtimestamp"}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def imported(module: str) -> set[str]:
    """Every module named in an import, those inside functions too; `from a import b` names a, and a.b if it is one."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            assert node.module is not None
            whole = {f"{node.module}.{alias.name}" for alias in node.names} & FILES.keys()
            found |= whole or {node.module}
    return found


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def layer(module: str) -> str | None:
    return max((name for name in MAY_IMPORT if inside(module, name)), key=len, default=None)


def modules_in(*packages: str) -> list[str]:
    return [module for module in FILES if any(inside(module, package) for package in packages)]


def calls(module: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call by its last name."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


@pytest.mark.parametrize("module", FILES)
def test_a_module_imports_only_what_its_layer_may(module):
    home = layer(module)
    own = {name for name in imported(module) if name.split(".")[0] in {"ivcrush", "simulated_market"}}
    if home is None:
        assert own == set(), "a module of no layer"
        return
    astray = {name for name in own if name != "ivcrush" and not any(inside(name, may) for may in MAY_IMPORT[home])}
    assert astray == set()


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_used_in_its_own_place_only(library):
    users = {module for module in FILES if any(inside(name, library) for name in imported(module))}
    astray = {
        module
        for module in users
        if inside(module, "ivcrush") and not any(inside(module, place) for place in ONLY_IN[library])
    }
    assert astray == set()


@pytest.mark.parametrize("module", modules_in("ivcrush.domain"))
def test_the_domain_needs_the_standard_library_and_numpy_only(module):
    foreign = {name.split(".")[0] for name in imported(module)} - sys.stdlib_module_names - {"numpy", "ivcrush"}
    assert foreign == set()


@pytest.mark.parametrize("module", modules_in("simulated_market"))
def test_the_simulated_market_needs_the_standard_library_and_numpy_only(module):
    foreign = {name.split(".")[0] for name in imported(module)} - sys.stdlib_module_names
    assert foreign <= {"numpy", "simulated_market"}


@pytest.mark.parametrize("module", modules_in(*PURE))
def test_domain_and_metrics_read_no_clock_log_file_or_chance(module):
    assert {name.split(".")[0] for name in imported(module)} & IMPURE == set()
    asked = {name for name, _ in calls(module)}
    assert asked & (CLOCKS | {"open", "print", "default_rng"}) == set()


@pytest.mark.parametrize("module", modules_in(*PURE))
def test_nothing_awaits_in_domain_and_metrics_but_the_protocols(module):
    awaiting = any(isinstance(node, ast.Await | ast.AsyncFunctionDef) for node in ast.walk(tree(module)))
    assert awaiting is (module == "ivcrush.domain.protocols")


@pytest.mark.parametrize("module", modules_in("ivcrush"))
def test_the_machines_clock_is_read_in_one_place(module):
    reads = {
        name
        for name, call in calls(module)
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and (call.func.value.id, name)
        in {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
    }
    assert reads == ({"now"} if module == "ivcrush.utils.timezone" else set())


@pytest.mark.parametrize("module", FILES)
def test_nothing_runs_text_as_code_or_trusts_an_unverified_peer(module):
    named = {call.func.id for _, call in calls(module) if isinstance(call.func, ast.Name)}
    assert named & {"eval", "exec", "compile", "__import__"} == set()
    assert not re.search(r"verify\s*=\s*False|CERT_NONE|check_hostname\s*=\s*False", FILES[module].read_text())


def test_the_contract_speaks_of_modules_that_exist():
    places = {*MAY_IMPORT, *PURE}.union(*MAY_IMPORT.values(), *ONLY_IN.values())
    packages = {name.removesuffix(".__init__") for name in FILES}
    assert places - packages == set()
