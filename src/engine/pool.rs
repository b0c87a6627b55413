//! Models that are loaded when somebody asks for them, and unloaded when memory is wanted for
//! another or nobody has asked for long.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::admission::Place;
use super::{Engine, EngineError, GenerateRequest, Generation, ModelInfo, ModelState, Prepared};

/// When to ask again for a model that is being loaded, or that there is no room for.
const RETRY: Duration = Duration::from_secs(5);
/// Requests that wait for one model to be loaded; further ones are told to come back.
const MOST_WAITING: usize = 256;

/// Loads a model. May take minutes.
pub type Load = Arc<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Engine>, String>> + Send + Sync>;

/// A model cannot be had now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    #[error("the models that are in use leave no room for it")]
    NoRoom,
    #[error("{0}")]
    Load(String),
}

/// Models that were taken out, by name.
type Gone = Vec<(String, Arc<dyn Engine>)>;

/// How models share the machine.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// Bytes of all loaded models together; 0: no bound.
    pub memory: u64,
    /// A model that nobody has asked for this long is unloaded; zero: none is.
    pub idle: Duration,
    /// How long a request waits for its model to be loaded.
    pub patience: Duration,
}

/// The models of a server.
pub struct Pool {
    options: PoolOptions,
    slots: Mutex<Vec<Slot>>,
    /// One is loaded at a time: two at once would each take twice as long.
    loading: tokio::sync::Mutex<()>,
}

struct Slot {
    id: String,
    size: u64,
    is_pinned: bool,
    is_loading: bool,
    engine: Option<Arc<dyn Engine>>,
    /// When it was asked for last.
    used: Instant,
    /// Of answers that are being generated.
    places: Vec<Weak<Place>>,
}

impl Slot {
    fn is_busy(&mut self) -> bool {
        self.places.retain(|place| place.strong_count() > 0);
        !self.places.is_empty()
    }

    fn may_go(&mut self) -> bool {
        !self.is_pinned && self.engine.is_some() && !self.is_busy()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Pool {
    pub fn new(options: PoolOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            slots: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
        })
    }

    /// Adds a model. `size`: about how many bytes it takes in memory. One that is pinned is never
    /// unloaded.
    pub fn add(
        self: &Arc<Self>,
        info: ModelInfo,
        size: u64,
        is_pinned: bool,
        load: Load,
    ) -> Arc<Pooled> {
        let mut slots = self.slots();
        let slot = slots.len();
        slots.push(Slot {
            id: info.id.clone(),
            size,
            is_pinned,
            is_loading: false,
            engine: None,
            used: Instant::now(),
            places: Vec::new(),
        });
        drop(slots);
        Arc::new(Pooled {
            info,
            pool: self.clone(),
            slot,
            load,
            waiting: Semaphore::new(MOST_WAITING),
        })
    }

    /// Unloads what nobody asks for. Does not end.
    pub async fn watch(self: Arc<Self>) {
        let idle = self.options.idle;
        if idle.is_zero() {
            return;
        }
        let every = (idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(30));
        loop {
            tokio::time::sleep(every).await;
            let mut gone = Vec::new();
            for slot in self.slots().iter_mut() {
                if slot.used.elapsed() >= idle && slot.may_go() {
                    gone.extend(slot.engine.take().map(|engine| (slot.id.clone(), engine)));
                }
            }
            unload(gone).await;
        }
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, slot: usize, work: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        self.slots().get_mut(slot).map(work)
    }

    /// The model, if it is loaded; it counts as asked for.
    fn loaded(&self, slot: usize) -> Option<Arc<dyn Engine>> {
        self.with(slot, |slot| {
            slot.used = Instant::now();
            slot.engine.clone()
        })
        .flatten()
    }

    async fn load(&self, slot: usize, load: &Load) -> Result<Arc<dyn Engine>, PoolError> {
        let _turn = self.loading.lock().await;
        if let Some(engine) = self.loaded(slot) {
            return Ok(engine);
        }
        unload(self.make_room(slot)?).await;
        self.with(slot, |slot| slot.is_loading = true);
        let loaded = load().await;
        self.with(slot, |slot| {
            slot.is_loading = false;
            slot.used = Instant::now();
            slot.engine = loaded.as_ref().ok().cloned();
        });
        loaded.map_err(PoolError::Load)
    }

