use std::collections::HashMap;

use super::*;
use crate::auth::{Authority, OrgRole, ProjectRole};
use crate::records::{Actor, ActorKind, Outcome, UsageRow};

fn reader(projects: &[(&str, ProjectRole)]) -> Administrator {
    let projects = projects.iter().map(|(id, role)| ((*id).to_owned(), *role));
    Administrator {
        actor: Actor {
            kind: ActorKind::Session,
            id: None,
            user_id: None,
            ip: None,
            user_agent: None,
            at_ms: 0,
        },
        user_id: "user-1".to_owned(),
        authority: Authority::Session {
            role: OrgRole::Reader,
            projects: projects.collect::<HashMap<_, _>>(),
        },
    }
}

fn list(ids: &[&str]) -> Option<Vec<String>> {
    Some(ids.iter().map(|id| (*id).to_owned()).collect())
}

#[tokio::test]
async fn a_page_ends_at_a_whole_bucket_when_it_gets_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("microllm.db")).await.unwrap();
    let hour = |hour: i64| 1_700_006_400 + hour * 3600;
    for (at, keys) in [(0, 2), (1, 3), (3, 6), (4, 1)] {
        for key in 0..keys {
            let row = row(hour(at) * 1000, format!("key_{key}"));
            store.insert_usage(&[&row]).await.unwrap();
        }
    }
    let (mut told, mut page) = (Vec::new(), None);
    loop {
        let asked = Asked {
            start_time: hour(0),
            end_time: Some(hour(6)),
            limit: None,
            page,
        };
        let range = asked.usage(Width::Hour, hour(6)).unwrap();
        let mut question = range.question();
        question.groups.key = true;
        question.most = 4;
        let answer = answer(&store, range, question, completions).await.unwrap();
        let buckets = answer.data.iter();
        let buckets = buckets.map(|bucket| (bucket.start_time, bucket.results.len()));
        told.push(buckets.collect::<Vec<_>>());
        page = answer.next_page;
        if !answer.has_more {
            break;
        }
    }
    let at = |hours: &[(i64, usize)]| -> Vec<_> {
        hours
            .iter()
            .map(|(at, results)| (hour(*at), *results))
            .collect()
    };
    let pages = [
        at(&[(0, 2)]),
        at(&[(1, 3), (2, 0)]),
        at(&[(3, 6)]),
        at(&[(4, 1), (5, 0)]),
    ];
    assert_eq!(told, pages);
}

fn row(created_at_ms: i64, api_key_id: String) -> UsageRow {
    UsageRow {
        request_id: format!("req_{created_at_ms}_{api_key_id}"),
        created_at_ms,
        api_key_id,
        project_id: "proj_1".into(),
        user_id: None,
        model: "m".into(),
        endpoint: crate::pipeline::CHAT.into(),
        stream: false,
        status: 200,
        outcome: Outcome::Completed,
        finish_reason: None,
        error: None,
        input_tokens: 1,
        output_tokens: 1,
        cached_tokens: 0,
        queue_ms: 0,
        first_token_ms: None,
        duration_ms: 1,
        cost_nanousd: 0,
        guardrails: None,
        cache: None,
    }
}

#[test]
fn a_reader_sees_the_projects_that_are_theirs() {
    let theirs = [
        ("proj_mine", ProjectRole::Owner),
        ("proj_used", ProjectRole::Member),
    ];
    let reader = reader(&theirs);
    for (asked, seen) in [
        (None, list(&["proj_mine"])),
        (list(&["proj_mine", "proj_other"]), list(&["proj_mine"])),
        (list(&["proj_other"]), list(&[])),
        (list(&["proj_used"]), list(&[])),
    ] {
        assert_eq!(visible(&reader, asked).expect("some"), seen);
    }
}

#[test]
fn whoever_may_read_no_usage_is_told() {
    for projects in [&[][..], &[("proj_used", ProjectRole::Member)]] {
        let refused = visible(&reader(projects), None);
        assert!(matches!(refused, Err(AuthError::Forbidden(_))));
    }
}
