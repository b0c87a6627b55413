//! Downloads from a server that behaves, and from ones that do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::models::ModelKind;
use crate::models::catalog::{Beside, Entry, Source};
use crate::models::error::ModelError;
use crate::models::fetch::{self, Trust};

/// What a test server does beyond serving its body.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Good,
    /// Knows no ranges.
    Whole,
    /// Promises everything, hangs up half-way.
    HangsUp,
    Missing,
}

/// A server of one file, counting the bytes it sent.
struct Host {
    url: String,
    sent: Arc<AtomicUsize>,
}

async fn host(body: &[u8], manner: Manner) -> Host {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!(
        "http://{}/model.gguf",
        listener.local_addr().expect("an address")
    );
    let sent = Arc::new(AtomicUsize::new(0));
    let (body, counter) = (body.to_vec(), sent.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Whoever hangs up on us is part of the test.
            let _ = answer(stream, &body, manner, &counter).await;
        }
    });
    Host { url, sent }
}

async fn answer(
    mut stream: TcpStream,
    body: &[u8],
    manner: Manner,
    sent: &AtomicUsize,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let from = request
        .split_once("range: bytes=")
        .and_then(|(_, range)| range.split_once('-')?.0.parse().ok())
        .filter(|_| manner != Manner::Whole)
        .unwrap_or(0);
    let (status, rest) = match (manner, from) {
        (Manner::Missing, _) => ("404 Not Found", &[][..]),
        (_, 0) => ("200 OK", body),
        (_, from) => ("206 Partial Content", &body[from..]),
    };
    let digest = hex::encode(Sha256::digest(body));
    let size = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{}/{size}\r\nx-linked-etag: \"{digest}\"\r\nx-linked-size: {size}\r\n\r\n",
        rest.len(),
        size - 1,
    );
    stream.write_all(head.as_bytes()).await?;
    if request.starts_with("head") {
        return Ok(());
    }
    let rest = match manner {
        Manner::HangsUp => &rest[..rest.len() / 2],
        _ => rest,
    };
    stream.write_all(rest).await?;
    sent.fetch_add(rest.len(), Ordering::SeqCst);
    stream.shutdown().await
}

const BODY: &[u8] = &[7; 100_000];

fn expected(body: &[u8]) -> Expected {
    Expected {
        sha256: Some(hex::encode(Sha256::digest(body))),
        size: Some(body.len() as u64),
    }
}

async fn get(host: &Host, expected: &Expected, cache: &Path) -> Result<PathBuf, DownloadError> {
    let file = download(&host.url, expected, cache, &Progress::hidden()).await?;
    Ok(file.0)
}

