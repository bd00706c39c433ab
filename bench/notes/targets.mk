.PHONY: bench bench-check bench-growth bench-owners bench-tracing

bench: environment-all ## measure CPU, throughput and latency, compared with other stacks; ARGS=--help; needs wrk
	@$(VENV_PYTHON) -m bench.notes.speed $(ARGS)

bench-growth: environment-all ## measure how costs grow with rows, connections, replicas, sizes and subscribers
	@$(VENV_PYTHON) -m bench.notes.speed.growth $(ARGS)

bench-check: environment-all ## fail if a request costs more CPU, relative to FastAPI, than the baseline allows
	@$(VENV_PYTHON) -m bench.notes.speed.check $(ARGS)

bench-owners: environment-dev ## measure what it costs that notes have owners
	@$(VENV_PYTHON) -m bench.notes.speed.owners $(ARGS)

bench-tracing: environment-all ## measure the cost of tracing, switched on and off
	@$(VENV_PYTHON) -m bench.notes.speed.tracing $(ARGS)
