//! OpenTelemetry spans, sent to a collector over OTLP (HTTP, protobuf) from a separate thread.

use super::fault::Fault;
use attache_host::observe::{self, Observe};
use core::time::Duration;
use opentelemetry::trace::{SpanId, TraceId, TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider};
use std::sync::Arc;

/// The exporter of spans. Dropping it sends the remaining spans, if the collector accepts them
/// soon.
#[derive(Debug)]
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts the exporter to `endpoint`. It does not connect yet, so a collector that is down does
    /// not prevent the start. The standard variables `OTEL_SERVICE_NAME`,
    /// `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*` and
    /// `OTEL_EXPORTER_OTLP_HEADERS` apply.
    ///
    /// Must not be called from a task, because the exporter blocks.
    ///
    /// # Errors
    /// If the environment contains an invalid value.
    pub(super) fn start(endpoint: &str) -> Result<Self, Fault> {
        let failed = |error: &dyn core::fmt::Display| Fault::of(format!("traces.endpoint cannot be used: {error}"));
        // Another part of the program may have installed the same provider.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::blocking::Client::builder().timeout(PATIENCE).build().map_err(|error| failed(&error))?;
        let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).with_http_client(client).build();
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("attache");
        }
        let provider = SdkTracerProvider::builder()
            .with_id_generator(Ids::default())
            .with_resource(resource.build())
            .with_batch_exporter(exporter.map_err(|error| failed(&error))?)
            .build();
        Ok(Self(provider))
    }

    pub(super) fn observer(&self) -> Arc<dyn Observe> {
        Arc::new(observe::Traces::new(self.0.tracer("attache")))
    }
}

/// Gives the span of a call that a backend has run the ids that the backend was told.
#[derive(Debug, Default)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        observe::chosen_ids().map_or_else(|| self.0.new_trace_id(), |ids| TraceId::from_bytes(ids.trace))
    }

    fn new_span_id(&self) -> SpanId {
        observe::chosen_ids().map_or_else(|| self.0.new_span_id(), |ids| SpanId::from_bytes(ids.span))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(PATIENCE) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// The timeout for the collector's answer.
const PATIENCE: Duration = Duration::from_secs(5);