fn files(cache: &Path) -> Vec<String> {
    let entries = fs::read_dir(cache).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn part(cache: &Path) -> PathBuf {
    let digest = expected(BODY).sha256.expect("a digest");
    cache.join(format!("{digest}.part"))
}

#[tokio::test]
async fn a_file_is_stored_under_its_digest() {
    let cache = tempfile::tempdir().expect("a directory");
    let host = host(BODY, Manner::Good).await;
    let file = get(&host, &expected(BODY), cache.path())
        .await
        .expect("a file");
    assert_eq!(fs::read(&file).expect("bytes"), BODY);
    let digest = expected(BODY).sha256.expect("a digest");
    assert_eq!(files(cache.path()), [format!("{digest}.gguf")]);
}

#[tokio::test]
async fn an_interrupted_download_goes_on_where_it_stopped() {
    let cache = tempfile::tempdir().expect("a directory");
    let rude = host(BODY, Manner::HangsUp).await;
    let error = get(&rude, &expected(BODY), cache.path()).await;
    assert!(
        matches!(error, Err(DownloadError::BrokeOff { .. })),
        "{error:?}"
    );
    let there = fs::metadata(part(cache.path())).expect("a part").len() as usize;
    assert!(there > 0 && there < BODY.len());

    let host = host(BODY, Manner::Good).await;
    let file = get(&host, &expected(BODY), cache.path())
        .await
        .expect("a file");
    assert_eq!(fs::read(&file).expect("bytes"), BODY);
    assert_eq!(host.sent.load(Ordering::SeqCst), BODY.len() - there);
}

#[tokio::test]
async fn a_server_without_ranges_sends_it_all_again() {
    let cache = tempfile::tempdir().expect("a directory");
    fs::write(part(cache.path()), &BODY[..10]).expect("a part");
    let host = host(BODY, Manner::Whole).await;
    let file = get(&host, &expected(BODY), cache.path())
        .await
        .expect("a file");
    assert_eq!(fs::read(&file).expect("bytes"), BODY);
}

#[tokio::test]
async fn a_wrong_beginning_is_found_out_and_thrown_away() {
    let cache = tempfile::tempdir().expect("a directory");
    fs::write(part(cache.path()), [8; 10]).expect("a part");
    let host = host(BODY, Manner::Good).await;
    let error = get(&host, &expected(BODY), cache.path()).await;
    assert!(
        matches!(error, Err(DownloadError::Digest { .. })),
        "{error:?}"
    );
    assert!(files(cache.path()).is_empty());
}

#[tokio::test]
async fn wrong_truncated_and_endless_files_are_refused_and_deleted() {
    let mut wrong = BODY.to_vec();
    wrong[5] = 6;
    let longer = [BODY, BODY].concat();
    for body in [&wrong[..], &BODY[..500], &longer[..]] {
        let cache = tempfile::tempdir().expect("a directory");
        let host = host(body, Manner::Good).await;
        let error = get(&host, &expected(BODY), cache.path()).await;
        assert!(
            matches!(
                error,
                Err(DownloadError::Digest { .. } | DownloadError::Size { .. })
            ),
            "{error:?}"
        );
        assert!(files(cache.path()).is_empty());
    }
}

#[tokio::test]
async fn two_processes_do_not_write_one_file() {
    let cache = tempfile::tempdir().expect("a directory");
    let _other = Part::open(&expected(BODY), cache.path()).expect("the first");
    let host = host(BODY, Manner::Good).await;
    let error = get(&host, &expected(BODY), cache.path()).await;
    assert!(
        matches!(error, Err(DownloadError::Local(ModelError::Busy { .. }))),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_hub_is_asked_for_digest_and_size() {
    let host = host(BODY, Manner::Good).await;
    let stated = ask_hub(&host.url).await.expect("an answer");
    assert_eq!(stated.sha256, expected(BODY).sha256);
    assert_eq!(stated.size, expected(BODY).size);
}

fn entry(sha256: Option<String>, urls: &[&str]) -> Entry {
    Entry {
        id: "m".into(),
        kind: ModelKind::Chat,
        file: "model.gguf".into(),
        beside: Vec::new(),
        architecture: "llama".into(),
        quantization: "Q8_0".into(),
        parameters: "1B".into(),
        license: "mit".into(),
        owned_by: "x".into(),
        size_bytes: None,
        context_length: 1,
        sha256,
        sampling: crate::models::SamplingDefaults::default(),
        tested: false,
        sources: urls.iter().map(|url| Source::Url((*url).into())).collect(),
    }
}

/// Nothing listens here.
const NOWHERE: &str = "http://127.0.0.1:1/model.gguf";

#[tokio::test]
async fn sources_are_tried_in_order() {
    let cache = tempfile::tempdir().expect("a directory");
    let missing = host(BODY, Manner::Missing).await;
    let good = host(BODY, Manner::Good).await;
    let digest = expected(BODY).sha256;
    let known = entry(digest.clone(), &[NOWHERE, &missing.url, &good.url]);
    let fetched = fetch::obtain(&known, cache.path(), &Progress::hidden()).await;
    let fetched = fetched.expect("the third source");
    assert_eq!(Some(fetched.origin.sha256), digest);
    assert_eq!(fetched.origin.trust, Trust::Catalog);
    assert_eq!(fetched.origin.source, good.url);

    let hopeless = entry(None, &[NOWHERE, &missing.url]);
    let error = fetch::obtain(&hopeless, cache.path(), &Progress::hidden()).await;
    let text = error.expect_err("no source").to_string();
    assert!(text.contains(NOWHERE) && text.contains("404"), "{text}");
}

#[tokio::test]
async fn what_lies_beside_a_file_is_fetched_and_checked_too() {
    let cache = tempfile::tempdir().expect("a directory");
    let good = host(BODY, Manner::Good).await;
    let mut entry = entry(None, &[&good.url]);
    entry.beside = vec![Beside {
        file: "config.json".into(),
        sha256: expected(BODY).sha256.expect("a digest"),
    }];
    let fetched = fetch::obtain(&entry, cache.path(), &Progress::hidden()).await;
    let [(name, path)] = &fetched.expect("both").beside[..] else {
        panic!("one file lies beside it");
    };
    assert_eq!(name, "config.json");
    assert_eq!(fs::read(path).expect("a file"), BODY);

    entry.beside[0].sha256 = "0".repeat(64);
    let error = fetch::obtain(&entry, cache.path(), &Progress::hidden()).await;
    let text = error.expect_err("another file").to_string();
    assert!(text.contains("sha256"), "{text}");
}

#[tokio::test]
async fn a_cached_original_is_checked_and_not_fetched_again() {
    let cache = tempfile::tempdir().expect("a directory");
    let good = host(BODY, Manner::Good).await;
    let known = entry(expected(BODY).sha256, &[&good.url]);
    for _ in 0..2 {
        let fetched = fetch::obtain(&known, cache.path(), &Progress::hidden()).await;
        fetched.expect("a file");
    }
    assert_eq!(good.sent.load(Ordering::SeqCst), BODY.len());

    let digest = expected(BODY).sha256.expect("a digest");
    fs::write(cached(cache.path(), &digest), b"damaged").expect("damage");
    let fetched = fetch::obtain(&known, cache.path(), &Progress::hidden()).await;
    assert_eq!(
        fs::read(fetched.expect("a file").path).expect("bytes"),
        BODY
    );
}

#[tokio::test]
async fn a_file_without_known_digest_is_taken_on_trust_and_recorded() {
    let cache = tempfile::tempdir().expect("a directory");
    let good = host(BODY, Manner::Good).await;
    let unknown = entry(None, &[&good.url]);
    let fetched = fetch::obtain(&unknown, cache.path(), &Progress::hidden()).await;
    let fetched = fetched.expect("a file");
    assert_eq!(fetched.origin.trust, Trust::FirstUse);
    assert_eq!(Some(fetched.origin.sha256), expected(BODY).sha256);
}
