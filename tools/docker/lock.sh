#!/bin/sh
# Write cpu.lock and cuda.lock anew, with the hashes of PyPI's files: sh tools/docker/lock.sh
# They hold what requirements.txt names and what builds EditLab, which pyproject.toml names.
# It needs uv (pip install uv) and PyPI. Versions that are locked already stay where they fit; --upgrade moves them all.
set -eu
cd "$(dirname "$0")/../.."

# torch without CUDA is not on PyPI but at https://download.pytorch.org/whl/cpu, whose page names the hash of each wheel.
# Renew it together with torch in requirements.txt: it is the wheel for CPython 3.11 on x86-64 (cp311-manylinux_2_28).
TORCH_CPU=2.13.0+cpu
TORCH_CPU_SHA256=6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b

lock() {
    python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' |
        uv pip compile --quiet --no-config --default-index https://pypi.org/simple --generate-hashes --no-annotate \
        --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
        --custom-compile-command "sh tools/docker/lock.sh" "$@" requirements.txt -
}

lock "$@" --output-file tools/docker/cuda.lock
# What torch brings along for CUDA is the only difference.
cuda=$(sed -nE 's/^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==.*/--no-emit-package \1/p' tools/docker/cuda.lock)
# shellcheck disable=SC2086 # words, not one word
lock "$@" $cuda --output-file tools/docker/cpu.lock
sed -i '/^# The following packages were excluded/,$d' tools/docker/cpu.lock
printf 'torch==%s \\\n    --hash=sha256:%s\n' "$TORCH_CPU" "$TORCH_CPU_SHA256" >> tools/docker/cpu.lock
