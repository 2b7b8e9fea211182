# Every verb sets the checkout up by itself first; see tools/bootstrap.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

BIN := .venv/bin
UV = $(shell command -v uv || echo .dev/tools/bin/uv)
SOURCES := $(wildcard libs/*/src services/*/src console/src dev/src tests/*/src) bench tests/e2e tests/deploy \
    tests/browser tests/cluster tests/outages
# Each by itself: their conftest.py all have one name.
TESTS := $(wildcard libs/*/tests services/*/tests console/tests dev/tests tests/*/tests) tests/arch
# The longest first, so that it is not what the others are waited for with.
PARTS := tests/e2e $(TESTS:%/tests=%) tests/deploy
.PHONY: help up down status logs stop start demo test browser cluster outages scan rabbitmq bench soak agreement fuzz kills upgrade check lock contracts alerts clients asyncapi docs migration service mutants env bootstrap $(PARTS)

help: ## Show this help
	@awk -F ':.*## ' '/^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
	    /^[a-z]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it
demo: bootstrap ## Bring everything up, play three journeys, leave nothing running; LOOK=1 waits for Enter
	@LOOK=$(LOOK) $(BIN)/crm-dev demo

##@ Run it
up: bootstrap ## Start the stack, print its addresses and a login; data survives; REPLICAS=2 or "messaging=3"; OBSERVE=1
	@$(if $(OBSERVE),tools/prometheus --version >/dev/null)
	@CRM_REPLICAS="$(or $(REPLICAS),$(CRM_REPLICAS))" CRM_OBSERVE="$(or $(OBSERVE),$(CRM_OBSERVE))" \
	    $(BIN)/crm-dev up --company
down: bootstrap ## Stop the stack
	@$(BIN)/crm-dev down
status: bootstrap ## Show every piece: pid, port, health, restarts
	@$(BIN)/crm-dev status || true
logs: bootstrap ## Follow the logs; S=<name> for one piece
	@$(BIN)/crm-dev logs --follow $(S)
stop: bootstrap ## Take one piece down and watch the rest survive: S=<name>
	@$(BIN)/crm-dev stop $(or $(S),$(error say which piece: make stop S=rabbitmq))
start: bootstrap ## Bring it back: S=<name>
	@$(BIN)/crm-dev start $(or $(S),$(error say which piece: make start S=rabbitmq))

##@ Deploy it
env: ## Write .env with random secrets for docker compose, never overwriting
	@deploy/docker/make-env

##@ Trust it
test: bootstrap ## Run the whole test suite against real servers, JOBS=2 parts at once; ARGS=<pytest options>
	@$(if $(ARGS),$(BIN)/pytest $(ARGS),$(MAKE) -j$(or $(JOBS),2) -Oline --keep-going $(PARTS))
# Each with servers of its own: what one leaves running or breaks is not another's.
$(PARTS):
	@echo "$@ ..."
	@$(BIN)/pytest -q --tb=short $@ && echo "$@ passed"
browser: bootstrap ## Use the console and the simulator in a real browser, or say why there is none
	@if tools/chromium >/dev/null; then $(BIN)/pytest -q --tb=short tests/browser $(ARGS); \
	    else echo "NOTHING WAS TESTED IN A BROWSER" >&2; fi
cluster: bootstrap ## Apply every overlay to a real API server of Kubernetes, or say why there is none
	@if tools/kubernetes; then $(BIN)/pytest -q --tb=short tests/cluster $(ARGS); \
	    else echo "NOTHING WAS APPLIED TO AN API SERVER" >&2; fi
outages: bootstrap ## Cause what each alert is about, and see it fire and resolve: half an hour
	@if tools/prometheus --version >/dev/null; then $(BIN)/pytest -q --tb=short tests/outages $(ARGS); \
	    else echo "NO ALERT WAS CAUSED" >&2; fi
scan: bootstrap ## Scan Dockerfile, manifests and packages, and write the images' bills of materials
	@tools/scan
rabbitmq: bootstrap ## Run the bus's tests on RabbitMQ 4 too, or say why that cannot be had
	@if tools/rabbitmq4; then CRM_RABBITMQ_ROOT=$(CURDIR)/.dev/rabbitmq4 $(BIN)/pytest -q \
	    $(addprefix libs/service-kit/tests/integration/test_,partitions.py consumer.py faststream.py) \
	    $(ARGS); else echo "the bus was not tested on RabbitMQ 4" >&2; fi
