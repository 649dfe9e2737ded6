# The image: the program, linked statically, and nothing else. docs/image.md has more.
#
#   docker build --tag rook-multihome:0.4.0 .        (or podman build, or buildah build)
#
# BINARY says where the program comes from: the stage `builder` builds it here, `prebuilt` takes target/image/rook-multihome.
ARG BINARY=builder

FROM docker.io/library/rust:1.95-bookworm AS builder
# Cargo features, separated by commas.
ARG FEATURES=""
WORKDIR /source
COPY . .
# With a target named, the flags hold for the program alone: procedural macros cannot be static.
RUN target="$(rustc --print host-tuple)" && \
    RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --bin rook-multihome --target "$target" --features "$FEATURES" && \
    install -D "target/$target/release/rook-multihome" /usr/local/bin/rook-multihome

FROM scratch AS prebuilt
COPY target/image/rook-multihome /usr/local/bin/rook-multihome

FROM ${BINARY} AS binary

FROM scratch
LABEL org.opencontainers.image.title="rook-multihome" \
      org.opencontainers.image.description="A Kubernetes admission webhook that attaches storage pods to the networks their cluster declares" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.4.0"
COPY --from=binary /usr/local/bin/rook-multihome /usr/local/bin/rook-multihome
# For `kubectl exec POD -- rook-multihome ...`.
ENV PATH=/usr/local/bin
# A number, because runAsNonRoot cannot tell what a name stands for.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/rook-multihome"]
