FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --bin guildhall

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home guildhall \
    && install -d -o guildhall -g guildhall -m 700 /data
COPY --from=build /source/target/release/guildhall /usr/local/bin/guildhall
COPY config /etc/guildhall/config
USER guildhall
WORKDIR /etc/guildhall
ENV GUILDHALL__DATA_DIR=/data GUILDHALL__SERVER__BIND=0.0.0.0:8000
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["/usr/local/bin/guildhall"]
CMD ["serve"]
