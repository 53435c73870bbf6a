//! The order of the steps.

use super::configuration::Configured;
use super::finding::Code;
use super::report::Step;
use super::walk::Walk;
use core::time::Duration;

/// The time for all steps: a server that delays each answer cannot hold the doctor.
const WALK_TIME: Duration = Duration::from_secs(25);

impl Walk<'_> {
    /// Walks all steps. After the timeout, the report has the observations until then.
    pub(super) async fn run(mut self, configured: Option<&Result<Configured, String>>) {
        if tokio::time::timeout(WALK_TIME, self.steps(configured)).await.is_err() {
            self.report.found(Step::Connection, Code::GaveUp, "the examination took too long");
        }
    }

    async fn steps(&mut self, configured: Option<&Result<Configured, String>>) {
        let configured = match configured {
            None => None,
            Some(Ok(configured)) => Some(configured),
            Some(Err(why)) => {
                self.report.found(Step::Configuration, Code::ConfigurationInvalid, why);
                None
            }
        };
        if self.url.scheme() == "http" && !super::is_local(&self.url) {
            self.report.found(Step::Connection, Code::PlainHttp, format!("{} is not encrypted", self.written));
        }
        let Some(first) = self.challenged().await else { return };
        self.preflight(&first).await;
        let mut signed = None;
        if first.asks_for_sign_in() {
            let metadata = self.metadata(&first).await;
            let issuers = self.issuers(metadata.as_ref()).await;
            if let Some(configured) = configured {
                self.compare(configured, metadata.as_ref(), &issuers);
            }
            signed = Some((metadata, issuers));
        }
        let mut suspicion = None;
        if let Some(token) = self.credential.token.clone() {
            let (metadata, issuers) = signed.unwrap_or_default();
            suspicion = self.token(&token, metadata.as_ref(), &issuers, configured).await;
        }
        if first.is_open() || !self.credential.is_none() {
            self.protocol(suspicion).await;
        }
    }
}
