# Each target does all its own set-up: git, make and Python 3.11 or newer with pip are enough.

PYTHON ?= python3
BIN := .venv/bin
# pip of the machine, installing into the environment: works where Python comes without ensurepip.
PIP := $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-input
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test check check-static format bench accuracy dialect kill faults faults-disk faults-http fuzz power year mutants trial lock clean install-service uninstall-service

help:
	@echo "make demo      backfill and analyse AAPL and a few others on the embedded simulated market: no key, no network"
	@echo "make test      the test suite, with coverage"
	@echo "make check     format, lint, types, import contract, tests"
	@echo "make bench     speed, as ratios measured in one run"
	@echo "make accuracy  the figures of the estimates, against known truth and published tables"
	@echo "make dialect   third-party clients read the simulated market"
	@echo "make kill      the commands killed at random moments, KILLS=300 times: nothing lost, doubled or torn"
	@echo "sudo make faults             every fault that the program must survive, some twenty minutes; what lacks its tool"
	@echo "               is skipped and named (Debian: apt-get install strace faketime openssl mount util-linux systemd)"
	@echo "make faults-disk  each call to the disk of a batch with each way in which it can fail, some forty minutes (strace)"
	@echo "make faults-http  each request of a batch with each fault that its provider can have, most of an hour"
	@echo "make fuzz      FUZZ=1000000 broken texts for everything that reads what others wrote"
	@echo "make power     the power lost at CUTS=1000 moments of the repositories' real writes: nothing acknowledged lost"
	@echo "make year      DAYS=252 simulated trading days in one process: events met and treated rightly, nothing grows"
	@echo "make mutants   errors planted in parsing, event move, earnings moves and resuming: how many the tests find"
	@echo "make trial     a newcomer's first hour: the lines of README and DEPLOYMENT typed into a clean copy"
	@echo "make format    put the code into its form"
	@echo "make lock      renew requirements/*.txt"
	@echo "sudo make install-service    the program into /opt/ivcrush, its units into systemd; again: upgrade"
	@echo "sudo make uninstall-service  removes them; settings, keys, database and results stay"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@$(PYTHON) -m venv --without-pip .venv

.venv/core: requirements/core.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "installing ivcrush into .venv"
	@$(PIP) --require-hashes -r requirements/build.txt -r requirements/core.txt
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

.venv/dev: requirements/dev.txt .venv/core
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

.venv/dialect: requirements/dialect.txt .venv/dev
	@$(PIP) --require-hashes -r requirements/dialect.txt
	@touch $@

.venv/mutation: requirements/mutation.txt .venv/dev
	@$(PIP) --require-hashes -r requirements/mutation.txt
	@touch $@

.venv/oracle: requirements/oracle.txt .venv/dev
	@$(PIP) --require-hashes -r requirements/oracle.txt
	@touch $@

demo: .venv/core
	@$(BIN)/python scripts/backfill.py AAPL --demo
	@$(BIN)/python scripts/analyze.py AAPL --demo
	@$(BIN)/python scripts/analyze_batch.py --tickers AAPL,KO,MSFT,NVDA --demo --fresh

# What runs whole programs, or for long, is not slowed down by counting lines. Only what does neither shares the cores.
LONG := tests/deploy tests/faults tests/fuzz tests/kill tests/performance tests/power tests/year
test: .venv/dev
	@$(BIN)/python -m pytest -n auto --dist worksteal tests/unit --cov --cov-report=
	@$(BIN)/python -m pytest $(addprefix --ignore=,tests/unit tests/dialect $(LONG)) --cov --cov-append --cov-report=term:skip-covered --cov-fail-under=90
	@$(BIN)/python -m tests.branches
	@$(BIN)/python -m pytest $(LONG)

check: check-static test

check-static: .venv/dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: .venv/dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: .venv/dev
	@$(BIN)/python scripts/benchmark.py --write docs/benchmarks.md

accuracy: .venv/oracle
	@$(BIN)/python scripts/accuracy.py

dialect: .venv/dialect
	@$(BIN)/python -m pytest tests/dialect

KILLS ?= 300
kill: .venv/dev
	@$(BIN)/python -m tests.kill --kills $(KILLS)

faults: .venv/dev
	@RUN_PRIVILEGED=1 $(BIN)/python -m pytest tests/faults -rs

faults-disk: .venv/dev
	@DISK_FAULT_CALLS=all $(BIN)/python -m pytest tests/faults/test_disk_loop.py -rs

faults-http: .venv/dev
	@HTTP_FAULT_PAIRS=all $(BIN)/python -m pytest tests/faults/test_http_loop.py

FUZZ ?= 1000000
fuzz: .venv/dev
	@$(BIN)/python -m tests.fuzz --cases $(FUZZ)

CUTS ?= 1000
power: .venv/dev
	@$(BIN)/python -m tests.power --cuts $(CUTS)

DAYS ?= 252
year: .venv/dev
	@$(BIN)/python -m tests.year --days $(DAYS)

mutants: .venv/mutation
	@$(BIN)/python -m tests.mutants --write mutants/survivors.md

trial: .venv/dev
	@$(BIN)/python -m tests.trial

UV := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
lock: $(BIN)/python
	@$(PIP) uv
	@$(UV) --upgrade pyproject.toml -o requirements/core.txt
	@printf 'hatchling\neditables\n' | $(UV) --upgrade - -o requirements/build.txt
	@$(UV) --upgrade --extra dev -c requirements/core.txt pyproject.toml -o requirements/dev.txt
	@$(UV) --upgrade --extra dialect -c requirements/dev.txt pyproject.toml -o requirements/dialect.txt
	@$(UV) --upgrade --extra mutation -c requirements/dev.txt pyproject.toml -o requirements/mutation.txt
	@$(UV) --upgrade --extra oracle -c requirements/dev.txt pyproject.toml -o requirements/oracle.txt

# PYTHON=… and DESTDIR=… given to make reach the scripts.
install-service:
	@deploy/install.sh

uninstall-service:
	@deploy/uninstall.sh

clean:
	rm -rf .venv .coverage htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis mutants
