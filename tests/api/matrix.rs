//! Every route, asked by everybody: who is let in, who is told no, and from whom it is hidden.
//!
//! A route that is not listed here fails the test.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::administration::id;
use crate::harness::{ADMIN, Server};
use crate::identity::Person;

/// Each route with who it is for and, where it reads one, a body that is in order.
///
/// - `public`: for everybody
/// - `person`: for whoever has signed in
/// - `models SCOPE`: for keys of projects, and for people in their projects
/// - `org PERMISSION`: for admin keys with that scope, and for owners
/// - `listing PERMISSION`: the same, and for readers, who see what is theirs
/// - `owned PERMISSION`: the same, but only for readers with a project where their role has it
/// - `project PERMISSION`: for admin keys with that scope, for owners, and for people of the project
///   whose role there has it; everybody else's project does not exist
/// - `whole PERMISSION`: about a project, but for the organization's administrators alone
const ROUTES: &str = r#"
GET    /health/liveness                  public
GET    /health/liveliness                public
GET    /health/readiness                 public
GET    /metrics                          org usage.read
POST   /auth/register                    public  {"email": "x@example.org", "password": "x"}
POST   /auth/login                       public  {"email": "x@example.org", "password": "x"}
POST   /auth/refresh                     public  {"refresh_token": "x"}
GET    /auth/me                          person
POST   /auth/logout                      person
POST   /auth/password                    person  {"current_password": "x", "new_password": "x"}
GET    /auth/sessions                    person
DELETE /auth/sessions                    person
DELETE /auth/sessions/{session_id}       person
POST   /auth/second_factor               person  {"password": "x"}
POST   /auth/second_factor/confirm       person  {"code": "x"}
POST   /auth/second_factor/recovery_codes person {"code": "x"}
POST   /auth/second_factor/remove        person  {"password": "x", "code": "x"}

