# make setup | setup-training | demo | test | fuzz | bench | lint     (PYTHON=python3.11 to choose one)
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
UV = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt
HUMBLE_PYTHON ?= python3.10
JAZZY_PYTHON ?= python3.12
# Two processes, as in life: torch crashed beside rclpy and the runtimes in one.
# Most tests wait for processes and for DDS. A file stays with one worker: its ROS domain is its own.
SHARED = -n 2 --dist loadfile
COVER = --cov --cov-report= --cov-fail-under=0
SHELL = /bin/bash
SOURCES = pyproject.toml setup.py package.xml constraints.txt

.PHONY: setup setup-training setup-test view docs ros-setup distributions demo test fuzz bench lint clean

setup: $(VENV)/.ready            ## the runtime, ROS 2 and CARLA's client from PyPI; no torch
setup-training: $(VENV)/.training  ## PyTorch and what training needs, besides
setup-test: $(VENV)/.test

view: $(VENV)/.ready             ## Rerun, for `python -m seg_node view`
	$(UV) --editable '.[view]'

docs: $(VENV)/.ready            ## the documentation as a site, in out/docs; a broken link is an error
	$(UV) --editable '.[docs]'
	$(BIN)/python -m mkdocs build --quiet --strict

ros-setup:                       ## what a ROS distribution lacks, in a venv beside the workspace
	$(PYTHON) scripts/ros_setup.py

distributions: setup-test        ## every node in imitations of Humble and Jazzy; minutes
	$(BIN)/python scripts/try_distribution.py humble --python $(HUMBLE_PYTHON)
	$(BIN)/python scripts/try_distribution.py jazzy --python $(JAZZY_PYTHON)

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.ready: $(BIN)/uv $(SOURCES)
	$(UV) --editable '.[runtime,ros,sim]'
	touch $@

$(VENV)/.training: $(VENV)/.ready
	$(UV) --editable '.[training]'
	touch $@

$(VENV)/.test: $(VENV)/.training
	$(UV) --editable '.[test]'
	touch $@

demo: setup                      ## drive, camera, DDS, node, masks: pictures and figures in out/demo
	$(BIN)/python -m seg_node demo -o out/demo

# One half after the other: tests of DDS fail on a machine that is busy with training's.
test: setup-test                 ## lint and every test; one that fails hides none of the others
	@mkdir -p out; rm -f .coverage .coverage.*; \
	    $(MAKE) lint; lint=$$?; \
	    COVERAGE_FILE=.coverage.runtime \
	        $(BIN)/python -m pytest --ignore=test/training $(SHARED) $(COVER); runtime=$$?; \
	    COVERAGE_FILE=.coverage.training \
	        $(BIN)/python -m pytest test/training --timeout 600 $(COVER); training=$$?; \
	    $(BIN)/coverage combine --quiet; \
	    $(BIN)/coverage report --ignore-errors --skip-covered | tail -n 3; cover=$${PIPESTATUS[0]:-0}; \
	    echo "lint $$lint, tests $$runtime, training's tests $$training, coverage $$cover"; \
	    [ $$lint$$runtime$$training$$cover = 0000 ]

CASES ?= 10000
fuzz: setup-test                 ## damaged input for every reader: CASES a target
	$(BIN)/python test/fuzz/run.py --cases $(CASES)

bench: setup                     ## latency of the shipped model on this machine
	$(BIN)/python -m seg_node bench --size 1280x720 640x360

lint: setup-test                 ## every check runs, also behind one that fails
	@failed=; for check in 'ruff check .' 'ruff format --check .' mypy vulture; do \
	    echo $$check; $(BIN)/$$check || failed="$$failed $$check;"; done; [ -z "$$failed" ]

clean:
	rm -rf $(VENV) build install log out
