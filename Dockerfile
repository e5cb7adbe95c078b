# syntax=docker/dockerfile:1
# The image of weir: one binary, a CA bundle, a configuration. Build from the root of the tree: docker build -t weir .

FROM rust:1.95.0-slim-bookworm AS build
# The image's own toolchain is the one that rust-toolchain.toml names, without clippy and rustfmt, which are not needed here.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /weir
# All members of the workspace have to be there for Cargo to read it; of what is built, only the program is kept.
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY components components
COPY benches benches
RUN cargo build --release --locked --package weir --bin weir \
    && strip --strip-debug -o /usr/local/bin/weir target/release/weir \
    && /usr/local/bin/weir --version \
    && mkdir -p /empty

# The same Debian release as above, because the binary is linked against its C library.
FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="weir" \
      org.opencontainers.image.description="A telemetry pipeline that reads the OpenTelemetry Collector's YAML" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/weir /usr/local/bin/weir
COPY LICENSE NOTICE /usr/share/doc/weir/
COPY config-examples/gateway.yaml /etc/weir/config.yaml
# Where file_storage and the store may write; owned by the user below.
COPY --from=build --chown=10001:10001 /empty /var/lib/weir
# By number, because there is nobody of that number in /etc/passwd, and Kubernetes' `runAsNonRoot` wants one.
USER 10001:10001
WORKDIR /var/lib/weir
VOLUME /var/lib/weir
# OTLP/gRPC, OTLP/HTTP, own metrics, health.
EXPOSE 4317 4318 8888 13133
# By address: it needs neither /etc/hosts nor a resolver. Change it together with HEALTH_ENDPOINT.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/weir", "healthcheck", "--timeout=2s", "http://127.0.0.1:13133/"]
# SIGTERM drains for up to 25 s, which is longer than `docker stop` waits unless told: docker stop --time=30.
ENTRYPOINT ["/usr/local/bin/weir"]
CMD ["--config=/etc/weir/config.yaml"]
