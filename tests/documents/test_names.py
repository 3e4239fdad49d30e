"""What the documents name exists: settings, exit codes, checks, log fields, tables, modules, messages, paths."""

import re
from pathlib import Path

import pytest

from ivcrush.cli.exit_codes import Exit
from ivcrush.infrastructure.database.migrations import TABLES
from tests.conftest import PROJECT
from tests.documents.test_commands import DOCUMENTS, OPERATED

SOURCE = PROJECT / "src/ivcrush"
DEPLOY = PROJECT / "deploy"
# Capitals that are no setting of ours.
FOREIGN_NAMES = frozenset({"NO_COLOR", "STATE_DIRECTORY", "CACHE_DIRECTORY", "CREDENTIALS_DIRECTORY"})


def _source_text() -> str:
    """All messages of the program, literals that stand beside one another joined."""
    text = "\n".join(path.read_text() for path in sorted(SOURCE.rglob("*.py")))
    return re.sub(r'"\s*\n\s*f?"', "", text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_setting_that_a_document_names_is_one(document: Path) -> None:
    settings = set(re.findall(r"(?m)^([A-Z][A-Z0-9_]+)=", (PROJECT / ".env.example").read_text()))
    settings |= set(re.findall(r"(?m)^#?(IVCRUSH_[A-Z_]+)=", (DEPLOY / "ivcrush.env").read_text()))
    units = "".join(path.read_text() for path in DEPLOY.glob("*.service"))
    settings |= set(re.findall(r'(?m)^Environment="?(IVCRUSH_[A-Z_]+)=', units))
    named = set(re.findall(r"`\$?([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`", document.read_text()))
    assert named - settings - FOREIGN_NAMES == set()


def test_the_runbook_has_every_exit_code() -> None:
    section = _section(PROJECT / "RUNBOOK.md", "## Troubleshooting by exit code")
    assert sorted(int(code) for code in re.findall(r"(?m)^\| ([0-9]+) \|", section)) == sorted(Exit)


@pytest.mark.parametrize("document", OPERATED, ids=lambda path: path.name)
def test_an_exit_code_that_a_document_speaks_of_is_one_of_the_contract(document: Path) -> None:
    told = re.findall(
        r"(?:[Ee]xit(?: code)?|[Cc]odes?|ends? with|ended with) ([0-9]+)(?: (?:and|or) ([0-9]+))?", document.read_text()
    )
    assert {int(code) for pair in told for code in pair if code} <= set(Exit)


def test_the_messages_of_the_runbook_are_those_of_the_program() -> None:
    section = _section(PROJECT / "RUNBOOK.md", "## Troubleshooting by symptom")
    quoted = [text for row in re.findall(r"(?m)^\| (.+?) \|", section) for text in re.findall(r'"([^"]+)"', row)]
    assert quoted
    source = _source_text()
    pieces = {piece.strip() for text in quoted for piece in text.split("…")}
    assert {piece for piece in pieces if piece and piece not in source} == set()


def test_the_implementation_names_every_table_of_the_database() -> None:
    section = _section(PROJECT / "docs/2.0_IMPLEMENTATION.md", "## Storage")
    rows = re.findall(r"(?m)^\| (`.+?) \|", section)
    assert {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)} == set(TABLES)


@pytest.mark.parametrize("name", ["docs/2.0_IMPLEMENTATION.md", "docs/ARCHITECTURE.md"])
def test_a_file_that_the_developers_documents_name_exists(name: str) -> None:
    roots = (
        PROJECT,
        SOURCE,
        SOURCE / "application",
        SOURCE / "infrastructure",
        SOURCE / "infrastructure/database",
        SOURCE / "application/services",
        SOURCE / "application/metrics",
        SOURCE / "infrastructure/api",
        SOURCE / "infrastructure/cache",
        PROJECT / "tests/unit",
    )
    code = re.findall(r"`([a-z_0-9]+(?:/[a-z_0-9]+)*(?:\.py|/|(?<=/)[a-z_0-9]+)?)`", (PROJECT / name).read_text())
    places = {place for place in code if "/" in place or place.endswith(".py")}
    assert places
    missing = {
        place
        for place in places
        if not any((root / place).exists() or (root / f"{place}.py").exists() for root in roots)
    }
    assert missing == set()


def test_the_picture_shows_every_module_of_the_small_packages() -> None:
    """Both ways for the packages that a reader learns by heart; of the others, what is shown exists."""
    picture = _section(PROJECT / "docs/ARCHITECTURE.md", "## Who may import whom").split("```")[1]
    words = set(re.findall(r"[a-z_0-9]+", picture))
    for package in ("domain", "utils", "application", "cli"):
        modules = {path.stem for path in (SOURCE / package).glob("*.py")} - {"__init__"}
        assert modules - words == set(), f"{package}: not in the picture"


