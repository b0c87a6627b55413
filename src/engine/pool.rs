//! Models that are loaded when somebody asks for them, and unloaded when memory is wanted for
//! another or nobody has asked for long.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;

use super::admission::Place;
use super::{Engine, EngineError, GenerateRequest, Generation, ModelInfo, ModelState, Prepared};

/// When to ask again for a model that is being loaded, or that there is no room for.
const RETRY: Duration = Duration::from_secs(5);
/// A model that could not be loaded is not tried again for so long: whoever asks meanwhile would make
/// others wait for nothing.
const RETRY_LOADING: Duration = Duration::from_secs(2);
/// How often it is looked whether there is room now.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(100);
/// Requests that wait for one model to be loaded; further ones are told to come back.
const MOST_WAITING: usize = 256;

/// Loads a model. May take minutes. What it gives is nobody else's: a model that somebody holds counts
/// as in use.
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

/// A model that is being loaded, for everybody who waits for it.
type Loading = Shared<BoxFuture<'static, Result<Arc<dyn Engine>, PoolError>>>;

/// How models share the machine.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// Bytes of all loaded models together; 0: no bound.
    pub memory: u64,
    /// A model that nobody has asked for this long is unloaded; zero: none is.
    pub idle: Duration,
    /// How long a request waits for its model to be loaded, and a model for room.
    pub patience: Duration,
}

/// The models of a server.
pub struct Pool {
    options: PoolOptions,
    slots: Mutex<Vec<Slot>>,
    /// One is loaded at a time: two at once would each take twice as long.
    turn: tokio::sync::Mutex<()>,
}

struct Slot {
    id: String,
    size: u64,
    is_pinned: bool,
    engine: Option<Arc<dyn Engine>>,
    loading: Option<Loading>,
    /// When it could not be loaded the last time.
    failed: Option<Instant>,
    /// When it was asked for, or answered, last.
    used: Instant,
    /// Of answers that are being generated.
    places: Vec<Weak<Place>>,
}

impl Slot {
    /// Whether it may be unloaded: nobody has it in hand, nor an answer of it.
    fn may_go(&mut self) -> bool {
        self.places.retain(|place| place.strong_count() > 0);
        let in_hand = self.engine.as_ref().map_or(0, Arc::strong_count);
        if !self.places.is_empty() || in_hand > 1 {
            self.used = Instant::now();
        }
        !self.is_pinned && in_hand == 1 && self.places.is_empty()
    }

    fn if_idle(&mut self) -> Option<&mut Self> {
        self.may_go().then_some(self)
    }

    fn take(&mut self) -> Option<(String, Arc<dyn Engine>)> {
        let engine = self.engine.take()?;
        Some((self.id.clone(), engine))
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
            turn: tokio::sync::Mutex::default(),
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
            engine: None,
            loading: None,
            failed: None,
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
                if slot.may_go() && slot.used.elapsed() >= idle {
                    gone.extend(slot.take());
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

    /// What everybody waits for who wants this model: it is loaded once for all of them, and goes on
    /// being loaded when they have left.
    fn loading(self: &Arc<Self>, which: usize, load: &Load) -> Loading {
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(which) else {
            return std::future::ready(Err(PoolError::NoRoom)).boxed().shared();
        };
        if let Some(engine) = slot.engine.clone() {
            return std::future::ready(Ok(engine)).boxed().shared();
        }
        if let Some(loading) = &slot.loading {
            return loading.clone();
        }
        let (pool, load) = (self.clone(), load.clone());
        let task = tokio::spawn(async move { pool.load(which, &load).await });
        let done = async move {
            let ended = task.await;
            ended.unwrap_or_else(|error| Err(PoolError::Load(error.to_string())))
        };
        let loading = done.boxed().shared();
        slot.loading = Some(loading.clone());
        loading
    }

    async fn load(&self, slot: usize, load: &Load) -> Result<Arc<dyn Engine>, PoolError> {
        let _turn = self.turn.lock().await;
        let loaded = match self.room(slot).await {
            Ok(()) => load().await.map_err(PoolError::Load),
            Err(full) => Err(full),
        };
        self.with(slot, |slot| {
            slot.loading = None;
            slot.used = Instant::now();
            slot.failed = matches!(loaded, Err(PoolError::Load(_))).then(Instant::now);
            slot.engine = loaded.as_ref().ok().cloned();
            match &loaded {
                Ok(_) => {}
                Err(PoolError::NoRoom) => tracing::warn!(model = slot.id, "there is no room"),
                Err(error) => tracing::error!(model = slot.id, %error, "it cannot be loaded"),
            }
        });
        loaded
    }

    /// Waits until there is room for this one, and makes it.
    async fn room(&self, slot: usize) -> Result<(), PoolError> {
        let since = Instant::now();
        loop {
            match self.make_room(slot) {
                Ok(gone) => {
                    unload(gone).await;
                    return Ok(());
                }
                Err(full) if since.elapsed() >= self.options.patience => return Err(full),
                Err(_) => tokio::time::sleep(LOOK_FOR_ROOM).await,
            }
        }
    }

    /// Takes out what has not been asked for longest, until there is room for this one; nothing, if
    /// that would not do.
    fn make_room(&self, slot: usize) -> Result<Gone, PoolError> {
        let mut slots = self.slots();
        let wanted = slots.get(slot).map_or(0, |slot| slot.size);
        let loaded = slots.iter().filter(|slot| slot.engine.is_some());
        let held: u64 = loaded.map(|slot| slot.size).sum();
        let memory = self.options.memory;
        let mut surplus = held.saturating_add(wanted).saturating_sub(memory);
        if memory == 0 || surplus == 0 {
            return Ok(Vec::new());
        }
        let mut idle: Vec<&mut Slot> = slots.iter_mut().filter_map(Slot::if_idle).collect();
        if idle.iter().map(|slot| slot.size).sum::<u64>() < surplus {
            return Err(PoolError::NoRoom);
        }
        idle.sort_by_key(|slot| slot.used);
        let mut gone = Vec::new();
        for slot in idle {
            if surplus == 0 {
                break;
            }
            surplus = surplus.saturating_sub(slot.size);
            gone.extend(slot.take());
        }
        Ok(gone)
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
        self.pool.loading(self.slot, &self.load).await.map(drop)
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
        let failed = self.pool.with(self.slot, |slot| slot.failed).flatten();
        if failed.is_some_and(|failed| failed.elapsed() < RETRY_LOADING) {
            return Err(late);
        }
        let Ok(_spot) = self.waiting.try_acquire() else {
            return Err(EngineError::Busy { retry_after: RETRY });
        };
        let loading = self.pool.loading(self.slot, &self.load);
        match tokio::time::timeout(self.pool.options.patience, loading).await {
            Ok(Ok(engine)) => Ok(engine),
            Ok(Err(_)) | Err(_) => Err(late),
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
        // Before the model is out of this hand.
        self.pool.with(self.slot, |slot| {
            slot.places.retain(|place| place.strong_count() > 0);
            slot.places.push(Arc::downgrade(&place));
        });
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
            None if slot.loading.is_some() => ModelState::Loading,
            None => ModelState::Unloaded,
        });
        state.unwrap_or(ModelState::Unloaded)
    }
}

#[cfg(test)]
mod tests;