POST   /v1/chat/completions              models model.request  {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
POST   /v1/embeddings                    models model.request  {"model": "embed", "input": "Hi"}
POST   /v1/completions                   models model.request  {"model": "echo", "prompt": "Hi"}
GET    /v1/chat/completions              models stored_completions.read
GET    /v1/chat/completions/{completion_id}    models stored_completions.read
POST   /v1/chat/completions/{completion_id}    models stored_completions.write  {"metadata": null}
DELETE /v1/chat/completions/{completion_id}    models stored_completions.write
GET    /v1/chat/completions/{completion_id}/messages    models stored_completions.read
GET    /v1/models                        models model.read
GET    /v1/models/{model}                models model.read
POST   /v1/guardrails/check              models model.request  {"direction": "input", "text": "Hi"}
POST   /v1/moderations                   models model.request  {"input": "Hi"}
GET    /v1/limits                        models

GET    /v1/organization/admin_api_keys           org admin_keys.read
POST   /v1/organization/admin_api_keys           org admin_keys.write  {"name": "x", "scopes": []}
GET    /v1/organization/admin_api_keys/{key_id}  org admin_keys.read
DELETE /v1/organization/admin_api_keys/{key_id}  org admin_keys.write
GET    /v1/organization/audit_logs               org audit.read
GET    /v1/organization/audit_logs/export        org audit.read
GET    /v1/organization/usage/export             org usage.read
GET    /v1/organization/costs                    owned usage.read
GET    /v1/organization/usage/completions        owned usage.read
GET    /v1/organization/usage/embeddings         owned usage.read
GET    /v1/organization/usage/moderations        owned usage.read
GET    /v1/organization/usage/{kind}             owned usage.read
GET    /v1/organization/cache                    org usage.read
DELETE /v1/organization/cache                    org settings.write
GET    /v1/organization/data_retention           org settings.read
POST   /v1/organization/data_retention           org settings.write  {"retention_type": "zero_data_retention"}
GET    /v1/organization/limits                   org limits.read
POST   /v1/organization/limits                   org limits.write  {}
GET    /v1/organization/spend_limit              org limits.read
POST   /v1/organization/spend_limit              org limits.write  {"currency": "USD", "interval": "month", "threshold_amount": 1000000000}
DELETE /v1/organization/spend_limit              org limits.write
GET    /v1/organization/spend_alerts             org limits.read
POST   /v1/organization/spend_alerts             org limits.write  ALERT
GET    /v1/organization/spend_alerts/{alert_id}  org limits.read
POST   /v1/organization/spend_alerts/{alert_id}  org limits.write  ALERT
DELETE /v1/organization/spend_alerts/{alert_id}  org limits.write
GET    /v1/organization/users                    org users.read
GET    /v1/organization/users/{user_id}          org users.read
POST   /v1/organization/users/{user_id}          org users.write  {"name": "x"}
DELETE /v1/organization/users/{user_id}          org users.write
GET    /v1/organization/users/{user_id}/roles    org users.read
POST   /v1/organization/users/{user_id}/roles    org users.write  {"role_id": "role_none"}
GET    /v1/organization/users/{user_id}/roles/{role_id}    org users.read
DELETE /v1/organization/users/{user_id}/roles/{role_id}    org users.write
GET    /v1/organization/invites                  org users.read
POST   /v1/organization/invites                  org users.write  {"email": "invited@example.org", "role": "reader"}
GET    /v1/organization/invites/{invite_id}      org users.read
DELETE /v1/organization/invites/{invite_id}      org users.write
GET    /v1/organization/roles                    org users.read
GET    /v1/organization/roles/{role_id}          org users.read
GET    /v1/organization/projects                 listing projects.read
POST   /v1/organization/projects                 org projects.write  {"name": "x"}
GET    /v1/projects/{project_id}/roles           project users.read
GET    /v1/projects/{project_id}/roles/{role_id}    project users.read
GET    /v1/projects/{project_id}/users/{user_id}/roles    project users.read
POST   /v1/projects/{project_id}/users/{user_id}/roles    project users.write  {"role_id": "role-project-member"}
GET    /v1/projects/{project_id}/users/{user_id}/roles/{role_id}    project users.read
DELETE /v1/projects/{project_id}/users/{user_id}/roles/{role_id}    project users.write

GET    /v1/organization/projects/{project_id}    project projects.read
POST   /v1/organization/projects/{project_id}    project projects.write  {"name": "x"}
POST   /v1/organization/projects/{project_id}/archive    whole projects.write
GET    /v1/organization/projects/{project_id}/users    project users.read
POST   /v1/organization/projects/{project_id}/users    project users.write  {"user_id": "user-none", "role": "member"}
GET    /v1/organization/projects/{project_id}/users/{user_id}    project users.read
POST   /v1/organization/projects/{project_id}/users/{user_id}    project users.write  {"role": "member"}
DELETE /v1/organization/projects/{project_id}/users/{user_id}    project users.write
GET    /v1/organization/projects/{project_id}/service_accounts    project projects.read
POST   /v1/organization/projects/{project_id}/service_accounts    project projects.write  {"name": "x"}
GET    /v1/organization/projects/{project_id}/service_accounts/{service_account_id}    project projects.read
POST   /v1/organization/projects/{project_id}/service_accounts/{service_account_id}    project projects.write  {"name": "x"}
DELETE /v1/organization/projects/{project_id}/service_accounts/{service_account_id}    project projects.write
POST   /v1/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys    project projects.write  {"name": "x"}
GET    /v1/organization/projects/{project_id}/api_keys    project projects.read
POST   /v1/organization/projects/{project_id}/api_keys    project projects.write  {"name": "x"}
GET    /v1/organization/projects/{project_id}/api_keys/{api_key_id}    project projects.read
POST   /v1/organization/projects/{project_id}/api_keys/{api_key_id}    project projects.write  {"name": "x"}
DELETE /v1/organization/projects/{project_id}/api_keys/{api_key_id}    project projects.write
POST   /v1/organization/projects/{project_id}/api_keys/{api_key_id}/rotate    project projects.write  {}
GET    /v1/organization/projects/{project_id}/rate_limits    project limits.read
POST   /v1/organization/projects/{project_id}/rate_limits/{rate_limit_id}    project limits.write  {"max_requests_per_1_minute": 1000}
DELETE /v1/organization/projects/{project_id}/rate_limits/{rate_limit_id}    project limits.write
GET    /v1/organization/projects/{project_id}/model_permissions    project projects.read
POST   /v1/organization/projects/{project_id}/model_permissions    project limits.write  {"mode": "deny_list", "model_ids": ["none"]}
DELETE /v1/organization/projects/{project_id}/model_permissions    project limits.write
GET    /v1/organization/projects/{project_id}/spend_limit    project limits.read
POST   /v1/organization/projects/{project_id}/spend_limit    project limits.write  {"currency": "USD", "interval": "month", "threshold_amount": 1000000000}
DELETE /v1/organization/projects/{project_id}/spend_limit    project limits.write
GET    /v1/organization/projects/{project_id}/spend_alerts    project limits.read
POST   /v1/organization/projects/{project_id}/spend_alerts    project limits.write  ALERT
GET    /v1/organization/projects/{project_id}/spend_alerts/{alert_id}    project limits.read
POST   /v1/organization/projects/{project_id}/spend_alerts/{alert_id}    project limits.write  ALERT
DELETE /v1/organization/projects/{project_id}/spend_alerts/{alert_id}    project limits.write
GET    /v1/organization/projects/{project_id}/data_retention    project projects.read
POST   /v1/organization/projects/{project_id}/data_retention    project settings.write  {"retention_type": "organization_default"}
"#;

/// What readers may do in a project, by their role there.
const PROJECT_OWNER: [&str; 6] = [
    "users.read",
    "users.write",
    "projects.read",
    "projects.write",
    "limits.read",
    "usage.read",
];
const PROJECT_MEMBER: [&str; 3] = ["projects.read", "users.read", "limits.read"];
const SCOPES: [&str; 12] = [
    "users.read",
    "users.write",
    "projects.read",
    "projects.write",
    "limits.read",
    "limits.write",
    "admin_keys.read",
    "admin_keys.write",
    "usage.read",
    "audit.read",
    "settings.read",
    "settings.write",
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum For {
    Public,
    Person,
    Models,
    Organization,
    Listing,
    Owned,
    Project,
    Whole,
}

#[derive(Debug)]
struct RouteCase {
    method: Method,
    path: String,
    of: For,
    permission: String,
    body: Option<Value>,
}

fn routes() -> Vec<RouteCase> {
    let alert = json!({
        "currency": "USD", "interval": "month", "threshold_amount": 100,
        "notification_channel": {"type": "email", "recipients": ["x@example.org"]},
    });
    let lines = ROUTES.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (head, body) = match line.find([' ', '\t']).map(|_| line.find("  {")) {
                Some(Some(at)) => (&line[..at], Some(&line[at..])),
                _ => match line.find(" {\"") {
                    Some(at) => (&line[..at], Some(&line[at..])),
                    None => (line, None),
                },
            };
            let mut words = head.split_whitespace();
            let mut word = || words.next().unwrap_or_default().to_owned();
            let (method, path, of, permission) = (word(), word(), word(), word());
            let is_alert = line.ends_with("ALERT");
            RouteCase {
                method: method.parse().expect("a method"),
                of: match of.as_str() {
                    "public" => For::Public,
                    "person" => For::Person,
                    "models" => For::Models,
                    "org" => For::Organization,
                    "listing" => For::Listing,
                    "owned" => For::Owned,
                    "project" => For::Project,
                    "whole" => For::Whole,
                    other => panic!("{other}"),
                },
                path,
                permission,
                body: match body {
                    Some(body) => Some(serde_json::from_str(body).expect("json")),
                    None => is_alert.then(|| alert.clone()),
                },
            }
        })
        .collect()
}