def test_the_fields_of_a_log_line_are_those_that_the_program_writes() -> None:
    section = _section(PROJECT / "docs/2.0_IMPLEMENTATION.md", "## Log and timings")
    told = set(re.findall(r"`([a-z_]+)`", section.split("`LOG_FORMAT`")[0]))
    calls = re.findall(r"extra=fields\((.*)\)", _source_text())
    written = {name for call in calls for name in re.findall(r"(\w+)=", call)}
    formatter = (SOURCE / "utils/logging.py").read_text()
    assert told <= written | set(re.findall(r'yield "(\w+)"', formatter))


@pytest.mark.parametrize("document", OPERATED, ids=lambda path: path.name)
def test_a_unit_that_a_document_names_is_shipped(document: Path) -> None:
    shipped = {path.name for path in DEPLOY.rglob("*") if path.suffix in {".service", ".timer"}}
    named = set(re.findall(r"\bivcrush[\w@.-]*\.(?:service|timer)\b", document.read_text()))
    instances = {name for name in named if re.fullmatch(r"ivcrush-alert@.+\.service", name)}  # of the template
    assert named - instances <= shipped
    assert shipped >= {"ivcrush-alert@.service"}


def test_the_table_of_units_has_their_times() -> None:
    section = _section(PROJECT / "DEPLOYMENT.md", "## 9. Units")
    told = dict(re.findall(r"(?m)^\| `(ivcrush[\w-]*\.timer)` \| (.+?) \|", section))
    timers = {path.name: path.read_text() for path in DEPLOY.glob("*.timer")}
    assert told.keys() == timers.keys()
    for name, text in timers.items():
        calendars = re.findall(r"(?m)^OnCalendar=(.+)$", text)
        assert calendars
        for calendar in calendars:
            assert "America/New_York" in calendar
            days = "every day" if calendar.startswith("*-") else "Monday to Friday"
            hours = calendar.split()[1].split(":")
            first, *last = [f"{hour}:{hours[1]}" for hour in hours[0].split("..")]
            assert days in told[name]
            assert {first, *last} <= set(re.findall(r"[0-9]{2}:[0-9]{2}", told[name]))


@pytest.mark.parametrize("document", OPERATED, ids=lambda path: path.name)
def test_a_place_that_a_document_names_is_where_installing_and_running_put_it(document: Path) -> None:
    told = "\n".join(path.read_text() for path in sorted(DEPLOY.rglob("*")) if path.is_file()).replace(
        "%S/", "/var/lib/"
    )
    named = set(re.findall(r"(?<![\w/])(/(?:opt|etc/ivcrush|usr/local|var/lib)[\w./-]*[\w-])", document.read_text()))
    # What the reader makes himself, and what systemd makes of a StateDirectory.
    own = {"/var/lib/private", "/var/lib/prometheus/node-exporter", "/opt/ivcrush.bad"} | {
        place for place in named if re.search(r"(?:csv|txt|json|prom|\.db|backup-)$", place)
    }
    assert {place for place in named - own if place not in told} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_health_check_that_a_document_names_is_one(document: Path) -> None:
    code = (SOURCE / "application/services/health_checks.py").read_text()
    checks = set(re.findall(r'\bCheck\("(\w+)"', code))
    assert len(checks) > 5
    text = document.read_text()
    named = set(re.findall(r"\bcheck `(\w+)`", text)) | set(re.findall(r'\.name == "(\w+)"', text))
    assert named <= checks


@pytest.mark.parametrize("document", OPERATED, ids=lambda path: path.name)
def test_a_metric_that_a_document_names_is_written(document: Path) -> None:
    written = {f"ivcrush_{name}" for name in re.findall(r'_gauge\(\s*"(\w+)"', _metrics_code())}
    written |= set(re.findall(r'"(ivcrush_\w+)"', _metrics_code()))
    named = set(re.findall(r"\bivcrush_\w+", document.read_text()))
    assert named <= written
    if document.name == "RUNBOOK.md":
        assert written - named == {"ivcrush_run_info", "ivcrush_run_start_timestamp_seconds"}, "worth a line?"


def _metrics_code() -> str:
    return (SOURCE / "cli/metrics_file.py").read_text()


def _section(document: Path, heading: str) -> str:
    """From a heading to the next one of its rank."""
    text = document.read_text()
    begun = text.index(f"\n{heading}\n") + len(heading) + 2
    rank = heading.split(maxsplit=1)[0]
    end = re.search(rf"(?m)^{rank} ", text[begun:])
    return text[begun:] if end is None else text[begun : begun + end.start()]
