# The one door. Everything runs in .venv, which the first target that needs it builds from requirements.lock.
# Plain pip, on purpose: it takes the CPU build of torch from a local folder of wheels where one is configured.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SHARED ?= ../shared
# Of the nightly kills: another one each night, and `make nightly SEED=20261122` plays a night again.
SEED ?= $(shell date -u +%Y%m%d)

.DEFAULT_GOAL := help
.PHONY: help setup demo run dashboard test nightly lint format bench teacher train ablation folds screenshots audit sbom lock clean

help: ## Show what there is.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## Build the virtual environment.

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

demo: $(READY) ## Play three invented weeks through the real path, offline, then open the dashboard.
	$(BIN)/squall demo $(ARGS)

run: $(READY) ## Run the daemon with the dashboard beside it.
	$(BIN)/squall run --dashboard

dashboard: $(READY) ## Serve the dashboard alone.
	$(BIN)/squall dashboard

test: $(READY) ## Run the tests.
	$(BIN)/pytest $(ARGS)

nightly: $(READY) ## Kill the monitor a hundred times while it tells of alerts, the daemon two hundred times, and a cluster.
	@echo "the seed of these kills: $(SEED)"
	SQUALL_KILLS=100 SQUALL_DAEMON_KILLS=200 SQUALL_KILL_SEED=$(SEED) SQUALL_RAY_ROWS=50000 \
		$(BIN)/pytest tests/test_kills.py tests/test_crash.py tests/test_ray_cluster.py $(ARGS)

lint: $(READY) ## Format check, lint, types, and the one-way rule between rooms.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory audit

format: $(READY) ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## Measure the model on every public set, scoring speed, precisions and explanations.
	$(BIN)/python benchmarks/model.py --data $(SHARED)/data
	$(BIN)/python benchmarks/judged.py --data $(SHARED)/data
	$(BIN)/python benchmarks/scoring.py --data $(SHARED)/data
	$(BIN)/python benchmarks/stories.py --data $(SHARED)/data
	$(BIN)/python benchmarks/companies.py --data $(SHARED)/data
	$(BIN)/python benchmarks/few_shot.py --data $(SHARED)/data
	$(BIN)/python benchmarks/precision.py --data $(SHARED)/data
	$(BIN)/python benchmarks/explanation.py --data $(SHARED)/data --figure docs/images/deletion.svg

teacher: $(READY) ## Train six teachers, and from them the accurate adapter: minutes on a GPU, many hours on two cores.
	$(BIN)/python benchmarks/mpnet.py runs/mpnet
	for part in 1 2 3 4 5 6; do \
		$(BIN)/squall train --data $(SHARED)/data --out runs/teacher-$$part --left-out $$part/6 \
			--recipe benchmarks/recipes/teacher.toml || exit 1; \
	done
	$(BIN)/squall train --data $(SHARED)/data --out runs/accurate --recipe benchmarks/recipes/accurate.toml \
		--unlabelled $(SHARED)/data/replay/finance_2023q1.csv

# The adapter that shipped before, one of the two that the second course learns from.
FORMER := f1bbfa2

train: $(READY) ## Train the fast adapter into runs/fast, as the shipped one was; needs `make teacher` first.
	$(BIN)/squall train --data $(SHARED)/data --out runs/fast-first --recipe benchmarks/recipes/fast_first.toml \
		--unlabelled $(SHARED)/data/replay/finance_2023q1.csv
	rm -rf runs/former && mkdir -p runs/former
	git archive $(FORMER) models/adapters/fast | tar -x -C runs/former --strip-components=3
	$(BIN)/squall train --data $(SHARED)/data --out runs/fast --recipe benchmarks/recipes/fast.toml \
		--unlabelled $(SHARED)/data/replay/finance_2023q1.csv

ablation: $(READY) ## Train once for each part of the recipe, and say what it is worth; needs `make teacher` first.
	$(BIN)/python benchmarks/ablation.py --data $(SHARED)/data --teacher runs/accurate --teacher-encoder runs/mpnet

folds: $(READY) ## Teach a copy of the accurate adapter Financial PhraseBank, in ten folds; nothing of it is kept.
	$(BIN)/python benchmarks/mpnet.py runs/mpnet
	$(BIN)/python benchmarks/folds.py --data $(SHARED)/data --encoder runs/mpnet $(ARGS)

screenshots: $(READY) ## Take the pictures of the dashboard for README and docs.
	$(BIN)/python benchmarks/screenshots.py $(ARGS)

# A mirror of packages may lack this part of the index; pip-audit would then pass over every pin, and be content.
ADVISORIES := https://pypi.org/pypi/pip/25.0/json

audit: $(READY) ## Hold the environment against itself, and the pins against known holes where those are at hand.
	$(BIN)/pip check
	@if ! test -x $(BIN)/pip-audit; then \
		echo "known holes: not looked for, since pip-audit is not installed ($(BIN)/pip install pip-audit)"; \
	elif ! $(BIN)/python -c "from urllib.request import urlopen; urlopen('$(ADVISORIES)', timeout=10)" 2>/dev/null; then \
		echo "known holes: not looked for, since pypi.org does not tell them here"; \
	else \
		$(BIN)/pip-audit --requirement requirements.lock --no-deps --disable-pip; \
	fi

sbom: $(READY) ## Write dist/squall.cdx.json: everything that is installed, with versions and licences (CycloneDX).
	$(PYTHON) -m venv .venv-sbom
	.venv-sbom/bin/pip install --quiet --disable-pip-version-check "cyclonedx-bom==7.5.0"
	mkdir -p dist
	.venv-sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file dist/squall.cdx.json $(BIN)/python
	rm -rf .venv-sbom

lock: ## Pin what pyproject.toml allows today.
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet "torch==2.13.0" ".[dev]"
	.venv-lock/bin/pip freeze --exclude squall | sed 's/+cpu//; s/ @ file:.*//' > requirements.lock
	rm -rf .venv-lock

clean: ## Remove what was built.
	rm -rf $(VENV) build dist *.egg-info
