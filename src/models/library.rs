//! The installed models: one directory each, complete from the moment it appears.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::catalog::Catalog;
use super::error::ModelError;
use super::fetch::{self, Origin};
use super::progress::Progress;
use super::{InstalledModel, digest, is_valid_id};

const MANIFEST: &str = "model.json";

/// The models below one directory, and the cache that their originals are kept in.
#[derive(Debug, Clone)]
pub struct Library {
    dir: PathBuf,
    cache: PathBuf,
}

/// Where this user's originals are kept.
pub(crate) fn default_cache() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cache")));
    base.map(|base| base.join("microllm").join("models"))
}

/// The contents of `model.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    #[serde(flatten)]
    model: InstalledModel,
    origin: Origin,
    /// SHA-256 of every other file of the model, by name.
    files: BTreeMap<String, String>,
}

impl Library {
    /// The library at `models_dir`, which is created if need be. Originals are cached in
    /// `$XDG_CACHE_HOME/microllm/models`, or below `~/.cache`, so that a second library does not
    /// download them again.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn open(models_dir: &Path) -> Result<Self, ModelError> {
        match default_cache() {
            Some(cache) => Self::with_cache(models_dir, &cache),
            None => Self::with_cache(models_dir, &models_dir.join(".cache")),
        }
    }

    /// Like [`Library::open`], with originals cached in `cache`.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn with_cache(models_dir: &Path, cache: &Path) -> Result<Self, ModelError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(models_dir)
            .map_err(ModelError::io(models_dir))?;
        Ok(Self {
            dir: models_dir.to_path_buf(),
            cache: cache.to_path_buf(),
        })
    }

    /// Every installed model, by name.
    ///
    /// # Errors
    /// A model whose manifest cannot be read.
    pub fn installed(&self) -> Result<Vec<InstalledModel>, ModelError> {
        let mut models = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(ModelError::io(&self.dir))? {
            let entry = entry.map_err(ModelError::io(&self.dir))?;
            if let Some(name) = entry.file_name().to_str() {
                models.extend(self.get(name)?);
            }
        }
        models.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(models)
    }

    /// The model of this name, if it is installed.
    ///
    /// # Errors
    /// Its manifest cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<InstalledModel>, ModelError> {
        Ok(self.manifest(id)?.map(|manifest| manifest.model))
    }

    /// The model of this name, pulled from the catalog's sources if it is not installed.
    ///
    /// # Errors
    /// Neither installed nor known, or to be had from no source, or not fit for the engine.
    pub async fn ensure(
        &self,
        id: &str,
        progress: &Progress,
    ) -> Result<InstalledModel, ModelError> {
        if let Some(model) = self.get(id)? {
            return Ok(model);
        }
        let catalog = Catalog::built_in()?;
        let entry = catalog.get(id)?;
        let fetched = fetch::obtain(entry, &self.cache, progress).await?;
        progress.wait("installing");
        let installed = self.install_fetched(entry, fetched).await;
        progress.done();
        match installed {
            // Somebody else was faster.
            Err(ModelError::AlreadyInstalled { id }) => {
                let there = self.get(&id)?;
                there.ok_or(ModelError::NotInstalled { id })
            }
            other => other,
        }
    }

    /// Hashes every file of a model again.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] names the first file that is not as it was installed.
    pub async fn verify(&self, id: &str) -> Result<(), ModelError> {
        let manifest = self.manifest(id)?;
        let manifest = manifest.ok_or_else(|| ModelError::NotInstalled { id: id.to_owned() })?;
        blocking(move || manifest.verify()).await
    }

    /// Deletes an installed model; its cached original stays.
    ///
    /// # Errors
    /// It is not installed, or cannot be deleted.
    pub fn remove(&self, id: &str) -> Result<(), ModelError> {
        let model = self.get(id)?;
        let model = model.ok_or_else(|| ModelError::NotInstalled { id: id.to_owned() })?;
        // The manifest goes first: what is left of an interrupted removal is no model any more.
        let manifest = model.dir.join(MANIFEST);
        fs::remove_file(&manifest).map_err(ModelError::io(&manifest))?;
        fs::remove_dir_all(&model.dir).map_err(ModelError::io(&model.dir))
    }

    fn manifest(&self, id: &str) -> Result<Option<Manifest>, ModelError> {
        if !is_valid_id(id) {
            return Ok(None);
        }
        let dir = self.dir.join(id);
        let path = dir.join(MANIFEST);
        let json = match fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
            Err(error) => return Err(ModelError::io(&path)(error)),
        };
        let mut manifest: Manifest =
            serde_json::from_slice(&json).map_err(|error| ModelError::Damaged {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        if manifest.model.id != id {
            return Err(ModelError::Damaged {
                path,
                reason: format!("it describes the model '{}'", manifest.model.id),
            });
        }
        manifest.model.dir = dir;
        Ok(Some(manifest))
    }
}

impl Manifest {
    fn verify(&self) -> Result<(), ModelError> {
        let weights = (&self.model.weights, &self.model.weights_sha256);
        for (name, expected) in [weights].into_iter().chain(&self.files) {
            let path = self.model.dir.join(name);
            let actual = digest::of_file(&path)?;
            if actual != *expected {
                return Err(ModelError::Damaged {
                    path,
                    reason: format!("its sha256 is {actual}, not {expected}"),
                });
            }
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ModelError> + Send + 'static,
) -> Result<T, ModelError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ModelError::Convert(error.to_string()))?
}

