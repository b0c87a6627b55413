//! Every shared part, built once and handed to whoever needs it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::auth::{Identity, Keys, Passwords, Principal, Purpose, Refusals, Secrets, SecretsError};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::registry::Registry;
use crate::guardrails::{ByName, GuardError, Guardrails, Policies, PoliciesError};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::pipeline::Flights;
use crate::records::{Actor, UsageRecorder};
use crate::shared::{self, Redis};
use crate::store::{AuditKey, DataDir, DataDirError, Store, StoreError};

/// A handle to the program's parts: every request has some, so that each must cost next to nothing.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The program's parts.
pub struct Parts {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub store: Store,
    pub secrets: Secrets,
    pub keys: Keys,
    pub identity: Identity,
    pub refusals: Refusals,
    pub usage: UsageRecorder,
    pub limits: Limits,
    pub models: Registry,
    pub guardrails: Guardrails,
    pub cache: Cache,
    /// Answers that are being made.
    pub flights: Flights,
    pub metrics: Metrics,
    /// None: nothing is shared with other processes.
    pub redis: Option<Redis>,
    /// As many texts are looked at at once: one a processor.
    pub guard_turns: Arc<Semaphore>,
}

/// How often the files of policies are looked at.
const LOOK_AT_POLICIES: Duration = Duration::from_secs(1);

/// How often it is looked whether answers are to be forgotten.
const LOOK_AT_FLUSHES: Duration = Duration::from_secs(1);

/// What lies in the data directory, opened.
#[derive(Debug, Clone)]
pub struct Data {
    pub store: Store,
    pub secrets: Secrets,
}

/// The data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Dir(#[from] DataDirError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Only from [`Data::open_existing`].
    #[error("{0} is not set up; run `microllm init` or `microllm serve` on it first")]
    NotSetUp(std::path::PathBuf),
}

impl Data {
    /// Opens the data directory, preparing whatever is missing: the directory, the database with
    /// its tables, the secrets. Nobody is let in before [`crate::auth::set_up`].
    ///
    /// # Errors
    /// [`OpenError`] names the file that cannot be used.
    pub async fn open(dir: &DataDir) -> Result<Self, OpenError> {
        // Two first starts at once must not write two secrets.
        let _lock = dir.lock()?;
        dir.touch_database()?;
        let store = Store::open(&dir.database()).await?;
        let in_use = store.peppers_in_use().await?;
        let secrets = if in_use.is_empty() {
            Secrets::load_or_create(&dir.secrets())?
        } else {
            // Keys exist: a fresh pepper would only hide that theirs is lost.
            Secrets::load_and_complete(&dir.secrets())?
        };
        secrets.check_peppers(&dir.secrets(), &in_use)?;
        let store = store.with_audit_key(AuditKey::new(secrets.key(Purpose::Audit)));
        Ok(Self { store, secrets })
    }

