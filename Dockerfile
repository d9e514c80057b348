# One image, one process a container: `serve`, as it is, or `worker`. docs/how-to/container.md says how to run it.
#
# Python 3.11 is the one that every test runs on, with the same lock. To pin the base by digest:
#   docker build --build-arg PYTHON_IMAGE=python:3.11.17-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11.17-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
RUN python -m venv /build && python -m venv --without-pip /opt/ipp
COPY requirements/build.txt requirements/image.txt requirements/
# A lock names everything and a wheel of it exists: nothing is resolved, nothing is compiled.
RUN /build/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes \
      -r requirements/build.txt \
    && /build/bin/pip --python /opt/ipp/bin/python install --no-cache-dir --no-deps --only-binary :all: \
      --require-hashes -r requirements/image.txt
COPY pyproject.toml README.md LICENSE ./
COPY src/ src/
RUN /build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /dist . \
    && /build/bin/pip --python /opt/ipp/bin/python install --no-cache-dir --no-deps --no-index /dist/*.whl

FROM ${PYTHON_IMAGE}
# The number is fixed: files in a volume keep it from one image to the next.
RUN groupadd --gid 10001 ipp \
    && useradd --uid 10001 --gid ipp --no-create-home --home-dir /data --shell /usr/sbin/nologin ipp \
    && install --directory --owner ipp --group ipp --mode 0700 /data
COPY --from=build /opt/ipp /opt/ipp
# PYTHONDONTWRITEBYTECODE: everything is compiled already, and the root file system may be read-only.
ENV PATH=/opt/ipp/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    IPP_HOME=/data
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
# For `serve`; a worker answers no one, so `--no-healthcheck` belongs to it. No proxy is asked, and no curl is needed.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-IS", "-c", \
  "import http.client; c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["ipp"]
CMD ["serve", "--host", "0.0.0.0"]

# Last, so that a new commit builds only these labels again.
ARG VERSION=0.1.0
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="IPP" \
      org.opencontainers.image.description="Inventario de Precisión Predictiva: page, HTTP API and worker" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
