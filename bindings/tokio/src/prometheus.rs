//! The metrics over HTTP, in Prometheus' text format (feature `prometheus`).

use std::net::SocketAddr;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

use crate::metrics::{DOWNTIME_BUCKETS, STORE_BUCKETS, name};

/// Installs Prometheus' exporter as the process's recorder and serves `http://address/metrics` from the current tokio runtime (or a thread
/// of its own). Call it once, before the first client or server starts. It has no authorisation: bind it to an internal address.
///
/// # Errors
/// The address cannot be bound, or a recorder is installed already.
pub fn listen(address: SocketAddr) -> Result<(), BuildError> {
    builder()?.with_http_listener(address).install()
}

/// The exporter's builder with the buckets of this crate's histograms, for those who serve the text themselves.
///
/// # Errors
/// None with the buckets as they are.
pub fn builder() -> Result<PrometheusBuilder, BuildError> {
    [
        (name::DOWNTIME, DOWNTIME_BUCKETS),
        (name::CLIENT_DOWNTIME, DOWNTIME_BUCKETS),
        (name::STORE_SECONDS, STORE_BUCKETS),
    ]
    .into_iter()
    .try_fold(PrometheusBuilder::new(), |builder, (histogram, buckets)| {
        builder.set_buckets_for_metric(Matcher::Full(histogram.to_owned()), buckets)
    })
}