    /// Opens a data directory that was set up before, and creates nothing.
    ///
    /// # Errors
    /// [`OpenError::NotSetUp`] when there is no database.
    pub async fn open_existing(root: &std::path::Path) -> Result<Self, OpenError> {
        if !root.join("microllm.db").exists() {
            return Err(OpenError::NotSetUp(root.to_owned()));
        }
        Self::open(&DataDir::prepare(root)?).await
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The parts do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("guardrails.policy: there is no policy '{0}'")]
    NoPolicy(String),
    #[error(
        "the guardrail policy '{0}' needs an encoder: microllm models pull {model}",
        model = crate::models::DEFAULT_EMBEDDING_MODEL
    )]
    NoEncoder(String),
    #[error("guardrails.dir: {0}")]
    Policies(#[from] PoliciesError),
    #[error(transparent)]
    Guards(#[from] GuardError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Redis(#[from] shared::OpenError),
    #[error("the server is stopping")]
    Stopping,
}

impl App {
    /// Puts the parts together and starts the recorder; call within a tokio runtime.
    ///
    /// # Errors
    /// [`AppError`] when the guardrail policies or the addresses of Redis cannot be used.
    pub fn new(
        config: Config,
        clock: Clock,
        data: Data,
        models: Registry,
    ) -> Result<Self, AppError> {
        let Data { store, secrets } = data;
        let policies = Policies::load(config.guardrails.dir())?;
        let policy = &config.guardrails.policy;
        if !policies.all().contains_key(policy) {
            return Err(AppError::NoPolicy(policy.clone()));
        }
        let guardrails = Guardrails::new(policies, secrets.key(Purpose::Masks))?;
        let metrics = Metrics::default();
        let redis = config.redis.is_on();
        let redis = redis.then(|| Redis::open(&config.redis, &metrics));
        let redis = redis.transpose()?;
        let (limits, of) = (config.limits.clone(), (store.clone(), clock.clone()));
        let limits = match &redis {
            Some(redis) => {
                let records = hex::encode(secrets.derive(Purpose::Records, b""));
                Limits::shared(of.0, of.1, limits, redis.clone(), records)
            }
            None => Limits::new(of.0, of.1, limits),
        };
        Ok(Self(Arc::new(Parts {
            keys: Keys::new(store.clone(), secrets.clone(), clock.clone()),
            identity: Identity::new(
                store.clone(),
                secrets.clone(),
                clock.clone(),
                config.auth.clone(),
                Passwords::new(&config.auth),
            )
            .counting_in(redis.clone()),
            refusals: Refusals::new(store.clone()),
            usage: UsageRecorder::start(store.clone()),
            cache: Cache::new(
                config.cache.clone(),
                clock.clone(),
                redis.clone(),
                secrets.key(Purpose::Cache),
            ),
            redis,
            secrets,
            limits,
            config: Arc::new(config),
            clock,
            store,
            models,
            guardrails,
            flights: Flights::default(),
            metrics,
            guard_turns: Arc::new(Semaphore::new(processors())),
        })))
    }

    /// Records what holds, if it is not what held the last time.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn note_configuration(&self, policies: &ByName) -> Result<(), StoreError> {
        let mut configuration = serde_json::to_value(&*self.config).unwrap_or_default();
        for (name, policy) in policies {
            let rules = serde_json::to_value(&policy.rules).unwrap_or_default();
            if let Some(configuration) = configuration.as_object_mut() {
                configuration.insert(format!("guardrail policy {name}"), rules);
            }
        }
        let actor = Actor::server(&self.clock);
        self.store.note_configuration(&configuration, &actor).await
    }

    /// Lets the guardrail policies hold as their files are now. Returns whether anything is
    /// different.
    ///
    /// # Errors
    /// [`AppError`] when they cannot be used or not be recorded; then all stays as it was.
    pub async fn reload_policies(&self) -> Result<bool, AppError> {
        let guardrails = self.guardrails.clone();
        let read = tokio::task::spawn_blocking(move || guardrails.policies().changed());
        let Some(policies) = read.await.map_err(|_| AppError::Stopping)?? else {
            return Ok(false);
        };
        let policy = &self.config.guardrails.policy;
        if !policies.contains_key(policy) {
            return Err(AppError::NoPolicy(policy.clone()));
        }
        self.check_encoder(&policies)?;
        self.note_configuration(&policies).await?;
        self.guardrails.policies().adopt(policies);
        Ok(true)
    }

    /// Whether these policies have what they need.
    ///
    /// # Errors
    /// [`AppError::NoEncoder`].
    pub fn check_encoder(&self, policies: &ByName) -> Result<(), AppError> {
        let lacking = self.guardrails.lacking_encoder(policies);
        lacking.map_or(Ok(()), |policy| Err(AppError::NoEncoder(policy.to_owned())))
    }

    /// Makes the guards ready on as many threads as will look at texts at once.
    pub async fn warm_up(&self) {
        let policy = &self.config.guardrails.policy;
        let Some(policy) = self.guardrails.policies().get(policy) else {
            return;
        };
        let threads = (0..self.guard_turns.available_permits()).map(|_| {
            let (guardrails, policy) = (self.guardrails.clone(), policy.clone());
            tokio::task::spawn_blocking(move || guardrails.warm_up(&policy))
        });
        for done in futures_util::future::join_all(threads).await {
            if let Err(error) = done {
                tracing::error!(%error, "a guard fails");
            }
        }
    }

    /// Keeps the guardrail policies as their files are, until `stop` is cancelled.
    pub async fn watch_policies(self, stop: CancellationToken) {
        let mut known = String::new();
        while !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(LOOK_AT_POLICIES) => {}
                () = stop.cancelled() => return,
            }
            let problem = match self.reload_policies().await {
                Ok(false) => String::new(),
                Ok(true) => {
                    tracing::info!("the guardrail policies have changed");
                    String::new()
                }
                Err(error) => error.to_string(),
            };
            if problem != known && !problem.is_empty() {
                tracing::error!(error = problem, "the guardrail policies stay as they were");
            }
            known = problem;
        }
    }

    /// Forgets kept answers when another process has said so, until `stop` is cancelled.
    pub async fn watch_flushes(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.store.cache_flushes().await {
                Ok(flushes) => self.cache.follow(flushes).await,
                Err(error) => tracing::error!(%error, "what is to be forgotten cannot be read"),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AT_FLUSHES) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Puts the model's own name in place of an alias. Of a model that somebody may not use, nobody
    /// tells them the name.
    pub fn resolve(&self, principal: &Principal, name: &mut String) {
        let target = self.config.aliases.get(name);
        if let Some(target) = target.filter(|target| principal.models.allows(target)) {
            name.clone_from(target);
        }
    }

    /// The names of the models that somebody may use; none while they are being loaded.
    pub fn models_of(&self, principal: &Principal) -> Vec<String> {
        let served = self.models.all().unwrap_or_default();
        let allowed = served
            .iter()
            .filter(|info| principal.models.allows(&info.id));
        allowed.map(|info| info.id.clone()).collect()
    }

    /// Writes what is still to be recorded, then closes the database.
    pub async fn close(&self) {
        self.usage.close().await;
        self.limits.close().await;
        self.refusals.close().await;
        self.store.close().await;
    }
}
