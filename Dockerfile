# One image for every part of Evergrant: the service says which command it runs.
# All that is fetched is fetched here, and checked against the hashes in the lock files.

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /opt/evergrant \
    && /opt/evergrant/bin/pip install --require-hashes -r requirements.lock
# The build backend and what it needs: their entries in the development lock, and only those.
RUN sed -n '/^\(hatchling\|packaging\|pathspec\|pluggy\|trove-classifiers\)==/,/[^\\]$/p' requirements-dev.lock > build.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-deps --require-hashes -r build.lock
COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/evergrant/bin/pip install --no-deps --no-index /dist/*.whl

FROM python:3.13-slim
ENV PATH=/opt/evergrant/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    EVERGRANT_DATA_DIR=/data
# Only SQLite writes here, with the key that it makes; with PostgreSQL and SECRET_KEYS nothing is written at all.
RUN mkdir /data && chown 10001:10001 /data
COPY --from=build /opt/evergrant /opt/evergrant
USER 10001:10001
WORKDIR /data
EXPOSE 8000
ENTRYPOINT ["evergrant"]
# `up` is not the default: it brings a Valkey only where the `embedded` extra is installed, and here it is not.
CMD ["--help"]
