# syntax=docker/dockerfile:1
# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0

# One image holds manager, gateway and CLI.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
ARG TARGETOS TARGETARCH VERSION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    for binary in manager gateway seatkeeper; do \
      CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
        -ldflags "-s -w -X github.com/seatkeeper/seatkeeper/internal/version.Version=$VERSION" \
        -o /out/$binary ./cmd/$binary || exit 1; \
    done && ln -s seatkeeper /out/kubectl-seatkeeper

# Static binaries, CA certificates and a non-root user, and nothing to run a
# shell with. Time zones are compiled in.
FROM gcr.io/distroless/static-debian12:nonroot
LABEL org.opencontainers.image.title=seatkeeper \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.source=https://github.com/seatkeeper/seatkeeper
COPY --from=build /out/ /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/manager"]
