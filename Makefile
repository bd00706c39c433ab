# Needs Python 3.11 or later and make, of which macOS's 3.81 is new enough. All packages are installed into .venv.

PYTHON ?= python3
SHELL := /bin/sh
VENV_PYTHON := .venv/bin/python

# What these variables change belongs to another Python than that of .venv: where its modules are, whether the modules of
# this folder can be imported, and whether `assert` does anything.
unexport PYTHONEXECUTABLE PYTHONHOME PYTHONINSPECT PYTHONOPTIMIZE PYTHONPATH PYTHONPLATLIBDIR PYTHONSAFEPATH

PROJECT := $(shell sed -n '/^name = /{s/.*"\(.*\)".*/\1/p;q;}' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help dev live token branches test test-tools test-uvicorn cluster test-cluster lint format lock reset clean python \
	profile screenshots screenshot-tilt down destroy status intrude image scan sign changes backup restore rotate switchover \
	load bench-reload faults audit sbom environment-workbench environment-dev environment-all

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables of dev, with their defaults (port 0 is any free port):"
	@echo "  INGRESS_PORT=8080 API_PORT=8000 OPS_PORT=9000 REPLICAS=1 DATA=.workbench PYTHON=python3"
	@echo "  PROMETHEUS_PORT=9095; PROMETHEUS=yes fetches it, no runs without it; TRACES=console shows a trace of each request"
	@echo "  STABLE=main runs one more replica, with the files of that commit"
	@echo "  BRANCH_DATABASES=yes gives each git branch a database of its own"
	@echo "  IDENTITY=no lets everybody do everything, and runs no identity provider"
	@echo "  DEBUG_PORT=5678; DEBUG=yes lets an editor attach to the first replica there"

# make exports the variables of its command line to the environment, where the workbench reads them.
dev: environment-workbench ## run the whole stack on this machine, until Ctrl-C
	@$(VENV_PYTHON) -m workbench

# $(call module_for,NAME): the module of the workbench, or that of the cluster.
module_for = $(if $(filter-out cluster workbench,$(WHERE)),$(error WHERE=$(WHERE) is not valid: only `cluster` \
	and `workbench` are),$(or $(WHERE),workbench).$(1))

live: python ## wait until the code in the files answers, or print what refused it; ARGS=--json; WHERE=cluster
	@$(PYTHON) -m $(call module_for,live) $(ARGS)

# The environment has a USER too: the one who works on this machine.
given = $(if $(filter command,$(origin $(1))),$(2) "$$$(1)")

token: environment-workbench ## print an access token; USER=ada, ROLE=admin; DATA= as for dev; WHERE=cluster
	@$(VENV_PYTHON) -m $(call module_for,access_token) \
		$(call given,USER,--user) $(call given,ROLE,--role)

branches: environment-workbench ## list the git branches that have a database; REMOVE=name removes one, REMOVE=gone old ones
	@$(VENV_PYTHON) -m workbench.branches

# The tests that need nothing but the URL of an ingress: those of any service, and those of each domain.
INGRESS_TESTS := tests/ingress $(filter-out tests/workbench/%,$(wildcard tests/*/ingress))
# Files run side by side, see tests/running/workers.py.
SIDE_BY_SIDE := --numprocesses auto --dist loadfile

# The tests of what does not ship: the workbench, the commands for a cluster, adoption, measurements, the pages of docs/.
TOOL_TESTS := bench $(wildcard $(foreach part,adoption cluster docs faults running workbench workflows,tests/$(part) \
	tests/*/$(part)))

# $(call run_tests,ARGUMENTS): of pytest.
run_tests = $(VENV_PYTHON) -m pytest -p tests.running.programs --bring=$@ $(addprefix --without=,$(WITHOUT)) $(or $(ARGS),$(1))

# Otherwise each of the many processes would compile its modules again.
test test-tools test-uvicorn: export PYTHONDONTWRITEBYTECODE :=
test: environment-dev ## test service/ and k8s/; ARGS="-k name" selects tests; WITHOUT=chromium; INGRESS_URL=http://... asks that
	@$(call run_tests,$(if $(INGRESS_URL),$(INGRESS_TESTS),$(SIDE_BY_SIDE) tests $(addprefix --ignore=,$(TOOL_TESTS))))

test-tools: environment-dev ## test everything else: the workbench, live reload, the commands for a cluster
	@$(call run_tests,$(SIDE_BY_SIDE) $(TOOL_TESTS))

# The tests of what depends on the HTTP server.
SERVER_TESTS := $(addprefix tests/service/,test_lifecycle.py test_errors.py test_limits.py test_admission.py \
	test_database.py resource/test_feed.py test_logs.py test_metrics.py) \
	$(addprefix tests/workbench/reload/,test_reload.py test_reload_supervision.py test_websockets.py)

test-uvicorn: environment-dev ## run the tests of what depends on the HTTP server, on uvicorn
	@SERVICE_SERVER=uvicorn $(VENV_PYTHON) -m pytest $(SIDE_BY_SIDE) $(SERVER_TESTS)

# The tests of users in a cluster that has them.
IDENTITY_TESTS := tests/cluster/identity tests/workbench/identity/test_dex.py

# $(call needs,PROGRAM,WHAT TO DO): says that it is missing before anything begins.
needs = command -v $(1) >/dev/null || { echo "make $@: $(1) is not installed: $(2)" >&2; exit 1; }
BY_MISE := \`mise install\` brings it

# `tilt ci` ends with `make test INGRESS_URL=...`, for which the virtual environment is made before its time is counted.
test-cluster: environment-dev ## create the cluster, start everything in it and test it, as docs/cluster.md does
	@$(call needs,tilt,$(BY_MISE))
	@$(PYTHON) -m cluster.create
	@tilt ci
	@$(PYTHON) -m cluster.status
	@$(PYTHON) -m cluster.intruder
	@! grep -q components/identity k8s/overlays/dev/kustomization.yaml \
		|| IDENTITY_GATEWAY=http://localhost:8080 $(VENV_PYTHON) -m pytest $(IDENTITY_TESTS)

lint: environment-dev ## check style, types, imports, migrations, YAML, workflows and links
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m mypy
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/squawk 'service/migrations/**/*.sql'
	@$(VENV_PYTHON) -m yamllint --strict k8s .github $(wildcard *.yaml)
	@.venv/bin/hadolint Dockerfile .devcontainer/Dockerfile
	@.venv/bin/zizmor --quiet --offline --persona pedantic .github
	@.venv/bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@.venv/bin/check-jsonschema --quiet --builtin-schema vendor.renovate .github/renovate.json
	@$(VENV_PYTHON) -m checks.links

format: environment-dev ## format the code, and fix what ruff can fix
	@$(VENV_PYTHON) -m ruff format --quiet . # first: ruff check stops at long lines, which this breaks
	@$(VENV_PYTHON) -m ruff check --fix .
	@$(VENV_PYTHON) -m ruff format .

COMPILE := .venv/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--quiet --upgrade --custom-compile-command 'make lock' pyproject.toml
DEV := --extra uvicorn --group workbench --group test --group profile --group lint

# Each file is needed, because each is installed somewhere without the larger ones. They agree on all versions:
#   service    in the production image
#   uvicorn    in the production image that is built with SERVER=uvicorn
#   reload     in the development image, which needs watchfiles but neither Envoy nor PostgreSQL
#   workbench  by `make dev`, whose first start should not install the test tools
#   dev        by `make test` and `make lint`
#   all        by `make audit`, `make sbom` and measurements, which few people run; some packages add pytest plugins
# They say `via pyproject.toml` without the project's name, so that to rename it changes none of them.
lock: python ## update requirements/*.txt to the newest versions that pyproject.toml allows
	@$(PYTHON) -m venv .venv/lock
	@$(PYTHON) -m workbench.machine.pip .venv/lock install --quiet --upgrade uv
	$(COMPILE) -o requirements/service.txt
	$(COMPILE) --extra uvicorn -c requirements/service.txt -o requirements/uvicorn.txt
	$(COMPILE) --group reload -c requirements/service.txt -o requirements/reload.txt
	$(COMPILE) --group workbench -c requirements/service.txt -o requirements/workbench.txt
	$(COMPILE) $(DEV) -c requirements/workbench.txt -o requirements/dev.txt
	cat /dev/null $(wildcard bench/*/requirements.in) | $(COMPILE) - $(DEV) --group audit -c requirements/dev.txt \
		-o requirements/all.txt
	@sed -i.uv 's/ [^ ]* (\(pyproject.toml[^)]*\))/ \1/' requirements/*.txt && rm requirements/*.txt.uv

profile: environment-dev ## write profile.svg: where the time goes in a running make dev; SECONDS=10, OUTPUT=profile.svg
	@$(VENV_PYTHON) -m workbench.profiling

screenshots: environment-dev ## take pictures of the page, docs/measured/page-NAME.png
	@$(VENV_PYTHON) -m workbench.programs chromium
	@$(VENV_PYTHON) -m tests.page.screenshots

screenshot-tilt: environment-dev ## take a picture of a running `tilt up`
	@$(VENV_PYTHON) -m workbench.programs chromium
	@$(VENV_PYTHON) -m tests.page.tilt

reset: python ## delete the data of the workbench, in DATA (default .workbench)
	@$(PYTHON) -m workbench.reset

# A variable that is not set keeps the Dockerfile's default.
VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
comma := ,
IMAGE_ARGS := $(foreach name,SERVER PYTHON_IMAGE PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST,\
	$(if $($(name)),--build-arg $(name))) $(if $(PIP_CERT),--secret id=ca$(comma)src=$(PIP_CERT))

IMAGE ?= $(PROJECT)
# mode=min: with mode=max everyone could read the build arguments, and the address of a mirror can contain a password.
PUSHED := $(if $(filter yes,$(PUSH)),--push --sbom=true --provenance=mode=min --metadata-file image.json)

image: ## build the production image IMAGE:VERSION; SERVER=uvicorn; PUSH=yes PLATFORMS=... pushes it
	$(if $(filter-out yes,$(PUSH)),$(error PUSH=$(PUSH) is not valid: only `yes` pushes the image))
	@$(call needs,docker,see https://docs.docker.com/engine/install/)
	@docker buildx version >/dev/null 2>&1 || { \
		echo "make $@: the Dockerfile needs BuildKit: install Docker's plugin buildx (docker-buildx)" >&2; exit 1; }
	@docker $(if $(PUSHED),buildx build $(PUSHED),build) $(if $(PLATFORMS),--platform $(PLATFORMS)) \
		--tag $(IMAGE):$(VERSION) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) $(IMAGE_ARGS) .

GRYPE ?= grype
scan: ## look for known and corrected vulnerabilities in the image that `make image` built; needs grype
	@$(call needs,$(GRYPE),see https://github.com/anchore/grype)
	@$(GRYPE) --quiet --only-fixed --fail-on high docker:$(IMAGE):$(VERSION)

# By its digest: a tag could lead to another image by now.
sign: ## sign the image that `make image PUSH=yes` pushed, with all its platforms; needs cosign
	@test -f image.json || { echo "make sign: image.json is missing: run \`make image PUSH=yes IMAGE=...\` first" >&2; exit 1; }
	@$(call needs,cosign,see https://docs.sigstore.dev)
	@cosign sign --yes --recursive $(IMAGE)@$$(sed -n 's/.*"containerimage.digest": "\([^"]*\)".*/\1/p' image.json)

changes: export VERSION := $(VERSION)
changes: python ## print what CHANGELOG.md says about VERSION, which has to be the version of pyproject.toml
	@$(PYTHON) -m checks.release

cluster: python ## create the local cluster with ctlptl and k3d, if Docker and the ports allow it
	@$(PYTHON) -m cluster.create

down: ## stop everything in the cluster, like `tilt down`; the data is kept
	@$(call needs,tilt,$(BY_MISE))
	@tilt down

destroy: ## delete the cluster, its registry and all its data
	@$(call needs,k3d,$(BY_MISE))
	@$(call needs,docker,see https://docs.docker.com/engine/install/)
	@docker rm --force --volumes $(PROJECT)-registry >/dev/null 2>&1 || true # ctlptl would leave its volume
	@k3d cluster delete $(PROJECT) # ctlptl sees no cluster whose context is not in the kubeconfig, as after a Ctrl-C
	@docker volume rm --force $(PROJECT)-storage k3d-$(PROJECT)-images # k3d leaves the second one, and the network,
	@docker network rm --force k3d-$(PROJECT) # when it could not make the cluster

status: python ## show the state of each part of the cluster, and what is wrong with it
	@$(PYTHON) -m cluster.status

intrude: python ## test that other pods in the cluster cannot reach the service and its database
	@$(PYTHON) -m cluster.intruder

# WHERE=workbench is the database of the `make dev` that runs on DATA, production one with an archive. The default is the
# cluster's one PostgreSQL.
ifeq ($(WHERE),workbench)
BACKUPS := $(VENV_PYTHON) -m workbench.backups
backup restore: environment-workbench
else ifeq ($(WHERE),production)
BACKUPS := $(PYTHON) -m cluster.archive
else
BACKUPS := $(PYTHON) -m cluster.backups
endif

backup: python ## dump the cluster's database, as a CronJob does each night; WHERE=workbench; WHERE=production archives it
	@$(BACKUPS) backup

restore: python ## restore the dump FILE=name, or list the dumps; WHERE as for backup; WHERE=production AT="2026-11-28 10:00:00Z"
	@$(BACKUPS) restore

rotate: python ## make a new password or certificate while requests go on: SECRET=app-rw-password
	@$(PYTHON) -m cluster.rotation

switchover: python ## let another instance of PostgreSQL be the primary, before its node is drained or restarts; TO=postgres-2
	@$(PYTHON) -m cluster.switchover

load: environment-dev ## send requests for a minute; ARGS="--rate 50 --seconds 60", INGRESS_URL=..., COLLECTION=/path
	@$(VENV_PYTHON) -m bench.traffic --url $(or $(INGRESS_URL),http://localhost:8080) $(ARGS)

clean: ## delete .venv and all caches, but no data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

bench-reload: environment-dev ## measure live reload, compared with three others; ARGS="--edits 20"
	@$(VENV_PYTHON) -m bench.reload $(ARGS)

audit: environment-all ## check all locked packages for known vulnerabilities; needs the network
	@for file in requirements/*.txt; do echo "$$file"; \
		.venv/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r $$file || exit 1; done

sbom: environment-all ## write sbom.json, a CycloneDX bill of materials of the image's packages
	@.venv/bin/cyclonedx-py requirements requirements/service.txt --pyproject pyproject.toml --mc-type application \
		--output-reproducible --output-format JSON --output-file sbom.json
	@echo "sbom.json: $$(grep -c '"purl": "pkg:pypi' sbom.json) packages"

FAULTS_cluster := tests.faults.cluster
FAULTS_production := tests.faults.production

faults: environment-dev ## inject faults under load, and print a table; WHERE=cluster, production, or NAME for tests/NAME/faults/
	@test -n "$(FAULTS_$(WHERE))" -o -d tests/$(WHERE)/faults || { \
		echo "make faults: there is no tests/$(WHERE)/faults: WHERE=cluster, production, or a folder of tests/ with faults" >&2; exit 2; }
	@$(VENV_PYTHON) -m $(or $(FAULTS_$(WHERE)),tests.$(addsuffix .,$(WHERE))faults) $(ARGS)

# An adopted copy has no `make adopt` any more.
-include adoption/targets.mk adoption/adopt/targets.mk

# On stderr, because the output of some targets is taken by a program: $(make token).
environment-workbench: python
	@$(PYTHON) -m workbench.virtualenv workbench >&2

environment-dev: python
	@$(PYTHON) -m workbench.virtualenv dev >&2

environment-all: python
	@$(PYTHON) -m workbench.virtualenv all >&2

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "make: Python 3.11 or later is needed, and $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing):" \
	"install it, or choose another one: make dev PYTHON=python3.13" >&2; exit 1; }

# The targets of measurements that belong to one domain.
-include bench/*/targets.mk
