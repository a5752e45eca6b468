# Needs Python 3.11 or newer and make; everything else is installed into folders of this checkout.
PYTHON ?= python3
BASE := .venv-base
DEV := .venv
DJI := .venv-dji
SERVE := .venv-serve
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Byte code is made on all cores at once; pip would use one.
PIP_INSTALL := -m pip install --quiet --no-compile
COMPILE := -m compileall -qq -j 0
# Some images of containers set it; then each of the many processes that tests start would compile isotherm anew.
unexport PYTHONDONTWRITEBYTECODE
WORKERS ?= 3

.PHONY: help demo serve test coverage check format lint types contracts docs docs-tables bench fuzz damage chaos scaleout size lock clean

help:  ## Say what the targets do
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(BASE)/installed  ## Install the base and run a simulated inspection (ARGS="-o FOLDER --seed 1")
	$(BASE)/bin/isotherm demo $(ARGS)

serve: $(SERVE)/installed  ## Install the server and start it (ARGS="--data FOLDER --port 8000")
	$(SERVE)/bin/isotherm serve $(ARGS)

# One thread each: libraries that start one a core in every worker wait for one another.
test: export OMP_NUM_THREADS := 1
test: $(DEV)/installed $(DJI)/installed  ## Install everything and run all tests
	$(DEV)/bin/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

# Apart from `test`: before Python 3.12 a tracer makes all tests half as slow again, and checking all types doubles that.
coverage: export OMP_NUM_THREADS := 1
coverage: export ISOTHERM_CHECK_ALL := 1
coverage: $(DEV)/installed $(DJI)/installed  ## Run all tests, all types checked, and say which lines they miss (90 % are wanted)
	rm -f .coverage .coverage.*
	$(DEV)/bin/coverage run -m pytest -n $(WORKERS) --dist worksteal $(ARGS)
	$(DEV)/bin/coverage combine --quiet
	$(DEV)/bin/coverage report

check: lint types contracts docs test  ## Everything that decides a landing

format: $(DEV)/installed  ## Rewrite the sources in the house format
	$(DEV)/bin/ruff format
	$(DEV)/bin/ruff check --fix

lint: $(DEV)/installed
	$(DEV)/bin/ruff format --check
	$(DEV)/bin/ruff check

types: $(DEV)/installed
	$(DEV)/bin/mypy

contracts: $(DEV)/installed
	$(DEV)/bin/lint-imports

docs: $(DEV)/installed  ## Build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(DEV)/bin/mkdocs build --strict --quiet

docs-tables: $(DEV)/installed  ## Write the generated pages of the documentation anew
	$(DEV)/bin/python docs/generate.py

bench: $(DEV)/installed  ## Run the benchmarks; they print ratios
	for script in benchmarks/bench_*.py; do $(DEV)/bin/python $$script || exit 1; done

fuzz: $(DEV)/installed  ## Search by coverage for files that break a parser, a minute each (ARGS="flir --seconds 600")
	$(DEV)/bin/python fuzz/fuzz.py --seconds 60 $(ARGS)

damage: $(DEV)/installed  ## Try 20,000 damaged files on every reader (ARGS="flir --count 100000 --seed 1")
	$(DEV)/bin/python benchmarks/fuzz_formats.py $(ARGS)

chaos: $(DEV)/installed  ## Kill -9 server, workers and jobs 1,000 times under load (ARGS="--kills 60 --seed 1")
	$(DEV)/bin/python benchmarks/chaos.py --kills 1000 $(ARGS)
	$(DEV)/bin/python benchmarks/chaos_queue.py --kills 200 $(ARGS)

scaleout: $(DEV)/installed  ## Work through 100,000 pictures while drivers and workers are killed (ARGS="--images 2000")
	$(DEV)/bin/python benchmarks/scaleout_kills.py --images 100000 --every 15 $(ARGS)

size: $(BASE)/installed  ## Print the size of the base install
	$(BASE)/bin/python benchmarks/install_size.py

lock: ## Resolve all dependencies anew and write constraints.txt
	sh benchmarks/lock.sh

clean:  ## Remove the environments and caches (never your data)
	rm -rf $(BASE) $(DEV) $(DJI) $(SERVE) site .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(BASE)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("isotherm needs Python 3.11 or newer, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv --clear $(BASE)
	$(BASE)/bin/python $(PIP_INSTALL) --editable .
	$(BASE)/bin/python $(COMPILE) $(BASE)/lib src || true
	touch $@

$(SERVE)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(SERVE)
	$(SERVE)/bin/python $(PIP_INSTALL) --editable '.[serve]'
	$(SERVE)/bin/python $(COMPILE) $(SERVE)/lib src || true
	touch $@

$(DEV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("isotherm needs Python 3.11 or newer, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv --clear $(DEV)
	$(DEV)/bin/python $(PIP_INSTALL) --editable '.[all,dev]'
	$(DEV)/bin/python $(COMPILE) $(DEV)/lib src || true
	touch $@

# AGPL-3.0: a program of its own in an environment of its own, never imported. It declares Python 3.12 and runs on 3.11.
$(DJI)/installed: constraints.txt
	$(PYTHON) -m venv --clear $(DJI)
	$(DJI)/bin/python $(PIP_INSTALL) numpy pillow
	$(DJI)/bin/python $(PIP_INSTALL) --no-deps --ignore-requires-python dji-thermal-cli==1.4.0
	$(DJI)/bin/python $(COMPILE) $(DJI)/lib || true
	touch $@
