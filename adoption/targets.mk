# Included by the Makefile: what an adopted copy keeps of adoption/.

.PHONY: resource upgrade
resource: environment-dev ## write a small resource, to be edited; NAME=booking, PLURAL=bookings
	@NAME='$(NAME)' PLURAL='$(PLURAL)' $(VENV_PYTHON) -m adoption.resource

upgrade: environment-dev ## merge a later version of the project that this one comes from; FROM=url, REF=main
	@$(VENV_PYTHON) -m adoption.upgrade
