# trifold as a service. docs/serving.md says how to run it; tests/test_container.py runs these steps without Docker.
#
#   docker build --tag trifold .
#   docker run --rm --init --publish 127.0.0.1:8000:8000 --env TRIFOLD_OPEN=1 trifold
#
# A container is reached from outside, so it does not start without keys (TRIFOLD_API_KEY_FILE) or TRIFOLD_OPEN=1.

FROM python:3.13-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .
# The environment gets no pip of its own: what runs cannot install.
RUN python -m venv --without-pip /opt/trifold \
 && python -m pip --python /opt/trifold/bin/python install --no-cache-dir "$(echo /wheels/trifold-*.whl)[serve]"

FROM python:3.13-slim
LABEL org.opencontainers.image.title="trifold" \
      org.opencontainers.image.description="Answers quoted from your passages, offline, with scores that mean something" \
      org.opencontainers.image.licenses="Apache-2.0"
# Models that you train or import, and those of the Hugging Face hub, live on the volume; nothing else is written.
RUN install -d -o 10001 -g 10001 /var/lib/trifold
COPY --from=build /opt/trifold /opt/trifold
ENV PATH="/opt/trifold/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HF_HOME="/var/lib/trifold/huggingface" \
    TRIFOLD_HOME="/var/lib/trifold" \
    TRIFOLD_HOST="0.0.0.0" \
    TRIFOLD_PORT="8000"
VOLUME ["/var/lib/trifold"]
EXPOSE 8000
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
# Python's own client: a slim image has no curl, and this one heeds no proxy settings.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['TRIFOLD_PORT']), timeout=4); c.request('GET', '/v2/health/ready'); sys.exit(c.getresponse().status != 200)"]
# No shell in between: SIGTERM reaches trifold itself, which answers what it has accepted and ends.
ENTRYPOINT ["trifold", "serve"]
