FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/convscope \
 && /opt/convscope/bin/pip install --no-cache-dir . \
 && install -m 755 .build/start /opt/convscope/bin/convscope-start
# The kernels, compiled for each level of CPU that .build/start may name, under the path where they will run. Compiling
# runs them: a build host without AVX-512 leaves the upper level out.
WORKDIR /
ENV NUMBA_CACHE_DIR=/cache/numba NUMBA_CPU_FEATURES=""
RUN case "$(uname -m)" in x86_64) levels="x86-64-v3 x86-64-v4" ;; *) levels=generic ;; esac; \
    for level in $levels; do \
        if NUMBA_CPU_NAME=$level /opt/convscope/bin/python -m engine.warm; then touch "/cache/$level"; \
        elif [ "$level" != x86-64-v4 ]; then exit 1; fi; \
    done

FROM python:3.13-slim
RUN install -d -o 10001 -g 10001 /data
COPY --from=build /opt/convscope /opt/convscope
COPY --from=build --chown=10001:10001 /cache /cache
ENV PATH=/opt/convscope/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    CONVSCOPE_DATA=/data \
    NUMBA_CACHE_DIR=/cache/numba
WORKDIR /data
USER 10001:10001
VOLUME ["/data", "/cache"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["convscope-start"]
CMD ["--host", "0.0.0.0", "--port", "8000"]
