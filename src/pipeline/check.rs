//! Texts that only the guards see.

use std::sync::Arc;

use super::guard::{Guarded, off_thread};
use super::ledger::Ledger;
use super::{Caller, Failure};
use crate::app::App;
use crate::guardrails::{Guardrails, Policy};

/// Lets `work` look at texts with the caller's policy, within their limits and with a usage row
/// of this `endpoint` and `model`.
///
/// # Errors
/// What `work` says, and anything that keeps it from being done.
pub async fn look<T: Send + 'static>(
    app: &App,
    caller: Caller,
    endpoint: &'static str,
    model: &'static str,
    work: impl FnOnce(&Guardrails, &Arc<Policy>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let mut ledger = Ledger::open(app, &caller, endpoint, model, false);
    let looked = async {
        let permit = ledger.hold(app.limits.begin(&caller.principal, None).await?);
        caller.tell(permit.status());
        let policy = Guarded::policy(app, &caller, None)?;
        let guardrails = app.guardrails.clone();
        off_thread(app, move || work(&guardrails, &policy)).await?
    }
    .await;
    match looked {
        Ok(looked) => {
            ledger.completed().await?;
            Ok(looked)
        }
        Err(failure) => Err(ledger.failed(failure).await),
    }
}
