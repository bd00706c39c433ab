# Two images: `runtime` for production (the default target), and `dev`, which reloads its sources after each change.
#
# Behind a proxy or with a mirror, use --build-arg PYTHON_IMAGE=... --build-arg PIP_INDEX_URL=..., and for a private
# certificate authority --secret id=ca,src=ca.pem. Docker passes HTTP_PROXY and HTTPS_PROXY to every build.
# --build-arg SERVER=uvicorn replaces Hypercorn, for half of its CPU behind the ingress; it also sets SERVICE_SERVER.
ARG PYTHON_IMAGE=docker.io/library/python:3.13.15-slim-trixie
ARG SERVER=hypercorn

# Common to both images: the user and the paths. /app/.venv contains the packages without pip.
# hadolint ignore=DL3006 -- the argument above contains the tag
FROM ${PYTHON_IMAGE} AS base
RUN groupadd --gid 10001 service \
    && useradd --uid 10001 --gid 10001 --home-dir /app --no-create-home --shell /usr/sbin/nologin service
# PYTHONPATH: `python -m service` works from any folder, and where the platform sets PYTHONSAFEPATH.
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

# This layer changes only with requirements/. Every package is a wheel with a known hash, so no compiler is needed.
# Swagger's editor and source maps are not used; they would be a quarter of the packages' size.
FROM base AS packages
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG SERVER
COPY requirements/service.txt requirements/uvicorn.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=ca \
    case "$SERVER" in \
        hypercorn) requirements=service.txt ;; \
        uvicorn) requirements=uvicorn.txt ;; \
        *) echo "SERVER=$SERVER is neither hypercorn nor uvicorn" >&2; exit 1 ;; \
    esac; \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python -m venv --without-pip .venv \
    && pip --python .venv install --require-hashes --only-binary :all: --disable-pip-version-check \
        --compile --requirement "requirements/$requirements" \
    && find .venv -path '*/swagger_ui/static/*' \( -name 'swagger-editor*' -o -name '*.map' \) -delete

FROM packages AS packages-dev
COPY requirements/reload.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    pip --python .venv install --require-hashes --only-binary :all: --disable-pip-version-check \
        --compile --requirement requirements/reload.txt

# The bytecode is compiled here, because the root file system is read-only at run time. The hashes are unchecked,
# because the sources in an image never change.
FROM base AS compiled
COPY service service
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash service

# The service with its reload supervisor. The user owns the sources, so that Tilt can copy changed files over them.
FROM base AS dev
COPY --from=packages-dev /app/.venv .venv
COPY workbench workbench
COPY --chown=10001:10001 service service
ARG SERVER
ENV SERVICE_SERVER=${SERVER} RELOAD_VERDICT_FILE=/tmp/verdict.json
USER 10001:10001
EXPOSE 8000 9000
ENTRYPOINT ["python", "-m", "workbench.reload"]

FROM base AS runtime
COPY --from=packages /app/.venv .venv
COPY --from=compiled /app/service service
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="slipway" \
    org.opencontainers.image.description="An async Python service, and the environment to work on it" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
ARG SERVER
ENV SERVICE_VERSION=${VERSION} \
    SERVICE_SERVER=${SERVER}
USER 10001:10001
EXPOSE 8000 9000
ENTRYPOINT ["python", "-m", "service"]
