# An image with builder, its compilers and ccache, for runtimes of Linux:
#
#     docker build -t torchlite-builder .
#     docker run --rm -v "$PWD":/work -v builder-cache:/cache torchlite-builder build model.ptl -o out
#
# For Android, mount an NDK too, and say where it is: -v "$NDK":/ndk:ro -e ANDROID_NDK_HOME=/ndk
# torch is not in it: only exports of Python models need it.
FROM debian:trixie-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates ccache clang default-jdk-headless g++ git lld llvm python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

COPY . /usr/src/builder

RUN python3 -m venv /opt/builder \
    && /opt/builder/bin/pip install --no-cache-dir /usr/src/builder \
    && rm -rf /usr/src/builder

# ccache has a folder of its own: builder marks a cache only if nobody else has files there.
ENV PATH=/opt/builder/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    BUILDER_CACHE=/cache/builder \
    CCACHE_DIR=/cache/ccache

RUN mkdir -p /cache /work && chmod 1777 /cache

VOLUME /cache
WORKDIR /work
ENTRYPOINT ["builder"]
CMD ["--help"]
