# make setup | setup-training | demo | test | bench | lint     (PYTHON=python3.11 to choose one)
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
UV = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt
SOURCES = pyproject.toml setup.py package.xml constraints.txt

.PHONY: setup setup-training setup-test demo test bench lint clean

setup: $(VENV)/.ready            ## the runtime, ROS 2 and CARLA's client from PyPI; no torch
setup-training: $(VENV)/.training  ## PyTorch and what training needs, besides
setup-test: $(VENV)/.test

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.ready: $(BIN)/uv $(SOURCES)
	$(UV) --editable '.[runtime,ros,sim,report]'
	touch $@

$(VENV)/.training: $(VENV)/.ready
	$(UV) --editable '.[training]'
	touch $@

$(VENV)/.test: $(VENV)/.training
	$(UV) --editable '.[test]'
	touch $@

demo: setup                      ## drive, camera, DDS, node, masks: pictures and figures in out/demo
	$(BIN)/python -m seg_node demo -o out/demo

test: setup-test                 ## lint and every test
	$(MAKE) lint
# Two processes, as in life: torch crashed beside rclpy and the runtimes in one.
	$(BIN)/python -m pytest --ignore=test/training; first=$$?; \
	    $(BIN)/python -m pytest test/training && exit $$first

bench: setup                     ## latency of the shipped model on this machine
	$(BIN)/python -m seg_node bench --size 1280x720 640x360

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build install log out
