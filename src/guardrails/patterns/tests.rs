use proptest::prelude::*;
use regex_automata::util::syntax;
use regex_automata::{Input, meta};

use super::compiled::without_run;
use super::search::{Search, nfa};
use super::*;
use crate::guardrails::Finding;

const PATTERNS: [Pattern; 5] = [
    Pattern {
        guard: GuardName::Pii,
        kind: "address",
        regex: r"(?-u:\b)[a-z0-9.]{1,8}@[a-z]{1,8}(?:\.[a-z]{1,4}){1,2}(?-u:\b)",
        judge: |candidate| candidate.whole(0.9),
    },
    Pattern {
        guard: GuardName::Pii,
        kind: "even",
        regex: r"(?-u:\b)[0-9]{3,6}(?-u:\b)",
        judge: |candidate| {
            candidate
                .text
                .ends_with('2')
                .then(|| candidate.whole(0.5))?
        },
    },
    Pattern {
        guard: GuardName::Secrets,
        kind: "assigned",
        regex: r"key ?[:=] ?[a-z0-9]{2,5}",
        judge: |candidate| {
            let value = candidate.text.rfind([' ', ':', '=']).map_or(0, |at| at + 1);
            candidate.part(value..candidate.text.len(), 0.7)
        },
    },
    Pattern {
        guard: GuardName::Secrets,
        kind: "run",
        regex: r"(?-u:\b)k1[0-9]{2,}",
        judge: |candidate| candidate.whole(0.8),
    },
    Pattern {
        guard: GuardName::Output,
        kind: "tag",
        regex: r"<[a-z]{1,3}>",
        judge: |candidate| (!candidate.in_code).then(|| candidate.whole(1.0))?,
    },
];

fn sorted(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(|finding| (finding.span.start, finding.span.end, finding.kind));
    found
}

fn scan() -> Scan {
    Scan::new(Arc::new(Patterns::new(&PATTERNS).unwrap()), Arc::new([]))
}

fn whole(text: &str) -> Vec<Finding> {
    sorted(scan().finish(text))
}

#[test]
fn what_is_found_lies_where_it_is() {
    let text = "é a.b@c.de, key: x１２; <b>\n```\n<b> 192 193\n```\n<b>";
    let found = whole(text);
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.kind, &text[one.span.clone()]))
        .collect();
    assert_eq!(
        told,
        [
            ("address", "a.b@c.de"),
            ("assigned", "x１２"),
            ("tag", "<b>"),
            ("even", "192"),
            ("tag", "<b>"),
        ]
    );
}

#[test]
fn what_has_no_end_is_no_pattern() {
    static ENDLESS: Pattern = Pattern {
        guard: GuardName::Pii,
        kind: "endless",
        regex: "a+",
        judge: |candidate| candidate.whole(1.0),
    };
    assert!(Patterns::new([&ENDLESS]).is_err());
}

proptest! {
    #[test]
    fn pieces_give_what_the_whole_gives(
        parts in prop::collection::vec("[a-c.@12 key:=<>`\n１é\u{200b}]{0,6}", 0..24)
    ) {
        let text = parts.concat();
        let mut scan = scan();
        let mut found = Vec::new();
        let mut settled = 0;
        for part in &parts {
            let more = scan.push(part);
            for finding in &more {
                prop_assert!(finding.span.start >= settled || finding.kind == "assigned");
            }
            found.extend(more);
            prop_assert!(scan.settled() >= settled && text.is_char_boundary(scan.settled()));
            settled = scan.settled();
            let held = scan.text().len() - settled;
            prop_assert!(held <= 120, "{held} bytes of {:?}", scan.text());
        }
        found.extend(scan.finish(""));
        prop_assert_eq!(sorted(found), whole(&text));
    }
}

/// Some of what patterns look for, among what looks like it.
const MIXED: &str = "Key: abcd, api_key = \"sk-live-4f9ZkQ82LmXw01Rt\"; Passwort:\thunter2! und SCHLÜSSEL=zz
postgres://joe:p%40ss@db.example.org/x https://a:b@c mailto:joe.doe+x@mail.example.co.uk müller@exämple.de
4111 1111 1111 1111, DE89 3704 0044 0532 0130 00, 078-05-1120, +49 (0)30 901820, 192.168.0.1 and fe80::1
![alt [x] é](https://evil.example/a?b=c) [y](<javascript:alert(1)>) <img src=x onerror=alert(1)> \u{200b}\u{200b}
-----BEGIN RSA PRIVATE KEY-----\nComment: José\nMIIEpAIBAAKCAQEA7v0Zx9\nabcdefghijklmnopqrstuvwxyz012345
driver's license no: D123-4567-8901, passport C01X00T47, born on 3. März 1984, cookie: sessionid=abcdef0123456789
curl -u joe:secretpw http://x keykeykeykeyabkeyzkey token token token \"\"\" ((( ::: === 漢字パスワード: 密码=abc12345";

#[test]
fn two_automata_find_what_the_library_finds() {
    use crate::guardrails::{output, pii, secrets};

    let all = secrets::patterns().chain(pii::patterns());
    let mut found = 0;
    for pattern in all.chain(output::patterns()) {
        let is_original = pattern.guard == GuardName::Output;
        assert!(
            is_original || !pattern.regex.contains(r"\s"),
            "{}: what is folded has no blanks but ASCII's",
            pattern.regex
        );
        let (form, _) = without_run(syntax::parse(pattern.regex).unwrap());
        let search = Search::automata(&form, nfa(&form, false).unwrap()).unwrap();
        let library = meta::Builder::new().build_from_hir(&form).unwrap();
        let mut cache = search.new_cache();
        let places = (0..=MIXED.len()).filter(|at| MIXED.is_char_boundary(*at));
        for from in places.step_by(7) {
            let input = Input::new(MIXED).span(from..MIXED.len());
            let theirs = library.search(&input).map(|found| found.range());
            let ours = search.find(&mut cache, &input);
            assert_eq!(ours, theirs, "{} from {from}", pattern.regex);
            found += usize::from(ours.is_some());
        }
    }
    assert!(found > 0);
}
