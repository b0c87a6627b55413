//! Whether time tells an attacker anything: `cargo bench --bench timing`.
//!
//! Two kinds of attempts in turn, in one process. Welch's t between -4.5 and 4.5 means that so many
//! samples do not tell them apart; the gap between the medians says what more samples might.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::Ipv4Addr;
use std::time::Instant;

use microllm::app::{App, Data};
use microllm::auth::{OrgRole, Passwords, Redacted, SignIn, set_up};
use microllm::clock::Clock;
use microllm::config::Config;
use microllm::engine::registry::Registry;
use microllm::records::{Actor, ActorKind};
use microllm::store::DataDir;

const KEYS: usize = 10_000;
/// A hash takes tens of milliseconds.
const SIGN_INS: usize = 1_000;
const ACCOUNTS: usize = 50;

fn main() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(run(dir.path()));
}

async fn run(dir: &std::path::Path) {
    let data = Data::open(&DataDir::prepare(dir).unwrap()).await.unwrap();
    let clock = Clock::system();
    let passwords = Passwords::new(&Config::default().auth);
    let first = set_up(&data.store, &data.secrets, &clock, &passwords, "a@b");
    let first = first.await.unwrap();
    let app = App::new(Config::default(), clock.clone(), data, Registry::loading()).unwrap();

    // Well-formed both, and never issued: one begins as a key that was.
    let near = near(first.api_key.key.expose());
    let far = unknown_key();
    let mut samples = (Vec::new(), Vec::new());
    for i in 0..KEYS {
        for is_near in order(i) {
            let (key, samples) = match is_near {
                true => (&near, &mut samples.0),
                false => (&far, &mut samples.1),
            };
            let begun = Instant::now();
            app.keys.verify(key).await.unwrap_err();
            samples.push(begun.elapsed().as_secs_f64());
        }
    }
    report("a key that is nearly right, and one that is not", samples);

    // The whole way, from an address of its own each, so that nobody is turned away.
    let by = Actor::server(&clock);
    for i in 0..ACCOUNTS {
        let email = format!("known{i}@example.org");
        let created = app.identity.create(&email, "", OrgRole::Reader, &by);
        created.await.unwrap();
    }
    let mut samples = (Vec::new(), Vec::new());
    for i in 0..SIGN_INS {
        for is_known in order(i) {
            let (who, samples) = match is_known {
                true => ("known", &mut samples.0),
                false => ("nobody", &mut samples.1),
            };
            let with = SignIn {
                email: format!("{who}{}@example.org", i % ACCOUNTS),
                password: Redacted::new(format!("guess {i}")),
                code: None,
            };
            let ip = Ipv4Addr::from_bits(0x0a00_0000 + i as u32 * 2 + u32::from(is_known));
            let from = Actor {
                kind: ActorKind::Anonymous,
                ip: Some(ip.into()),
                ..by.clone()
            };
            let begun = Instant::now();
            app.identity.sign_in(with, &from).await.unwrap_err();
            samples.push(begun.elapsed().as_secs_f64());
        }
    }
    report("signing in as somebody, and as nobody", samples);
    app.close().await;
}

/// Either comes first as often as the other: writing to the disk costs the next one time.
fn order(i: usize) -> [bool; 2] {
    let is_even = i.is_multiple_of(2);
    [is_even, !is_even]
}

/// A key with the same beginning: all but the last random digit.
fn near(key: &str) -> String {
    let (covered, _) = key.split_at(key.len() - 8);
    let (same, last) = covered.split_at(covered.len() - 1);
    let other = if last == "0" { "1" } else { "0" };
    let covered = format!("{same}{other}");
    let checksum = crc32fast::hash(covered.as_bytes());
    format!("{covered}{checksum:08x}")
}

/// What a key of another server looks like.
fn unknown_key() -> String {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let data_dir = DataDir::prepare(dir.path()).unwrap();
            let data = Data::open(&data_dir).await.unwrap();
            let passwords = Passwords::new(&Config::default().auth);
            let clock = Clock::system();
            let first = set_up(&data.store, &data.secrets, &clock, &passwords, "a@b");
            first.await.unwrap().api_key.key.expose().to_owned()
        })
    })
    .join()
    .unwrap()
}

fn report(what: &str, (a, b): (Vec<f64>, Vec<f64>)) {
    let count = a.len();
    let (a, b) = (Summary::of(a), Summary::of(b));
    let t = (a.mean - b.mean) / (a.variance / a.count + b.variance / b.count).sqrt();
    let gap = (a.median - b.median) / b.median * 100.0;
    println!(
        "{what}: {count} each, medians {:.1} and {:.1} us ({gap:+.2} %), t = {t:.2}",
        a.median * 1e6,
        b.median * 1e6,
    );
}

struct Summary {
    count: f64,
    mean: f64,
    median: f64,
    variance: f64,
}

impl Summary {
    /// Without the slowest hundredth: those are the machine's other work.
    fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        samples.truncate(samples.len() - samples.len() / 100);
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let spread = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        Self {
            count,
            mean,
            median: samples[samples.len() / 2],
            variance: spread / (count - 1.0),
        }
    }
}
