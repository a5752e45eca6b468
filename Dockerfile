# The server, without a network to learn in (no torch): the features come from a frozen network.
# Linted only: no engine ran where this was written (docs/deploy.md).
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
# "serve,postgres,train" brings torch as well, which is large.
ARG EXTRAS=serve,postgres
ENV PIP_CONSTRAINT=/src/constraints.txt \
    PIP_BUILD_CONSTRAINT=/src/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/isotherm \
    && /opt/isotherm/bin/pip install --no-cache-dir ".[${EXTRAS}]" \
    # Who runs the server may not write here: what its pages compile to would be made at each start.
    && /opt/isotherm/bin/python -c "from isotherm.server.pages.rendering import compile_templates as c; c()"

FROM python:${PYTHON}-slim-bookworm
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /data isotherm \
    && install --directory --owner=isotherm --group=isotherm --mode=0750 /data
COPY --from=build /opt/isotherm /opt/isotherm
ENV PATH=/opt/isotherm/bin:${PATH} \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# Refuses to start before a token is there, because it listens beyond the loopback address (docs/deploy.md).
ENTRYPOINT ["isotherm"]
CMD ["serve", "--host", "0.0.0.0", "--data", "/data"]