#[cfg(not(feature = "mistral"))]
impl Library {
    async fn install_fetched(
        &self,
        _entry: &super::catalog::Entry,
        _fetched: fetch::Fetched,
    ) -> Result<InstalledModel, ModelError> {
        Err(ModelError::NoEngine)
    }
}

#[cfg(feature = "mistral")]
mod install {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::super::ModelKind;
    use super::super::catalog::Entry;
    use super::super::fetch::{Fetched, Trust};
    use super::super::import::{self, Identity, Original};
    use super::*;

    impl Library {
        /// Installs any GGUF file under `id`, or under a name made of the file's.
        ///
        /// # Errors
        /// [`ModelError::Refused`] names what the engine cannot load.
        pub async fn import(
            &self,
            file: &Path,
            id: Option<&str>,
        ) -> Result<InstalledModel, ModelError> {
            let id = id.map_or_else(|| name_of(file), str::to_owned);
            let file = std::path::absolute(file).map_err(ModelError::io(file))?;
            let library = self.clone();
            blocking(move || {
                let origin = Origin {
                    file: file_name(&file),
                    sha256: digest::of_file(&file)?,
                    trust: Trust::Operator,
                    source: file.display().to_string(),
                };
                let identity = Identity {
                    id,
                    license: None,
                    owned_by: None,
                    created: now(),
                };
                library.install(&identity.id.clone(), origin, |dir| {
                    import::convert(&file, Original::Foreign, identity, dir)
                })
            })
            .await
        }

        pub(super) async fn install_fetched(
            &self,
            entry: &Entry,
            fetched: Fetched,
        ) -> Result<InstalledModel, ModelError> {
            let library = self.clone();
            let identity = Identity {
                id: entry.id.clone(),
                license: Some(entry.license.clone()),
                owned_by: Some(entry.owned_by.clone()),
                created: now(),
            };
            let entry = entry.clone();
            blocking(move || {
                let Fetched {
                    path,
                    beside,
                    origin,
                } = fetched;
                library.install(&entry.id, origin, |dir| match entry.kind {
                    ModelKind::Chat => import::convert(&path, Original::Cached, identity, dir),
                    ModelKind::Embedding => {
                        import::embedding(&entry, identity.created, &path, &beside, dir)
                    }
                })
            })
            .await
        }

        /// Lets `fill` build the model aside, and moves it into place whole.
        fn install(
            &self,
            id: &str,
            origin: Origin,
            fill: impl FnOnce(&Path) -> Result<InstalledModel, ModelError>,
        ) -> Result<InstalledModel, ModelError> {
            if !is_valid_id(id) {
                return Err(ModelError::InvalidId { id: id.to_owned() });
            }
            let target = self.dir.join(id);
            if self.manifest(id)?.is_some() {
                return Err(ModelError::AlreadyInstalled { id: id.to_owned() });
            }
            let aside = tempfile::Builder::new()
                .prefix(".installing-")
                .tempdir_in(&self.dir)
                .map_err(ModelError::io(&self.dir))?;
            let mut model = fill(aside.path())?;
            let files = hash_others(aside.path(), &model.weights)?;
            model.dir = target.clone();
            let manifest = Manifest {
                model,
                origin,
                files,
            };
            let path = aside.path().join(MANIFEST);
            let json = serde_json::to_vec_pretty(&manifest)
                .map_err(|error| ModelError::Convert(error.to_string()))?;
            fs::write(&path, json).map_err(ModelError::io(&path))?;
            sync(aside.path())?;
            if target.is_dir() {
                // The rest of an interrupted removal.
                fs::remove_dir_all(&target).map_err(ModelError::io(&target))?;
            }
            fs::rename(aside.path(), &target).map_err(ModelError::io(&target))?;
            // Moved: nothing is left to clean up.
            let _ = aside.keep();
            Ok(manifest.model)
        }
    }

    fn hash_others(dir: &Path, weights: &str) -> Result<BTreeMap<String, String>, ModelError> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(ModelError::io(dir))? {
            let path = entry.map_err(ModelError::io(dir))?.path();
            let name = file_name(&path);
            if name != weights {
                files.insert(name, digest::of_file(&path)?);
            }
        }
        Ok(files)
    }

    /// A model that has its final name must survive a power cut whole.
    fn sync(dir: &Path) -> Result<(), ModelError> {
        for entry in fs::read_dir(dir).map_err(ModelError::io(dir))? {
            let path = entry.map_err(ModelError::io(dir))?.path();
            (fs::File::open(&path).and_then(|file| file.sync_all()))
                .map_err(ModelError::io(&path))?;
        }
        Ok(())
    }

    fn file_name(path: &Path) -> String {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.unwrap_or_default().into_owned()
    }

    /// A model name from a file's: lower case, anything odd a dash.
    fn name_of(file: &Path) -> String {
        let stem = file.file_stem().map(|stem| stem.to_string_lossy());
        let plain = |c: char| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') => c,
            _ => '-',
        };
        let name: String = stem.unwrap_or_default().chars().map(plain).collect();
        name.trim_start_matches(['.', '-']).to_owned()
    }

    fn now() -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs().try_into().unwrap_or(i64::MAX))
    }
}