    /// Takes out what has not been asked for longest, until there is room for this one.
    fn make_room(&self, slot: usize) -> Result<Gone, PoolError> {
        let mut slots = self.slots();
        let wanted = slots.get(slot).map_or(0, |slot| slot.size);
        let mut gone = Vec::new();
        loop {
            let held: u64 = slots
                .iter()
                .filter(|s| s.engine.is_some())
                .map(|s| s.size)
                .sum();
            if self.options.memory == 0 || held.saturating_add(wanted) <= self.options.memory {
                return Ok(gone);
            }
            let oldest = slots
                .iter_mut()
                .filter_map(|slot| slot.may_go().then_some(slot))
                .min_by_key(|slot| slot.used);
            let Some(oldest) = oldest else {
                // Those that were taken out are not asked for: they may as well be gone.
                return Err(PoolError::NoRoom);
            };
            gone.extend(
                oldest
                    .engine
                    .take()
                    .map(|engine| (oldest.id.clone(), engine)),
            );
        }
    }
}

/// Lets models go, which frees gigabytes: off the async threads.
async fn unload(gone: Gone) {
    for (model, _) in &gone {
        tracing::info!(model, "the model is unloaded");
    }
    if !gone.is_empty() {
        let _ = tokio::task::spawn_blocking(move || drop(gone)).await;
    }
}

/// A model of a [`Pool`].
pub struct Pooled {
    info: ModelInfo,
    pool: Arc<Pool>,
    slot: usize,
    load: Load,
    waiting: Semaphore,
}

impl Pooled {
    /// Loads it, however long that takes.
    ///
    /// # Errors
    /// [`PoolError`].
    pub async fn load(&self) -> Result<(), PoolError> {
        self.pool.load(self.slot, &self.load).await.map(drop)
    }

    /// The loaded model. Whoever stops waiting does not stop the loading.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] when it takes too long, fails, or there is no room.
    async fn engine(&self) -> Result<Arc<dyn Engine>, EngineError> {
        if let Some(engine) = self.pool.loaded(self.slot) {
            return Ok(engine);
        }
        let late = EngineError::Unavailable { retry_after: RETRY };
        let Ok(_spot) = self.waiting.try_acquire() else {
            return Err(EngineError::Busy { retry_after: RETRY });
        };
        let (pool, slot, load) = (self.pool.clone(), self.slot, self.load.clone());
        let loading = tokio::spawn(async move { pool.load(slot, &load).await });
        match tokio::time::timeout(self.pool.options.patience, loading).await {
            Ok(Ok(Ok(engine))) => Ok(engine),
            Ok(Ok(Err(error))) => {
                tracing::error!(model = self.info.id, %error, "a model cannot be loaded");
                Err(late)
            }
            Ok(Err(error)) => Err(EngineError::Failed(error.to_string())),
            Err(_) => Err(late),
        }
    }
}

#[async_trait]
impl Engine for Pooled {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    async fn prepare(&self, request: GenerateRequest) -> Result<Prepared, EngineError> {
        self.engine().await?.prepare(request).await
    }

    async fn text_of(&self, tokens: &[u32]) -> Result<String, EngineError> {
        self.engine().await?.text_of(tokens).await
    }

    async fn generate(
        &self,
        prepared: Prepared,
        place: Arc<Place>,
    ) -> Result<Generation, EngineError> {
        let engine = self.engine().await?;
        self.pool
            .with(self.slot, |slot| slot.places.push(Arc::downgrade(&place)));
        engine.generate(prepared, place).await
    }

    /// One that can be loaded is ready.
    fn is_ready(&self) -> bool {
        let ready = self.pool.with(self.slot, |slot| match &slot.engine {
            Some(engine) => engine.is_ready(),
            None => !slot.is_pinned,
        });
        ready.unwrap_or(false)
    }