/// Who asks, and what they are.
#[derive(Debug, Clone)]
struct Caller {
    name: String,
    credential: Option<String>,
    is: Is,
}

#[derive(Debug, Clone)]
enum Is {
    /// Nobody, or no longer anybody.
    Nobody,
    ProjectKey(Option<Vec<&'static str>>),
    /// With these scopes.
    AdminKey(Vec<&'static str>),
    Owner,
    /// Of the organization; with these permissions in the one and the other project.
    Reader(&'static [&'static str], &'static [&'static str]),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    In,
    Unknown,
    Forbidden,
    Hidden,
    /// The server failed, which is never right.
    Failed,
}

fn expected(route: &RouteCase, caller: &Caller, is_own: bool) -> Expected {
    use Expected::{Forbidden, Hidden, In, Unknown};
    let permission = route.permission.as_str();
    let has = |granted: &[&str]| {
        if granted.contains(&permission) {
            In
        } else {
            Forbidden
        }
    };
    match (route.of, &caller.is) {
        (For::Public, _) => In,
        (_, Is::Nobody) => Unknown,
        (For::Person, Is::Owner | Is::Reader(..)) => In,
        (For::Person, _) => Unknown,
        (For::Models, Is::ProjectKey(None) | Is::Owner | Is::Reader(..)) => In,
        (For::Models, Is::ProjectKey(Some(_))) if permission.is_empty() => In,
        (For::Models, Is::ProjectKey(Some(scopes))) => has(scopes),
        (For::Models, Is::AdminKey(_)) => Forbidden,
        (_, Is::ProjectKey(_)) => Forbidden,
        (_, Is::AdminKey(scopes)) => has(scopes),
        (_, Is::Owner) => In,
        (For::Listing, Is::Reader(..)) => In,
        // Who was invited into no project has one of their own.
        (For::Owned, Is::Reader([], [])) => In,
        (For::Owned, Is::Reader(own, foreign)) => has(&[*own, *foreign].concat()),
        (For::Organization, Is::Reader(..)) => Forbidden,
        (of, Is::Reader(own, foreign)) => match if is_own { own } else { foreign } {
            [] => Hidden,
            _ if of == For::Whole => Forbidden,
            granted => has(granted),
        },
    }
}

