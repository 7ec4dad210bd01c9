# The gateway alone: one static binary on an empty image. It runs as any user
# and with a read-only root file system; /data is all that it writes to.
# docs/operations.md tells how to run it.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$VERSION" -o /rootfs/headrace .
# A sticky folder for everybody, as /tmp is: the store in it is its user's alone.
RUN mkdir -m 1777 /rootfs/data
RUN mkdir -p /rootfs/etc/ssl/certs && cp /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/

FROM scratch
COPY --from=build /rootfs/ /
COPY examples/docker/config.yaml /etc/headrace/config.yaml
USER 65532:65532
VOLUME /data
# Traffic, TLS, Admin API, metrics, Status API.
EXPOSE 9080 9443 9180 9091 7085
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/headrace", "healthcheck", "-c", "/etc/headrace/config.yaml"]
ENTRYPOINT ["/headrace"]
CMD ["serve", "-c", "/etc/headrace/config.yaml"]