    fn state(&self) -> ModelState {
        let state = self.pool.with(self.slot, |slot| match &slot.engine {
            Some(engine) => engine.state(),
            None if slot.is_loading => ModelState::Loading,
            None => ModelState::Unloaded,
        });
        state.unwrap_or(ModelState::Unloaded)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::engine::admission::Admission;

    struct Nothing(ModelInfo);

    #[async_trait]
    impl Engine for Nothing {
        fn info(&self) -> &ModelInfo {
            &self.0
        }

        async fn prepare(&self, _: GenerateRequest) -> Result<Prepared, EngineError> {
            Err(EngineError::Failed("prepared".into()))
        }

        async fn text_of(&self, _: &[u32]) -> Result<String, EngineError> {
            Ok(String::new())
        }

        async fn generate(&self, _: Prepared, _: Arc<Place>) -> Result<Generation, EngineError> {
            Err(EngineError::Failed("generated".into()))
        }

        fn is_ready(&self) -> bool {
            true
        }
    }

    fn info(id: &str) -> ModelInfo {
        ModelInfo {
            id: id.into(),
            created: 0,
            owned_by: "tests".into(),
            context_length: 1,
            system_fingerprint: "fp".into(),
        }
    }

    fn options() -> PoolOptions {
        PoolOptions {
            memory: 0,
            idle: Duration::ZERO,
            patience: Duration::from_secs(5),
        }
    }

    /// A model that takes this long to load, and how often it was.
    fn add(
        pool: &Arc<Pool>,
        id: &str,
        is_pinned: bool,
        takes: Duration,
    ) -> (Arc<Pooled>, Arc<AtomicUsize>) {
        let loads = Arc::new(AtomicUsize::new(0));
        let (counted, name) = (loads.clone(), id.to_owned());
        let load: Load = Arc::new(move || {
            let (counted, name) = (counted.clone(), name.clone());
            Box::pin(async move {
                tokio::time::sleep(takes).await;
                counted.fetch_add(1, Ordering::SeqCst);
                if name == "broken" {
                    return Err("it is broken".to_owned());
                }
                Ok(Arc::new(Nothing(info(&name))) as Arc<dyn Engine>)
            })
        });
        (pool.add(info(id), 10, is_pinned, load), loads)
    }

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_model_is_loaded_once_for_all_who_ask() {
        let pool = Pool::new(options());
        let (model, loads) = add(&pool, "a", false, SOON);
        assert_eq!(model.state(), ModelState::Unloaded);
        assert!(model.is_ready());
        let all = (0..20).map(|_| model.engine());
        for engine in futures_util::future::join_all(all).await {
            assert_eq!(
                engine.map(|e| e.info().id.clone()).ok().as_deref(),
                Some("a")
            );
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert_eq!(model.state(), ModelState::Loaded);
    }

    #[tokio::test]
    async fn whoever_waits_too_long_is_told_when_to_come_back_and_finds_it_then() {
        let pool = Pool::new(PoolOptions {
            patience: SOON,
            ..options()
        });
        let (model, _) = add(&pool, "a", false, SOON * 5);
        let late = model.engine().await.err();
        assert!(matches!(late, Some(EngineError::Unavailable { .. })));
        assert_eq!(model.state(), ModelState::Loading);
        tokio::time::sleep(SOON * 10).await;
        assert!(model.engine().await.is_ok());
    }

    #[tokio::test]
    async fn what_was_not_asked_for_longest_makes_room_unless_it_is_pinned_or_busy() {
        let pool = Pool::new(PoolOptions {
            memory: 20,
            ..options()
        });
        let (pinned, _) = add(&pool, "pinned", true, Duration::ZERO);
        let (a, _) = add(&pool, "a", false, Duration::ZERO);
        let (b, _) = add(&pool, "b", false, Duration::ZERO);
        assert!(
            !pinned.is_ready(),
            "a pinned model is ready when it is loaded"
        );
        pinned.engine().await.expect("room");
        a.engine().await.expect("room");
        b.engine().await.expect("room");
        assert_eq!(pinned.state(), ModelState::Loaded);
        assert_eq!(a.state(), ModelState::Unloaded);
        let place = Arc::new(Admission::new(1, 1).enter("x").await.expect("a place"));
        let prepared = Prepared {
            prompt: Vec::new(),
            sampling: crate::engine::Sampling::default(),
            max_tokens: 1,
            is_thinking: false,
            shows_calls: false,
            grammar: None,
            scope: "x".into(),
        };
        assert!(b.generate(prepared, place.clone()).await.is_err());
        let full = a.engine().await.err();
        assert!(
            matches!(full, Some(EngineError::Unavailable { .. })),
            "{full:?}"
        );
        drop(place);
        a.engine().await.expect("room again");
        assert_eq!(b.state(), ModelState::Unloaded);
    }

    #[tokio::test]
    async fn what_nobody_asks_for_is_unloaded_and_loaded_again() {
        let pool = Pool::new(PoolOptions {
            idle: SOON,
            ..options()
        });
        let (model, loads) = add(&pool, "a", false, Duration::ZERO);
        let (pinned, _) = add(&pool, "pinned", true, Duration::ZERO);
        model.engine().await.expect("loaded");
        pinned.engine().await.expect("loaded");
        let watch = tokio::spawn(pool.clone().watch());
        while model.state() != ModelState::Unloaded {
            tokio::time::sleep(SOON).await;
        }
        assert_eq!(pinned.state(), ModelState::Loaded);
        model.engine().await.expect("loaded again");
        assert_eq!(loads.load(Ordering::SeqCst), 2);
        watch.abort();
    }

    #[tokio::test]
    async fn a_model_that_cannot_be_loaded_is_unavailable_and_tried_again() {
        let pool = Pool::new(options());
        let (model, loads) = add(&pool, "broken", false, Duration::ZERO);
        for tried in 1..3 {
            let error = model.engine().await.err();
            assert!(matches!(error, Some(EngineError::Unavailable { .. })));
            assert_eq!(loads.load(Ordering::SeqCst), tried);
        }
    }
}
