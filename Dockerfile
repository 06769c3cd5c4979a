# syntax=docker/dockerfile:1
# x86-64 with glibc: Faust's compiled part has no other Linux wheels, and the worker needs it.

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/moment-sync
COPY requirements.lock requirements-dev.lock ./
RUN python -m pip --python /opt/moment-sync/bin/python install --no-cache-dir \
      --disable-pip-version-check --require-hashes -r requirements.lock
# The build backend alone, from the lock that has it.
RUN awk '/^[a-z0-9]/ { keep = /^setuptools==/ } keep' requirements-dev.lock > backend.lock \
 && python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes \
      -r backend.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY connectors connectors
COPY streams streams
RUN python -m pip wheel --no-deps --no-build-isolation --disable-pip-version-check -w dist . \
 && python -m pip --python /opt/moment-sync/bin/python install --no-cache-dir --no-deps \
      --disable-pip-version-check dist/*.whl

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 moment-sync \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/moment-sync moment-sync \
 # A new named volume takes the owner of the directory that it is mounted on.
 && install -d -o 10001 -g 10001 /var/lib/moment-sync \
      /run/moment-sync/client /run/moment-sync/ledger /run/moment-sync/simulators
COPY --from=build /opt/moment-sync /opt/moment-sync
ENV PATH=/opt/moment-sync/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/moment-sync
USER 10001:10001
# Of the worker; whatever else runs from this image says its own, or none.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; port = os.environ.get('MOMENT_SYNC_WEB', ':8080').rpartition(':')[2]; r.urlopen(f'http://127.0.0.1:{port}/healthz', timeout=4)"]
ENTRYPOINT ["moment-sync"]
CMD ["worker"]
