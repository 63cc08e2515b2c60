# syntax=docker/dockerfile:1

# The program that is built here runs on the C library of the same Debian below.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build

# The dependencies by themselves: this layer lasts until Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
RUN mkdir -p src tests/it benches \
 && touch src/lib.rs \
    benches/authentication.rs benches/cost.rs benches/trail.rs \
 && echo 'fn main() {}' | tee build.rs src/main.rs tests/it/main.rs >/dev/null \
 && cargo build --release --locked \
 && rm -r build.rs src

COPY build.rs ./
COPY proto proto
COPY src src
# Cargo goes by the time of change, and the stand-ins above are newer.
RUN touch build.rs src/main.rs src/lib.rs \
 && cargo build --release --locked --bin keygate \
 && mkdir /build/data

# No shell and no package manager; it has the certificates to trust. There is no
# HEALTHCHECK, for want of a program to run one: ask /readyz on the HTTP port, or
# the gRPC health service.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/keygate /usr/local/bin/keygate
COPY LICENSE /usr/share/doc/keygate/LICENSE
# Configuration, policy and keys are mounted at /etc/keygate and only read. The
# trail is written at /var/lib/keygate: store = "sqlite:/var/lib/keygate/trail.db".
COPY --from=build --chown=65532:65532 /build/data /var/lib/keygate
VOLUME /var/lib/keygate
WORKDIR /var/lib/keygate
EXPOSE 50051 9090
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/keygate"]
CMD ["serve", "--config", "/etc/keygate/keygate.toml"]
