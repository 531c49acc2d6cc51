# Thin names over plain commands; people and CI run the same ones.
# PYTHON names a Python 3.11 or newer; TORTURE multiplies the rounds of torture.

PYTHON ?= python3
TORTURE ?= 1
BIN := .venv/bin
EXTRAS := .venv-extras/bin

UI := ui/node_modules/.package-lock.json

.PHONY: demo demo-ui test test-ui check-ui e2e test-extras torture torture-life check fix zip clean

demo: .venv/ready
	$(BIN)/python -m demo

# The pages on the sample library, in a browser; Ctrl+C ends all of it.
demo-ui: .venv/ready $(UI)
	cd ui && npm run --silent page
	cd ui && npx --no-install vite build --logLevel warn --outDir ../build/pages/ui --emptyOutDir
	@echo 'Looking at the sample library (a minute); then open this address:'
	@$(BIN)/python -m demo.serve --ui build/pages/ui --scan --tag --suggest-only

test: .venv/ready
	$(BIN)/python -m pytest -n 4 --dist worksteal

test-ui: check-ui e2e

# All of the pages that needs no browser.
check-ui: $(UI)
	cd ui && npm run --silent check
	cd ui && npm run --silent types:check
	cd ui && npm run --silent test
	cd ui && npm run --silent built

# In the system's Chromium, in the stand-in Stash; SENSE_STASH names another one to do it in.
e2e: .venv/ready $(UI)
	cd ui && npm run --silent page
	cd ui && npm run --silent e2e

# What torch and its libraries make, in an environment of their own (7 GB on Linux).
test-extras: .venv/ready .venv-extras/ready
	STASH_SENSE_EXTRAS_PYTHON=$(CURDIR)/$(EXTRAS)/python $(BIN)/python -m pytest -m extras

# Every kill, the long search for broken laws and new examples; what was covered is printed.
torture: .venv/ready
	STASH_SENSE_TORTURE=$(TORTURE) $(BIN)/python -m pytest -m "torture or hypothesis" -n 4 --dist worksteal

# All of these but the kills at named states.
torture-life: .venv/ready
	STASH_SENSE_TORTURE=$(TORTURE) $(BIN)/python -m pytest -m "torture or hypothesis" --ignore tests/test_kills.py -n 4 --dist worksteal

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
	rm -rf .venv .venv-extras build dist ui/node_modules ui/page/dist ui/test-results

$(UI): ui/package.json ui/package-lock.json
	@command -v node >/dev/null || { echo 'Node 20.19 or newer is needed for the pages: see nodejs.org'; exit 1; }
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); if (a < 20 || (a === 20 && b < 19)) { console.error("Node 20.19 or newer is needed for the pages, and this is " + process.version); process.exit(1) }'
	cd ui && npm ci --no-audit --no-fund
	touch $(UI)

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
