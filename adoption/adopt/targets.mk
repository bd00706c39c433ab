# Included by the Makefile, until the adoption deletes this folder.

# `make -j adopt resource` would do both at once.
ifneq ($(filter adopt,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

.PHONY: adopt test-adopt
adopt: python ## make the project your own; NAME=harbor TITLE=Harbor REPOSITORY=https://... EXAMPLE=drop IDENTITY=no
	@$(only_given) $(PYTHON) -m adoption.adopt

# The tests of this folder, which later changes seldom concern: `make test-tools` leaves them to `make test-adopt`.
SIDE_BY_SIDE += --ignore tests/adoption/adopt

test-adopt: environment-dev ## test all of this; then adopt a copy, add resources, and run, test and upgrade it
	@$(VENV_PYTHON) -m pytest --numprocesses auto tests/adoption/adopt
	@$(VENV_PYTHON) -m tests.adoption.adopt $(ARGS)
