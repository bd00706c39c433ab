# Included by the Makefile: what an adopted copy keeps of adoption/.

# Unsets the arguments that are not from make's command line: in some environments NAME is the name of the machine, and
# IDENTITY is for `make dev`.
# make exports those of its command line, so no quote in them can end a word of the shell.
only_given = $(foreach name,NAME PLURAL TITLE REPOSITORY EXAMPLE IDENTITY FROM REF,\
	$(if $(filter command,$(origin $(name))),,unset $(name);))

.PHONY: resource upgrade
resource: environment-dev ## write a small resource, to be edited; NAME=booking, PLURAL=bookings
	@$(only_given) $(VENV_PYTHON) -m adoption.resource

upgrade: environment-dev ## merge a later version of the project that this one comes from; FROM=url, REF=main
	@$(only_given) $(VENV_PYTHON) -m adoption.upgrade
