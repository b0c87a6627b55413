use proptest::prelude::*;

use super::*;

fn tools(most: Option<u32>) -> Arc<Tools> {
    Arc::new(Tools {
        functions: vec!["add".into(), "get_weather".into()],
        customs: vec!["shell".into()],
        most,
        ..Tools::default()
    })
}

/// The text, and the calls as `name arguments`.
fn split(pieces: &[&str], most: Option<u32>) -> (String, Vec<String>) {
    let mut parser = Parser::new(tools(most));
    let mut said = Vec::new();
    for piece in pieces {
        said.extend(parser.push(piece));
    }
    said.extend(parser.finish());
    let (mut text, mut calls, mut is_open) = (String::new(), Vec::<String>::new(), false);
    for said in said {
        match said {
            Said::Text(more) => text.push_str(&more),
            Said::Call { name, .. } => {
                assert!(!is_open, "one call begins in another");
                is_open = true;
                calls.push(format!("{name} "));
            }
            Said::Arguments(more) => {
                assert!(is_open);
                calls.last_mut().unwrap().push_str(&more);
            }
            Said::End => {
                assert!(is_open);
                is_open = false;
            }
        }
    }
    assert!(!is_open, "a call has no end");
    (text, calls)
}

#[test]
fn calls_are_found_however_they_are_written() {
    for (said, text, calls) in [
        ("Hello there.\n", "Hello there.\n", vec![]),
        (
            "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": [2]}}\n</tool_call>",
            "",
            vec!["add {\"a\": 1, \"b\": [2]}"],
        ),
        (
            "Let me see.\n\n<tool_call>{\"name\":\"get_weather\",\"arguments\":{\"in\":\"a } \\\" b\"}}</tool_call>\n<tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>\n",
            "Let me see.",
            vec!["get_weather {\"in\":\"a } \\\" b\"}", "add {}"],
        ),
        // The closing tag forgotten, the arguments first, and as a string.
        (
            "<tool_call>{\"arguments\": {\"a\":1}, \"name\": \"add\"}<tool_call>{\"name\": \"add\", \"arguments\": \"{\\\"a\\\": 2}\"}</tool_call> done",
            "done",
            vec!["add {\"a\":1}", "add {\"a\": 2}"],
        ),
        (
            "<tool_call>{\"name\": \"add\"}</tool_call>",
            "",
            vec!["add {}"],
        ),
        (
            "[TOOL_CALLS] [{\"name\": \"add\", \"arguments\": {\"a\":1}}, {\"name\": \"add\", \"arguments\": {}}]",
            "",
            vec!["add {\"a\":1}", "add {}"],
        ),
        (
            "[TOOL_CALLS]add[ARGS]{\"a\": 1}",
            "",
            vec!["add {\"a\": 1}"],
        ),
        (
            "<|python_tag|>{\"name\": \"add\", \"parameters\": {\"a\": 1}}; {\"name\": \"add\", \"parameters\": {}}",
            "",
            vec!["add {\"a\": 1}", "add {}"],
        ),
        (
            "{\"name\": \"add\", \"parameters\": {\"a\": 1}}",
            "",
            vec!["add {\"a\": 1}"],
        ),
        (
            "{\"type\": \"function\", \"name\": \"add\", \"arguments\": {}}",
            "",
            vec!["add {}"],
        ),
        (
            "[{\"name\": \"add\", \"arguments\": {}}]",
            "",
            vec!["add {}"],
        ),
        (
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{\"a\": 1}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
            "",
            vec!["add {\"a\": 1}", "add {}"],
        ),
        (
            "<tool_call>{\"name\": \"shell\", \"arguments\": {\"input\": \"ls \\\"a\\\"\\n\"}}</tool_call>",
            "",
            vec!["shell ls \"a\"\n"],
        ),
        // Cut for its length.
        (
            "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": \"lo",
            "",
            vec!["add {\"a\": \"lo"],
        ),
    ] {
        let expected: Vec<String> = calls.into_iter().map(str::to_owned).collect();
        assert_eq!(split(&[said], None), (text.to_owned(), expected), "{said}");
    }
}

