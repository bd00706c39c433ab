# Included by the Makefile, until the adoption deletes this folder.

.PHONY: adopt test-adopt
adopt: python ## make the project your own; NAME=harbor TITLE=Harbor REPOSITORY=https://... EXAMPLE=keep or drop
	@$(PYTHON) -m adoption.adopt

test-adopt: environment-dev ## adopt a copy, add a resource, and run, test and upgrade it; takes a while
	@$(VENV_PYTHON) -m tests.adoption.adopt $(ARGS)
