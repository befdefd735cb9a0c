# People and CI run these; each sets up .venv by itself when it is missing or stale.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := runs/demo
BENCH := build/bench
BENCH_MODEL := $(if $(MODEL),--model "$(MODEL)")
NEWS_EN := inference/framelens/models/news-en
NEWS_EN_FAST := inference/news-en-fast/framelens_news_en_fast/model

.PHONY: demo test check bench models docs notebooks clean distclean

$(STAMP): pyproject.toml inference/pyproject.toml inference/news-en-fast/pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else f"framelens needs Python 3.11 to 3.13, found {v.major}.{v.minor}; set PYTHON=")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e './inference[html,batch,frames,report]' -e ./inference/news-en-fast -e '.[dev]'
	touch $(STAMP)

# The main job: train on the starter corpus, record the run, export, score two inputs.
demo: $(STAMP)
	rm -rf $(DEMO)
	$(BIN)/framelens-train run configs/quickstart.yaml --set output=$(DEMO)
	@echo
	@echo '== examples/harbour_wall.txt: plain text with page furniture =='
	$(BIN)/framelens score examples/harbour_wall.txt -m $(DEMO)/*/model --format table
	@echo '== examples/headlines.jsonl: rows with headlines, as JSON =='
	$(BIN)/framelens score examples/headlines.jsonl -m $(DEMO)/*/model -o $(DEMO)/scored.jsonl
	@head -c 600 $(DEMO)/scored.jsonl; echo ' ...'
	@echo "all rows: $(DEMO)/scored.jsonl; runs: $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db"

test: $(STAMP)
	$(BIN)/python -m pytest

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Speed, memory and recovery, one after another on a machine that does nothing else: about an hour
# and a half on two cores, or some minutes with QUICK=--quick. JSON and tables go to build/bench. With
# FRAMELENS_CORPORA set, on the public corpora, and what is measured on those alone too. MODEL=DIR
# measures another model than the bundled one.
bench: $(STAMP)
	mkdir -p $(BENCH)
	$(BIN)/python benchmarks/cold_start.py $(QUICK) $(BENCH_MODEL) > $(BENCH)/cold_start.json
	$(BIN)/python benchmarks/batch_throughput.py $(QUICK) $(BENCH_MODEL) > $(BENCH)/throughput.json
	$(BIN)/python benchmarks/batch_throughput.py $(QUICK) --runs 3 --model $(NEWS_EN_FAST) --defer-to $(NEWS_EN) \
		--peer $(NEWS_EN) > $(BENCH)/throughput_cascade.json
	$(BIN)/python benchmarks/batch_workers.py $(QUICK) $(BENCH_MODEL) > $(BENCH)/workers.json
	$(BIN)/python benchmarks/score_profile.py $(QUICK) $(BENCH_MODEL) > $(BENCH)/profile.json
	$(BIN)/python benchmarks/session_options.py $(QUICK) $(BENCH_MODEL) > $(BENCH)/session_options.json
	$(BIN)/python benchmarks/batch_memory.py $(QUICK) > $(BENCH)/memory.json
	$(BIN)/python benchmarks/batch_recovery.py $(QUICK) > $(BENCH)/recovery.json
	$(BIN)/python benchmarks/batch_hostile.py $(QUICK) > $(BENCH)/hostile.json
	$(BIN)/python benchmarks/batch_tables.py $(BENCH) > $(BENCH)/tables.md
	@cat $(BENCH)/tables.md
ifdef FRAMELENS_CORPORA
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/corpora.py "$(FRAMELENS_CORPORA)"
	$(BIN)/python benchmarks/polnear_features.py "$(FRAMELENS_CORPORA)"
	$(BIN)/python benchmarks/round_trip.py "$(FRAMELENS_CORPORA)"
	$(BIN)/python benchmarks/near_duplicates.py "$(FRAMELENS_CORPORA)"
	$(BIN)/python benchmarks/segmentation.py "$(FRAMELENS_CORPORA)"
	$(BIN)/python benchmarks/cascade.py "$(FRAMELENS_CORPORA)" --model $(NEWS_EN_FAST)
endif

# The models that ship: news-en from 0.16.0 and news-en-fast from 0.12.0, as these were released; `make runs/news-en-open/.trained` trains the third. They train on
# the public corpora of FRAMELENS_CORPORA (news-en-open on the packaged ones alone), each in a folder of its own under runs/. A training that was killed goes on
# when this is called again.
RELEASED_0.16.0 := 1aa0dfedffca0742d31ab8fbced6500752aa281c
RELEASED_FAST_0.12.0 := cc0a093b7ba26529eaa31dd603286fd2a236b5b7
models: runs/news-en/.trained runs/news-en-fast/.trained
runs/news-en/.trained: runs/released/news-en-0.16.0
runs/news-en-fast/.trained: runs/released/news-en-fast-0.12.0
runs/released/news-en-fast-%:
	$(call released,$(RELEASED_FAST_$*),$(NEWS_EN_FAST))
runs/released/news-en-%:
	$(call released,$(RELEASED_$*),$(NEWS_EN))
runs/%/.trained: configs/%.yaml | $(STAMP)
	$(call train,configs/$*.yaml)

define released
	mkdir -p $@.partial
	git archive $(1):$(2) | tar -x -C $@.partial
	mv $@.partial $@
endef

define train
	@if grep -qs '"finished": true' $(@D)/*/run.json; then \
		echo '$(@D) holds a finished run: move it away, or, if it is of this config, touch $@' >&2; \
		exit 1; fi
	$(BIN)/framelens-train run $(1) $(if $(wildcard $(@D)/*/run.json),--resume) $(2)
	touch $@
endef

# The site, in build/docs. A link or a reference that leads nowhere is an error.
docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going --quiet --fresh-env -b html -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

# Run every notebook from a clean kernel and save it with its outputs. The third one reads the
# newest run of the quickstart, which `make demo` records.
notebooks: $(STAMP)
	$(BIN)/python tests/execute_notebooks.py notebooks/*.ipynb

# What the targets above make again. Trained models and the registry stay.
clean:
	rm -rf $(VENV) build inference/build inference/news-en-fast/build $(DEMO)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis

# All runs, also your own, with the models that they exported; the store with its registry.
distclean: clean
	rm -rf runs mlflow.db* mlartifacts
