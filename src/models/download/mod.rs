//! Fetches one file over HTTP into a cache whose files are named by their digest, so that an
//! interrupted download goes on where it stopped and nothing unverified ever has a final name.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::{Client, Response, StatusCode, redirect};

use super::digest;
use super::error::ModelError;
use super::progress::Progress;

/// A host that cannot be reached should cost little when there is another source.
const CONNECT: Duration = Duration::from_secs(10);
/// Between two pieces of a body.
const SILENCE: Duration = Duration::from_secs(30);

/// Why a source did not serve.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error("{}", innermost(.0))]
    Http(#[from] reqwest::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("the file there has another sha256 ({actual}) than expected ({expected})")]
    Digest { expected: String, actual: String },
    #[error("the file there has {actual} bytes instead of {expected}")]
    Size { expected: u64, actual: u64 },
    #[error("the download broke off after {done} bytes ({reason}); another try goes on from there")]
    BrokeOff { done: u64, reason: String },
    #[error(transparent)]
    Local(#[from] ModelError),
    #[error("{0}")]
    Other(String),
}

/// reqwest says "error sending request" and keeps the cause for whoever digs.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match error.is_timeout() {
        true => "no answer in time".to_owned(),
        false => cause.to_string(),
    }
}

/// What is known of a file before it is fetched.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    pub sha256: Option<String>,
    pub size: Option<u64>,
}

/// What the Hugging Face hub states of a file: its SHA-256 and size, in headers of the redirect to
/// where the bytes are.
///
/// # Errors
/// The hub cannot be reached or has no such file.
pub async fn ask_hub(url: &str) -> Result<Expected, DownloadError> {
    let client = Client::builder()
        .connect_timeout(CONNECT)
        .timeout(SILENCE)
        .redirect(redirect::Policy::none())
        .build()?;
    let response = client.head(url).send().await?;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        return Err(DownloadError::Status(status));
    }
    let header = |name: &str| header(response.headers(), name);
    Ok(Expected {
        sha256: header("x-linked-etag")
            .map(|etag| etag.trim_matches('"').to_ascii_lowercase())
            .filter(|etag| etag.len() == 64 && etag.bytes().all(|b| b.is_ascii_hexdigit())),
        size: header("x-linked-size").and_then(|size| size.parse().ok()),
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Downloads `url` into `cache` and returns the verified file and its digest.
///
/// # Errors
/// A wrong file is deleted, an incomplete one is kept for the next try.
pub async fn download(
    url: &str,
    expected: &Expected,
    cache: &Path,
    progress: &Progress,
) -> Result<(PathBuf, String), DownloadError> {
    let mut part = Part::open(expected, cache)?;
    let fetched = part.fill(url, expected, progress).await;
    progress.done();
    fetched?;
    part.verify(expected, cache).await
}

/// A file on its way, locked against other processes.
struct Part {
    path: PathBuf,
    file: File,
    done: u64,
}

impl Part {
    fn open(expected: &Expected, cache: &Path) -> Result<Self, DownloadError> {
        // Without a digest there is no telling whether the rest would fit the beginning.
        let name = match &expected.sha256 {
            Some(digest) => format!("{digest}.part"),
            None => format!("{}.part", uuid::Uuid::new_v4().simple()),
        };
        let path = cache.join(name);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(ModelError::io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ModelError::Busy { path }.into()),
            Err(TryLockError::Error(error)) => return Err(ModelError::io(&path)(error).into()),
        }
        let done = file.seek(SeekFrom::End(0)).map_err(ModelError::io(&path))?;
        Ok(Self { path, file, done })
    }

    async fn fill(
        &mut self,
        url: &str,
        expected: &Expected,
        progress: &Progress,
    ) -> Result<(), DownloadError> {
        if expected.size.is_some_and(|size| self.done > size) {
            self.start_over()?;
        }
        if expected.size.is_some_and(|size| self.done == size) {
            return Ok(());
        }
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .build()?;
        let mut request = client.get(url);
        if self.done > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.done));
        }
        let response = request.send().await?;
        match response.status() {
            StatusCode::OK => self.start_over()?,
            StatusCode::PARTIAL_CONTENT if resumes_at(&response, self.done) => {}
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.discard();
                return Err(DownloadError::Other(
                    "it would not go on where the last download broke off; try again".into(),
                ));
            }
            status => return Err(DownloadError::Status(status)),
        }
        let rest = response.content_length();
        let total = expected.size.or(rest.map(|rest| rest + self.done));
        let name = url.rsplit('/').next().unwrap_or(url);
        progress.transfer(name, self.done, total);
        let mut body = response.bytes_stream();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| DownloadError::BrokeOff {
                done: self.done,
                reason: innermost(&error),
            })?;
            (self.file.write_all(&piece)).map_err(ModelError::io(&self.path))?;
            self.done += piece.len() as u64;
            progress.advance(piece.len() as u64);
            if let Some(size) = expected.size
                && self.done > size
            {
                self.discard();
                return Err(DownloadError::Size {
                    expected: size,
                    actual: self.done,
                });
            }
        }
        Ok(())
    }

    async fn verify(
        self,
        expected: &Expected,
        cache: &Path,
    ) -> Result<(PathBuf, String), DownloadError> {
        if let Some(size) = expected.size
            && self.done != size
        {
            self.discard();
            return Err(DownloadError::Size {
                expected: size,
                actual: self.done,
            });
        }
        self.file.sync_all().map_err(ModelError::io(&self.path))?;
        let actual = sha256(&self.path).await?;
        match &expected.sha256 {
            Some(expected) if *expected != actual => {
                self.discard();
                Err(DownloadError::Digest {
                    expected: expected.clone(),
                    actual,
                })
            }
            _ => {
                let target = cached(cache, &actual);
                fs::rename(&self.path, &target).map_err(ModelError::io(&target))?;
                Ok((target, actual))
            }
        }
    }

    fn start_over(&mut self) -> Result<(), DownloadError> {
        self.file.set_len(0).map_err(ModelError::io(&self.path))?;
        self.done = 0;
        Ok(())
    }

    fn discard(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("{}: {error}", self.path.display());
        }
    }
}

fn resumes_at(response: &Response, done: u64) -> bool {
    header(response.headers(), CONTENT_RANGE.as_str())
        .is_some_and(|range| range.starts_with(&format!("bytes {done}-")))
}

/// Where a verified original lies, whatever its format is.
pub fn cached(cache: &Path, sha256: &str) -> PathBuf {
    cache.join(format!("{sha256}.gguf"))
}

/// The digest of a file, off the async threads.
///
/// # Errors
/// The file cannot be read.
pub async fn sha256(path: &Path) -> Result<String, ModelError> {
    let path = path.to_path_buf();
    tokio::task::spawn_blocking(move || digest::of_file(&path))
        .await
        .map_err(|error| ModelError::Convert(error.to_string()))?
}

#[cfg(test)]
mod tests;
