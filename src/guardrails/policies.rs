use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Policy, PolicyError};

/// Bytes of a policy's file.
const LARGEST_FILE: u64 = 1 << 20;
/// Files in the directory that are read.
const MOST_FILES: usize = 1000;

/// The policies by name: those built in, and those in a directory, which may change at any time.
pub struct Policies {
    dir: Option<PathBuf>,
    current: RwLock<Arc<ByName>>,
}

/// Policies by name.
pub type ByName = BTreeMap<String, Arc<Policy>>;

/// The policies of the directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    #[error("cannot read {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: larger than {LARGEST_FILE} bytes")]
    Large { path: PathBuf },
    #[error("{path}: more than {MOST_FILES} policies")]
    Many { path: PathBuf },
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl Policies {
    /// Those built in, and those of the directory, if there is one.
    ///
    /// # Errors
    /// [`PoliciesError`] names the file, and the key that is wrong.
    pub fn load(dir: Option<&Path>) -> Result<Self, PoliciesError> {
        Ok(Self {
            dir: dir.map(Path::to_owned),
            current: RwLock::new(Arc::new(read(dir)?)),
        })
    }

    /// The policy of this name as it is.
    pub fn get(&self, name: &str) -> Option<Arc<Policy>> {
        self.all().get(name).cloned()
    }

    /// All of them, by name.
    pub fn all(&self) -> Arc<ByName> {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the directory again: all policies as they are to be, when any is another one. They
    /// hold once they are adopted. Reads files: not for async threads.
    ///
    /// # Errors
    /// As [`Policies::load`].
    pub fn changed(&self) -> Result<Option<ByName>, PoliciesError> {
        if self.dir.is_none() {
            return Ok(None);
        }
        let after = read(self.dir.as_deref())?;
        Ok((after != *self.all()).then_some(after))
    }

    /// From now on these hold.
    pub fn adopt(&self, policies: ByName) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(policies);
    }
}

fn read(dir: Option<&Path>) -> Result<ByName, PoliciesError> {
    let mut policies: Vec<Policy> = Policy::presets()?;
    if let Some(dir) = dir {
        policies.extend(read_dir(dir)?);
    }
    let by_name = policies.into_iter();
    Ok(by_name
        .map(|policy| (policy.name.clone(), Arc::new(policy)))
        .collect())
}

/// Each file `NAME.toml` is the policy NAME.
fn read_dir(dir: &Path) -> Result<Vec<Policy>, PoliciesError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PoliciesError::Read { path, source }
    };
    let mut policies = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed(dir))? {
        let path = entry.map_err(failed(dir))?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let Some(name) = name.filter(|_| path.extension().is_some_and(|end| end == "toml")) else {
            continue;
        };
        if policies.len() >= MOST_FILES {
            return Err(PoliciesError::Many {
                path: dir.to_owned(),
            });
        }
        if std::fs::metadata(&path).map_err(failed(&path))?.len() > LARGEST_FILE {
            return Err(PoliciesError::Large { path });
        }
        let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
        policies.push(Policy::parse(name, &text)?);
    }
    Ok(policies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_is_another_policy_and_a_wrong_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mine.toml");
        std::fs::write(&file, "extends = 'strict'").unwrap();
        std::fs::write(dir.path().join("notes.txt"), "not a policy").unwrap();
        let policies = Policies::load(Some(dir.path())).unwrap();
        assert_eq!(policies.all().len(), 4);
        assert_eq!(policies.changed().unwrap(), None);
        let first = policies.get("mine").unwrap();

        std::fs::write(&file, "[pii]\nstyle = 'hash'").unwrap();
        let changed = policies.changed().unwrap().unwrap();
        assert_eq!(policies.get("mine").unwrap(), first);
        policies.adopt(changed);
        let second = policies.get("mine").unwrap();
        assert_ne!(first.digest, second.digest);

        std::fs::write(&file, "[pii]\nstyle = 'blank'").unwrap();
        let error = policies.changed().unwrap_err().to_string();
        assert!(error.contains("'mine', pii.style"), "{error}");
        assert_eq!(policies.get("mine").unwrap(), second);

        std::fs::remove_file(&file).unwrap();
        policies.adopt(policies.changed().unwrap().unwrap());
        assert!(policies.get("mine").is_none());
    }
}
