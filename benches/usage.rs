//! What it takes to tell usage and costs: `cargo bench --bench usage`.
//!
//! A year of 50 keys in 5 projects that each use 3 models in every single minute: more sums than
//! ten million rows can have. `MICROLLM_BENCH_ROWS=10000000` puts so many usage rows beside them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use microllm::app::{App, Data};
use microllm::auth::{Passwords, set_up};
use microllm::clock::Clock;
use microllm::config::Config;
use microllm::config::Sources;
use microllm::engine::registry::Registry;
use microllm::http::routes;
use microllm::limits::Scope;
use microllm::store::DataDir;
use poem::{Endpoint, Request, Response};
use sqlx::{Connection, SqliteConnection};

const TIMES: usize = 7;
const DAY: i64 = 86_400;

fn main() {
    let dir = match std::env::var_os("MICROLLM_BENCH_DIR") {
        Some(parent) => tempfile::tempdir_in(parent).unwrap(),
        None => tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
    };
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(run(dir.path()));
}

async fn run(dir: &Path) {
    let data = Data::open(&DataDir::prepare(dir).unwrap()).await.unwrap();
    let clock = Clock::system();
    let passwords = Passwords::new(&Config::default().auth);
    let first = set_up(
        &data.store,
        &data.secrets,
        &clock,
        &passwords,
        "admin@localhost",
    )
    .await
    .unwrap();
    let key = first.admin_api_key.key.expose().to_owned();
    let now = clock.now_secs();
    fill(&dir.join("microllm.db"), now).await;

    let config = Sources {
        overrides: vec![("data.dir", dir.display().to_string())],
        ..Sources::default()
    };
    let app = App::new(config.load().unwrap(), clock, data, Registry::loading()).unwrap();
    let server = routes(app.clone());
    for (what, path, seconds, buckets) in [
        ("1d", "usage/completions?bucket_width=1d", DAY, 31),
        ("1h", "usage/completions?bucket_width=1h", 3600, 168),
        ("1m", "usage/completions?bucket_width=1m", 60, 1440),
        ("costs", "costs?bucket_width=1d", DAY, 180),
    ] {
        let model = if what == "costs" {
            "line_item"
        } else {
            "model"
        };
        let start = now - (buckets - 1) * seconds;
        for more in [
            String::new(),
            format!("&group_by[]=project_id&group_by[]={model}"),
            format!("&group_by[]=api_key_id&group_by[]={model}"),
            "&project_ids[]=proj_3".to_owned(),
        ] {
            let uri = format!("/v1/organization/{path}&start_time={start}&limit={buckets}{more}");
            let mut bytes = 0;
            let took = measure(async || bytes = ask(&server, &uri, &key).await).await;
            println!("{what:5} x {buckets:4} {more:42} {took}  {bytes:9} bytes");
        }
    }
    let midnight = now - now % DAY;
    for scope in [Scope::Organization, Scope::Key("key_7".into())] {
        let took = measure(async || {
            let used = app
                .store
                .used_before(&scope, now - DAY, midnight, midnight - 30 * DAY);
            used.await.unwrap();
        });
        println!("seed {scope:?}: {}", took.await);
    }
}

async fn ask(server: &impl Endpoint<Output = Response>, uri: &str, key: &str) -> usize {
    let request = Request::builder()
        .uri(uri.parse().unwrap())
        .header("authorization", format!("Bearer {key}"))
        .finish();
    let response = server.get_response(request).await;
    assert_eq!(response.status(), 200, "{uri}");
    response.into_body().into_bytes().await.unwrap().len()
}

async fn measure(mut work: impl AsyncFnMut()) -> String {
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        work().await;
        took.push(begun.elapsed());
    }
    took.sort();
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    format!(
        "median {:7.1} ms  worst {:7.1} ms",
        ms(took[TIMES / 2]),
        ms(took[TIMES - 1])
    )
}

async fn fill(database: &Path, now: i64) {
    let url = format!("sqlite:{}", database.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    if let Ok(rows) = std::env::var("MICROLLM_BENCH_ROWS") {
        let rows: i64 = rows.parse().unwrap();
        let begun = Instant::now();
        let insert =
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
             INSERT INTO usage (request_id, created_at_ms, api_key_id, project_id, model, endpoint,
                                stream, status, outcome, finish_reason, input_tokens, output_tokens,
                                cached_tokens, queue_ms, first_token_ms, duration_ms)
             SELECT printf('req_%032x', i), (?2 - 365 * 86400) * 1000 + i * 365 * 86400000 / ?1,
                    'key_' || (i % 50), 'proj_' || (i % 50 / 10), 'model-' || (i % 3),
                    'chat.completions', 1, 200, 'completed', 'stop', 1000, 200, 100, 1, 80, 4000
             FROM n";
        sqlx::query(insert)
            .bind(rows)
            .bind(now)
            .execute(&mut connection)
            .await
            .unwrap();
        let mark = "UPDATE usage_summed SET seq = (SELECT max(seq) FROM usage)";
        sqlx::query(mark).execute(&mut connection).await.unwrap();
        println!(
            "{rows} usage rows, in {:.0} s",
            begun.elapsed().as_secs_f64()
        );
    }
    for (table, seconds, buckets) in [
        ("usage_minutes", 60, 8 * 1440),
        ("usage_hours", 3600, 8760),
        ("usage_days", DAY, 365),
    ] {
        let insert = format!(
            "WITH RECURSIVE
                 time (t) AS (SELECT 0 UNION ALL SELECT t + 1 FROM time WHERE t < {buckets} - 1),
                 key (k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM key WHERE k < 49),
                 model (m) AS (SELECT 0 UNION ALL SELECT m + 1 FROM model WHERE m < 2)
             INSERT INTO {table}
             SELECT ({now} / {seconds} - t) * {seconds}, 'proj_' || (k / 10), 'key_' || k, '',
                    'model-' || m, 'chat.completions', 8, 8000, 1600, 800, 120000, 0
             FROM time, key, model"
        );
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(insert))
            .execute(&mut connection)
            .await
            .unwrap();
        println!("{table}: {} sums", done.rows_affected());
    }
    connection.close().await.unwrap();
    let bytes = std::fs::metadata(database).unwrap().len();
    println!("a database of {} MB", bytes >> 20);
}
