# docker build -t editlab .                                   # for a CPU; --build-arg VARIANT=cuda for an NVIDIA GPU
#
# A team, each with a login. Nothing starts before there is a user, so that a published port is never open:
#   docker run --rm -it -v editlab:/data editlab editlab user add ana --auth /data/users
#   docker run --rm -p 7860:7860 -v editlab:/data editlab     # put TLS in front of it
# A public demo, with limits for each visitor and for all:
#   docker run --rm -p 7860:7860 -v editlab:/data editlab python app.py --host 0.0.0.0 --demo
# You alone, without a login. Keep the 127.0.0.1: whoever reaches the port may do everything.
#   docker run --rm -p 127.0.0.1:7860:7860 -v editlab:/data editlab python app.py --host 0.0.0.0 --trusted-network
#
# Below a path of a site: -e EDITLAB_ROOT_PATH=/editlab and what docs/where.md says.
#
# --gpus all gives it the GPU. Models from the hub: -v editlab-models:/cache -e HF_HUB_OFFLINE=0, and --model owner/name.
# On a Hugging Face Space it is a public demo.

# Renew the digest: docker buildx imagetools inspect python:3.11-slim-bookworm (that of the index, for all platforms).
# A plain Python image: torch's CUDA build brings its own libraries, so a CUDA image would hold them twice.
FROM python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

# cpu or cuda: which of the lock files below is installed. Both are for x86-64; tools/docker/lock.sh renews them.
ARG VARIANT=cpu

ENV PYTHONUNBUFFERED=1 \
    HF_HOME=/cache \
    HF_HUB_OFFLINE=1 \
    EDITLAB_DATA=/data

WORKDIR /editlab

# Every file is held against its hash, wherever it comes from; torch for CPUs is not on PyPI.
COPY tools/docker/${VARIANT}.lock /tmp/editlab.lock
RUN pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
        --extra-index-url https://download.pytorch.org/whl/cpu -r /tmp/editlab.lock \
    && pip check

# .dockerignore lets through what runs, and nothing that may lie beside it.
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --no-index --editable . \
    && useradd --uid 1000 --create-home editlab \
    && install --directory --owner=editlab --mode=700 /data /cache

USER 1000
VOLUME ["/data", "/cache"]
EXPOSE 7860

HEALTHCHECK --interval=30s --timeout=5s --start-period=5m \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/health', timeout=4)"]

# A Space says so by SPACE_ID, and is a demo by itself. Everywhere else the users are asked for.
CMD ["sh", "-c", "if [ -n \"$SPACE_ID\" ]; then exec python app.py; fi; exec python app.py --host 0.0.0.0 --auth /data/users"]
