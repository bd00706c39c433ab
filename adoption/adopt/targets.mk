# Included by the Makefile, until the adoption deletes this folder.

# `make -j adopt resource` would do both at once.
ifneq ($(filter adopt,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

.PHONY: adopt test-adopt
adopt: python ## make the project your own; NAME=harbor TITLE=Harbor REPOSITORY=https://... EXAMPLE=keep or drop
	@$(only_given) $(PYTHON) -m adoption.adopt

test-adopt: environment-dev ## adopt a copy, add a resource, and run, test and upgrade it; takes a while
	@$(VENV_PYTHON) -m tests.adoption.adopt $(ARGS)