#[test]
fn what_is_no_call_stays_the_text_that_it_is() {
    for said in [
        "{\"name\": \"Ada\", \"age\": 36}",
        "{\"name\": \"unknown\", \"arguments\": {}}",
        "{\"name\": \"add\"}",
        "[1, 2, 3]",
        "[x] done",
        "<tool_call>not json</tool_call>",
        "<tool_call>{\"name\": \"unknown\", \"arguments\": {}}</tool_call>",
        "<tool_call>",
        "a <tool_ca",
        "  \n",
        "{\"name\": \"add\", \"argum",
        "[TOOL_CALLS] nothing",
        "if a < b { }",
    ] {
        assert_eq!(split(&[said], None), (said.to_owned(), vec![]), "{said}");
    }
}

#[test]
fn after_as_many_calls_as_may_be_nothing_counts() {
    let call = "<tool_call>{\"name\": \"add\", \"arguments\": {}}</tool_call>";
    let (text, calls) = split(&[call, call, "and more"], Some(1));
    assert_eq!((text.as_str(), calls.len()), ("", 1));
    let mut parser = Parser::new(tools(Some(1)));
    parser.push(call);
    assert!(parser.is_complete());
}

#[test]
fn arguments_go_on_as_they_come() {
    let mut parser = Parser::new(tools(None));
    let begun = parser.push("<tool_call>{\"name\": \"add\", \"arguments\": {\"a\"");
    assert_eq!(
        begun,
        [
            Said::Call {
                name: "add".into(),
                is_custom: false
            },
            Said::Arguments("{\"a\"".into())
        ]
    );
    assert_eq!(parser.push(": 1"), [Said::Arguments(": 1".into())]);
    assert_eq!(
        parser.push("}}\n"),
        [Said::Arguments("}".into()), Said::End]
    );
}

#[test]
fn json_that_is_no_call_goes_out_as_it_comes() {
    for begun in [
        "{\"city\": ",
        "{ \"name\": \"Ada\"",
        "<tool_call>{\"city\": ",
    ] {
        let mut parser = Parser::new(tools(None));
        let mut text = String::new();
        for said in parser.push(begun).into_iter().chain(parser.push("\"Paris")) {
            match said {
                Said::Text(more) => text.push_str(&more),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(text, format!("{begun}\"Paris"));
    }
}

proptest! {
    #[test]
    fn pieces_give_what_the_whole_gives(
        parts in prop::collection::vec(prop::sample::select(vec![
            "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|python_tag|>", "{\"name\": \"add\", ",
            "\"arguments\": ", "{\"a\": 1}", "}", "{", "[", "]", ",", ";", " ", "\n", "text",
            "\"", "\\", "<", "é", "{\"city\": ", "{\"name\": \"Ada\", ", "<｜tool▁calls▁begin｜>", "function<｜tool▁sep｜>add\n```json\n",
            "add", "[ARGS]", "<｜tool▁calls▁end｜>", "{\"name\": \"add\", \"arguments\": {}}",
        ]), 0..14),
        cuts in prop::collection::vec(0_usize..200, 0..8),
    ) {
        let whole = parts.concat();
        let mut at: Vec<usize> = cuts
            .into_iter()
            .filter(|at| *at <= whole.len() && whole.is_char_boundary(*at))
            .collect();
        at.extend([0, whole.len()]);
        at.sort_unstable();
        let pieces: Vec<&str> = at.windows(2).map(|w| &whole[w[0]..w[1]]).collect();
        prop_assert_eq!(split(&pieces, None), split(&[&whole], None));
    }
}

#[test]
fn where_one_way_is_enforced_the_others_are_text() {
    let held = |only, said: &str| {
        let mut parser = Parser::new(Arc::new(Tools {
            only: Some(only),
            ..(*tools(None)).clone()
        }));
        let mut all = parser.push(said);
        all.extend(parser.finish());
        all.iter().any(|said| matches!(said, Said::Call { .. }))
    };
    let body = "{\"name\": \"add\", \"arguments\": {\"a\": 1}}";
    let tagged = format!("<tool_call>\n{body}\n</tool_call>");
    let list = format!("[TOOL_CALLS][{body}]");
    for (only, is, is_not) in [
        (Style::Tagged, &tagged, [body, &list, "[add{\"a\": 1}]"]),
        (Style::List, &list, [body, &tagged, "[add{\"a\": 1}]"]),
        (
            Style::Plain,
            &body.to_owned(),
            [&tagged, &list, "[[{\"name\": \"add\", \"arguments\": {}}]"],
        ),
    ] {
        assert!(held(only, is), "{only:?}: {is}");
        for text in is_not {
            assert!(!held(only, text), "{only:?}: {text}");
            let later = format!("Well {text}");
            assert!(!held(only, &later), "{only:?}: {later}");
        }
    }
}
