# Included by the Makefile: what an adopted copy keeps of adoption/.

.PHONY: upgrade
upgrade: environment-dev ## merge a later version of the project that this one comes from; FROM=url, REF=main
	@$(VENV_PYTHON) -m adoption.upgrade