/// Everybody there is, of the projects that are named.
async fn callers(server: &Server, own: &str, foreign: &str) -> Vec<Caller> {
    let mut all = Vec::new();
    let mut add = |name: &str, credential: Option<&str>, is: Is| {
        all.push(Caller {
            name: name.to_owned(),
            credential: credential.map(str::to_owned),
            is,
        });
    };
    add("nobody", None, Is::Nobody);
    add("a made-up key", Some("sk-mllm-0000000000"), Is::Nobody);
    add("a made-up token", Some("a.b.c"), Is::Nobody);
    let key = async |project: &str, scopes: Value| {
        let path = format!("/organization/projects/{project}/api_keys");
        let made = server
            .make(&path, json!({"name": "k", "scopes": scopes}))
            .await;
        made["value"].as_str().expect("a key").to_owned()
    };
    let of_project = key(own, Value::Null).await;
    add("a project's key", Some(&of_project), Is::ProjectKey(None));
    let of_foreign = key(foreign, Value::Null).await;
    add(
        "a foreign project's key",
        Some(&of_foreign),
        Is::ProjectKey(None),
    );
    for scopes in [
        vec![],
        vec!["model.read"],
        vec!["model.request"],
        vec!["stored_completions.read"],
        vec!["stored_completions.write"],
    ] {
        let made = key(own, json!(scopes)).await;
        let name = format!("a project's key for {scopes:?}");
        add(&name, Some(&made), Is::ProjectKey(Some(scopes)));
    }
    let admin_key = async |scopes: &[&str]| {
        let body = json!({"name": "k", "scopes": scopes});
        let made = server.make("/organization/admin_api_keys", body).await;
        made["value"].as_str().expect("a key").to_owned()
    };
    add(
        "the first admin key",
        Some(&server.admin_key),
        Is::AdminKey(SCOPES.to_vec()),
    );
    for scope in SCOPES {
        let made = admin_key(&[scope]).await;
        let name = format!("an admin key for {scope}");
        add(&name, Some(&made), Is::AdminKey(vec![scope]));
        let rest: Vec<_> = SCOPES.into_iter().filter(|other| *other != scope).collect();
        let made = admin_key(&rest).await;
        let name = format!("an admin key for all but {scope}");
        add(&name, Some(&made), Is::AdminKey(rest));
    }
    let member = |project: &str, role: &str| json!([{"id": project, "role": role}]);
    for (name, projects, is) in [
        ("stranger", json!([]), Is::Reader(&[], &[])),
        (
            "member",
            member(own, "member"),
            Is::Reader(&PROJECT_MEMBER, &[]),
        ),
        (
            "keeper",
            member(own, "owner"),
            Is::Reader(&PROJECT_OWNER, &[]),
        ),
        (
            "outsider",
            member(foreign, "owner"),
            Is::Reader(&[], &PROJECT_OWNER),
        ),
    ] {
        let email = format!("{name}@example.org");
        let person = Person::invited(server, &email, "reader", projects).await;
        add(&format!("a {name}"), Some(&person.access), is);
    }
    let email = "second@example.org";
    let second = Person::invited(server, email, "owner", json!([])).await;
    add("an owner", Some(&second.access), Is::Owner);
    let gone = Person::invited(server, "gone@example.org", "owner", json!([])).await;
    let (_, me) = server.auth_as(&gone.access, Method::GET, "/me", None).await;
    let path = format!("/organization/users/{}", id(&me));
    server.make(&path, json!({"disabled": true})).await;
    add("a disabled owner", Some(&gone.access), Is::Nobody);
    let out = Person::administrator(server).await;
    server
        .auth_as(&out.access, Method::POST, "/logout", None)
        .await;
    add("an owner who signed out", Some(&out.access), Is::Nobody);
    all
}

