# Thin names over plain commands; people and CI run the same ones.
# PYTHON names a Python 3.11 or newer; TORTURE multiplies the rounds of torture.

PYTHON ?= python3
TORTURE ?= 1
BIN := .venv/bin
EXTRAS := .venv-extras/bin

.PHONY: demo test test-extras torture torture-life check fix zip clean

demo: .venv/ready
	$(BIN)/python -m demo

test: .venv/ready
	$(BIN)/python -m pytest -n 4 --dist worksteal

# What torch and its libraries make, in an environment of their own (7 GB on Linux).
test-extras: .venv/ready .venv-extras/ready
	STASH_SENSE_EXTRAS_PYTHON=$(CURDIR)/$(EXTRAS)/python $(BIN)/python -m pytest -m extras

# Every kill and the long search for broken laws; what was covered is printed.
torture: .venv/ready
	STASH_SENSE_TORTURE=$(TORTURE) $(BIN)/python -m pytest -m torture -n 4 --dist worksteal

# All of these but the kills at named states.
torture-life: .venv/ready
	STASH_SENSE_TORTURE=$(TORTURE) $(BIN)/python -m pytest -m torture --ignore tests/test_kills.py -n 4 --dist worksteal

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

zip: .venv/ready
	$(BIN)/python tools/build_zip.py

clean:
	rm -rf .venv .venv-extras build dist

# The file is made last, so that an install cut short is done again.
.venv/ready: requirements.txt requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch .venv/ready

# As the task Set up extras does: several of them bring a cv2, into one folder, and one serves all.
.venv-extras/ready: requirements-extras.txt stash_sense_plugin/start/packages.py
	$(PYTHON) -m venv .venv-extras
	$(EXTRAS)/python -m pip install --quiet --disable-pip-version-check --prefer-binary -r requirements-extras.txt
	$(EXTRAS)/python -m pip uninstall --yes --quiet $$($(PYTHON) -B -c 'from stash_sense_plugin.start.packages import CV2; print(*CV2)')
	$(EXTRAS)/python -m pip install --quiet --disable-pip-version-check --no-deps $$($(PYTHON) -B -c 'from stash_sense_plugin.start.packages import ONE_CV2; print(ONE_CV2)')
	touch .venv-extras/ready
