# docker build -t saecli .          (add --build-arg TORCH_INDEX=… with PyTorch's CPU index for a small image, see README.md)
# docker run --rm -v "$PWD:/data" saecli trace --layers 6:9
FROM python:3.11-slim

ARG TORCH_INDEX=""

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY saecli saecli
COPY zoo zoo
COPY templates templates
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --constraint constraints.txt . \
    && rm -rf /src \
    && useradd --create-home user

USER user
WORKDIR /data
ENTRYPOINT ["saecli"]
