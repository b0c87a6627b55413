use proptest::prelude::*;

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