#[test]
fn every_route_is_listed() {
    let document: Value = serde_json::from_str(&microllm::http::openapi_json()).expect("json");
    let mut served = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            served.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let listed: BTreeSet<_> = routes()
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let unlisted: Vec<_> = served.difference(&listed).collect();
    assert!(unlisted.is_empty(), "who may use these? {unlisted:#?}");
    let gone: Vec<_> = listed.difference(&served).collect();
    assert!(gone.is_empty(), "these are not there: {gone:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_what_is_theirs_and_nothing_else() {
    let server = Server::wide(8, |config| config.limits.requests_per_minute = 100_000).await;
    let project = async |name: &str| {
        let made = server
            .make("/organization/projects", json!({ "name": name }))
            .await;
        id(&made).to_owned()
    };
    let (own, foreign) = (project("Own").await, project("Foreign").await);
    let callers = callers(&server, &own, &foreign).await;
    let (mut asked, mut wrong) = (0, Vec::new());
    for route in routes() {
        for caller in &callers {
            for tenant in [&own, &foreign] {
                let has_tenant = route.path.contains("{project_id}");
                if !has_tenant && tenant == &foreign {
                    continue;
                }
                let expected = expected(&route, caller, tenant == &own);
                if route.of == For::Person && expected == Expected::In && ends_sessions(&route) {
                    // Asked by somebody who is signed in for this alone.
                    continue;
                }
                let mut tenant = tenant.clone();
                if route.path.ends_with("/archive") && expected == Expected::In {
                    tenant = project("To be archived").await;
                }
                let answer = ask(&server, &route, caller, &tenant).await;
                asked += 1;
                if answer.0 != expected {
                    let Caller { name, .. } = caller;
                    let (method, path) = (&route.method, &route.path);
                    let whose = if !has_tenant {
                        ""
                    } else if tenant == foreign {
                        "foreign"
                    } else {
                        "own"
                    };
                    wrong.push(format!(
                        "{method} {path} {whose} by {name}: expected {expected:?}, got {} {}",
                        answer.1, answer.2
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}: {wrong:#?}", wrong.len());
    assert!(asked > 4000, "{asked}");
    println!("{asked} questions, 0 wrong answers");
}

#[tokio::test]
async fn people_see_their_own_projects_and_no_others() {
    let server = Server::start().await;
    let made = server
        .make("/organization/projects", json!({"name": "Own"}))
        .await;
    server
        .make("/organization/projects", json!({"name": "Foreign"}))
        .await;
    let projects = json!([{"id": id(&made), "role": "member"}]);
    let person = Person::invited(&server, "ada@example.org", "reader", projects).await;
    let (status, list) = server
        .admin_as(&person.access, Method::GET, "/organization/projects", None)
        .await;
    assert_eq!(status, 200, "{list}");
    let names: Vec<_> = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|project| &project["name"])
        .collect();
    assert_eq!(names, ["Own"]);
}

#[tokio::test]
async fn the_routes_that_end_sessions_are_for_their_owners() {
    let server = Server::start().await;
    for route in routes().iter().filter(|route| ends_sessions(route)) {
        let person = Person::administrator(&server).await;
        let path = route.path.replace("{session_id}", &person.session);
        let url = server.url(&path);
        let request = server.client.request(route.method.clone(), url);
        let response = request.bearer_auth(&person.access).send().await;
        assert_eq!(response.expect("a response").status(), 200, "{path}");
    }
    assert!(
        server
            .app
            .store
            .account(ADMIN)
            .await
            .expect("a row")
            .is_some()
    );
}

fn ends_sessions(route: &RouteCase) -> bool {
    route.path == "/auth/logout"
        || route.path.starts_with("/auth/sessions") && route.method == Method::DELETE
}

async fn ask(
    server: &Server,
    route: &RouteCase,
    caller: &Caller,
    tenant: &str,
) -> (Expected, u16, String) {
    let mut path = route
        .path
        .replace("{project_id}", tenant)
        .replace("{model}", "echo")
        .replace("{kind}", "images");
    // Whatever else there is to be named: authorization comes before looking for it.
    while let Some((before, rest)) = path.split_once('{') {
        let (name, after) = rest.split_once('}').expect("an end");
        path = format!("{before}{name}_none{after}");
    }
    if ["/usage", "/costs"].iter().any(|part| path.contains(part)) {
        path += "?start_time=1700000000";
    }
    let mut request = server
        .client
        .request(route.method.clone(), server.url(&path));
    if let Some(credential) = &caller.credential {
        request = request.bearer_auth(credential);
    }
    if let Some(body) = &route.body {
        request = request.json(body);
    }
    let response = request.send().await.expect("a response");
    let status = response.status().as_u16();
    let text = response.text().await.expect("text");
    let is_hidden = text.contains("There is no such object.");
    let is_public = route.of == For::Public;
    let seen = match status {
        401 if !is_public => Expected::Unknown,
        403 if !is_public => Expected::Forbidden,
        404 if is_hidden => Expected::Hidden,
        500.. if !route.path.contains("readiness") => Expected::Failed,
        _ => Expected::In,
    };
    (seen, status, text)
}
