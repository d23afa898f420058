# docker build -t editlab . && docker run --rm --gpus all -p 127.0.0.1:7860:7860 -v editlab:/data editlab
# As it stands, whoever reaches the port may do everything: publish it on 127.0.0.1, as above. For others, put a login before
# it: docker run ... -p 7860:7860 -v editlab:/data editlab python app.py --host 0.0.0.0 --auth /data/users
# On a Hugging Face Space it is a public demo with limits, and --trusted-network allows nothing more.
# A plain Python image: torch's wheel brings its own CUDA libraries, so a CUDA image would hold them twice.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    HF_HUB_OFFLINE=1 \
    EDITLAB_DATA=/data

WORKDIR /editlab

COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

COPY . .
RUN pip install --no-cache-dir --no-deps --editable . \
    && useradd --create-home editlab \
    && install --directory --owner=editlab /data

USER editlab
VOLUME /data
EXPOSE 7860

HEALTHCHECK --interval=30s --timeout=5s --start-period=5m \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/health', timeout=4)"]

CMD ["python", "app.py", "--host", "0.0.0.0", "--trusted-network"]
