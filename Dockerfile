# syntax=docker/dockerfile:1

# ---- build: dependencies first, so that a change of the sources does not compile them again
FROM rust:1.95-bookworm AS build
WORKDIR /build
# The image's toolchain is the one that rust-toolchain.toml names; that file would fetch lints as well.
COPY Cargo.toml Cargo.lock ./
# The manifest names them.
COPY benches benches
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo build --release --locked --bin marquee

# The sample (data/) and the migrations are compiled in.
COPY migrations migrations
COPY data data
COPY src src
# A copied file may be older than what was built from the stub.
RUN find src -type f -exec touch {} + \
    && cargo build --release --locked --bin marquee \
    && strip target/release/marquee

# ---- run
FROM debian:bookworm-slim
RUN groupadd --system --gid 10001 marquee \
    && useradd --system --uid 10001 --gid marquee --home-dir /var/lib/marquee --create-home marquee
COPY --from=build /build/target/release/marquee /usr/local/bin/marquee
COPY LICENSE LICENSE-MIT LICENSE-APACHE /usr/share/doc/marquee/
USER 10001:10001
# The embedded store, where no DATABASE_URL names a server, lives in the working directory.
WORKDIR /var/lib/marquee
VOLUME /var/lib/marquee
# Reached from outside of the container: it does not serve without a token, which MARQUEE_BOOTSTRAP_TOKEN makes, or
# `marquee token create` on the same DATABASE_URL.
ENV MARQUEE_BIND=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["marquee", "health"]
ENTRYPOINT ["marquee"]
