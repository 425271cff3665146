# The base by its digest, so that a build next year is this one: --build-arg BASE=python:3.13-slim@sha256:...
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
COPY . .
# Every package in the version, and with the content, that .build/requirements*.txt say.
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement .build/requirements-build.txt \
 && /opt/build/bin/python -m hatchling build --target wheel --directory /wheel \
 && python -m venv /opt/convscope \
 && /opt/convscope/bin/pip install --no-cache-dir --require-hashes --requirement .build/requirements.txt \
 && /opt/convscope/bin/pip install --no-cache-dir --no-deps --no-index /wheel/*.whl \
 && /opt/convscope/bin/pip uninstall --yes pip \
 && install -m 755 .build/start /opt/convscope/bin/convscope-start
# The list of what is inside, made by a tool that stays outside.
RUN python -m venv /opt/sbom \
 && /opt/sbom/bin/pip install --no-cache-dir "cyclonedx-bom>=7,<8" \
 && /opt/sbom/bin/cyclonedx-py environment --output-reproducible --of JSON \
        -o /opt/convscope/sbom.cdx.json /opt/convscope/bin/python
# What never runs here: the packages' own tests, CUDA, symbols for debuggers.
RUN cd /opt/convscope/lib/python3*/site-packages \
 && find numpy numba llvmlite -type d -name tests -prune -exec rm -r {} + \
 && rm -rf numpy/f2py numba/cuda/tests \
 && apt-get update && apt-get install --yes --no-install-recommends binutils \
 && strip --strip-unneeded llvmlite/binding/libllvmlite.so
# The kernels, compiled for each level of CPU that .build/start may name, under the path where they will run. Compiling
# runs them: a build host without AVX-512 leaves the upper level out.
WORKDIR /
ENV NUMBA_CACHE_DIR=/cache/numba NUMBA_CPU_FEATURES=""
RUN case "$(uname -m)" in x86_64) levels="x86-64-v3 x86-64-v4" ;; *) levels=generic ;; esac; \
    for level in $levels; do \
        if NUMBA_CPU_NAME=$level /opt/convscope/bin/python -m engine.warm; then touch "/cache/$level"; \
        elif [ "$level" != x86-64-v4 ]; then exit 1; fi; \
    done

FROM ${BASE}
RUN install -d -o 10001 -g 10001 /data
COPY --from=build /opt/convscope /opt/convscope
COPY --from=build --chown=10001:10001 /cache /cache
# Variables, and no CMD: options after the image's name are added to these and do not take their place.
ENV PATH=/opt/convscope/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    CONVSCOPE_DATA=/data \
    CONVSCOPE_HOST=0.0.0.0 \
    CONVSCOPE_PORT=8000 \
    NUMBA_CACHE_DIR=/cache/numba
WORKDIR /data
USER 10001:10001
VOLUME ["/data", "/cache"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["python", "-m", "app", "doctor", "--health"]
ENTRYPOINT ["convscope-start"]