alerts: bootstrap ## Test the alert rules, and write them as Kubernetes wants them
	@tools/promtool check config deploy/observability/prometheus.yml
	@tools/promtool test rules deploy/observability/alerts.test.yml
	@# Debian's does not know url_file yet.
	@sed 's#url_file: .*#url: http://example.com#' deploy/observability/alertmanager.yml \
	    >.dev/alertmanager.yml && tools/amtool check-config .dev/alertmanager.yml
	@deploy/observability/make-rules >deploy/observability/rules.yaml
check: bootstrap ## Lint, format, types, import rules, contracts, lock
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	@for tests in $(TESTS); do $(BIN)/mypy $$tests || exit 1; done
	$(BIN)/lint-imports
	$(BIN)/python -m shared_events.contracts --check
	$(BIN)/python -m crm_gateway.surface docs/openapi.json --check
	@$(MAKE) lock
lock: ## Check that uv.lock fits every pyproject.toml
	$(UV) lock --check
bench: bootstrap ## Measure throughput and latency on this machine: [CONTACTS=100000]
	@$(BIN)/python -m bench
soak: bootstrap ## Prove under load and kills that nothing is lost: MINUTES=120 RATE=100 KILL_EVERY=30 [SEED=]
	@MINUTES=$(MINUTES) RATE=$(RATE) KILL_EVERY=$(KILL_EVERY) SEED=$(SEED) $(BIN)/python -m bench.soak
agreement: bootstrap ## Prove that webhooks, stream and feed tell the same under kills: [MINUTES=60 RATE=10 KILL_EVERY=60]
	@MINUTES=$(MINUTES) RATE=$(RATE) KILL_EVERY=$(KILL_EVERY) SEED=$(SEED) $(BIN)/python -m bench.agreement
fuzz: bootstrap ## Ask the REST API of a whole platform what nobody would ask, for an hour or so
	@FUZZ=1 $(BIN)/pytest -q --tb=short tests/e2e/journeys/test_fuzz.py $(ARGS)
kills: bootstrap ## Kill an import of history ten times, and look for each message: [MESSAGES=3000]
	@HISTORY_MESSAGES=$(or $(MESSAGES),3000) $(BIN)/pytest -q --tb=short services/channels-waha/tests/integration/history_kills.py $(ARGS)
upgrade: bootstrap ## Prove that a release before gives way to this one under load: FROM=<revision>
	@$(BIN)/python -m bench.upgrade $(or $(FROM),$(error say what runs before: FROM=v0.1.0))
contracts: bootstrap ## Write contract.json, topology.json, docs/openapi.json and the broker's rights anew
	@$(BIN)/python -m shared_events.contracts
	@$(BIN)/python -m crm_gateway.surface docs/openapi.json
	@cd deploy/k8s/infrastructure && $(CURDIR)/$(BIN)/python make-rights >rights.yaml
clients: bootstrap ## Make the typed clients from docs/openapi.json, to be published or installed
	@$(BIN)/openapi-python-client generate --path docs/openapi.json --meta uv --fail-on-warning \
	    --config clients/python/generator.yml --output-path .dev/clients/python --overwrite
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; for made in typescript postman; do \
	    npm ci --silent --prefix clients/$$made && npm run --silent --prefix clients/$$made build || exit 1; done
asyncapi: bootstrap ## Write the AsyncAPI document of every service into .dev/asyncapi
	@$(BIN)/crm-dev asyncapi
migration: bootstrap ## Write a service's next migration from its models: S=<name> M="<message>"
	@$(BIN)/crm-dev migration $(or $(S),$(error say which service: S=contacts)) \
	    "$(or $(M),$(error say what it does: M="nickname of a contact"))"
service: bootstrap ## Write a new service from the skeleton: N=<name in the plural>
	@$(BIN)/crm-dev service $(or $(N),$(error say its name: make service N=surveys))
mutants: bootstrap ## Which small changes a service's tests notice: S=<name> [F="<folders>" COUNT= SEED= MINUTES=]
	@$(BIN)/crm-dev mutants $(or $(S),$(error say which service: S=contacts)) --folders $(F) \
	    --count $(or $(COUNT),40) --seed $(or $(SEED),0) --minutes $(or $(MINUTES),15)
docs: bootstrap ## Write the settings tables of the READMEs anew
	@$(BIN)/crm-dev docs

bootstrap:
	@tools/bootstrap
