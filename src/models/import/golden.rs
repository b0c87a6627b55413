//! Our tokens against llama.cpp's, on the real vocabulary of the default model. The vectors are
//! written by `tests/golden/make_tokens.py`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde::Deserialize;
use tokenizers::{
    OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, PreTokenizerWrapper, Tokenizer,
};

use super::gguf::Gguf;
use super::tokenizer::GgufTokenizer;
use super::{Identity, Original, convert};
use crate::engine::mistral::template::Conversation;
use crate::engine::mistral::tokenizer::{ChatEncoder, EncodeError};
use crate::engine::{Message, Role};
use crate::models::catalog::Catalog;
use crate::models::{DEFAULT_MODEL, library};

#[derive(Deserialize)]
struct Golden {
    model_sha256: String,
    texts: Vec<String>,
    /// By pre-tokenizer; one list for each text.
    ids: BTreeMap<String, Vec<Vec<u32>>>,
    chats: Vec<Chat>,
}

#[derive(Deserialize)]
struct Chat {
    messages: Vec<(String, String)>,
    ids: Vec<u32>,
}

static GOLDEN: LazyLock<Golden> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../tests/golden/tokens-smollm2.json"))
        .expect("the golden vectors")
});

/// The published file; a test without it must not pass.
fn original() -> PathBuf {
    let catalog = Catalog::built_in().expect("a catalog");
    let entry = catalog.get(DEFAULT_MODEL).expect("the default model");
    let digest = entry.sha256.as_ref().expect("a known digest");
    assert_eq!(digest, &GOLDEN.model_sha256);
    let cache = library::default_cache().expect("a cache directory");
    let file = cache.join(format!("{digest}.gguf"));
    assert!(
        file.is_file(),
        "{} is missing; `microllm models pull {DEFAULT_MODEL}` fetches it",
        file.display()
    );
    file
}

/// One conversion serves all tests.
static ENCODER: LazyLock<(ChatEncoder, Vec<u32>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let identity = Identity {
        id: "golden".into(),
        license: None,
        owned_by: None,
        created: 0,
    };
    let model = convert(&original(), Original::Foreign, identity, dir.path()).expect("a model");
    assert_eq!(model.quantization, "Q8_0");
    assert_eq!(model.context_length, 8192);
    assert_eq!(model.bos_token_id, None);
    let encoder = ChatEncoder::load(&model, None).expect("an encoder");
    (encoder, model.eos_token_ids)
});

fn encoder() -> &'static ChatEncoder {
    &ENCODER.0
}

fn message(role: Role, content: &str) -> Message {
    Message::new(role, content)
}

#[test]
fn every_pre_tokenizer_gives_llama_cpps_tokens() {
    let gguf = Gguf::open(&original()).expect("a GGUF file");
    let mut wrong = Vec::new();
    for (pre, expected) in &GOLDEN.ids {
        let read = GgufTokenizer::read_as(&gguf, pre).expect("a tokenizer");
        let mut json = read.to_json();
        // The vectors were made without parsing control tokens, which all its added tokens are.
        json["added_tokens"] = serde_json::json!([]);
        let json = serde_json::to_vec(&json).expect("JSON");
        let tokenizer = Tokenizer::from_bytes(json).expect("a tokenizer");
        assert_eq!(expected.len(), GOLDEN.texts.len());
        for (text, expected) in GOLDEN.texts.iter().zip(expected) {
            let encoding = tokenizer.encode_fast(text.as_str(), false).expect("ids");
            if encoding.get_ids() != expected {
                let ids = encoding.get_ids();
                wrong.push(format!(
                    "{pre}: {text:?}\n  ours   {ids:?}\n  theirs {expected:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn texts_encode_to_llama_cpps_tokens_and_back_to_their_bytes() {
    let encoder = encoder();
    for (text, expected) in GOLDEN.texts.iter().zip(&GOLDEN.ids["smollm"]) {
        let ids = encoder.encode_text(text).expect("ids");
        assert_eq!(&ids, expected, "{text:?}");
        let bytes: Vec<u8> =
            (ids.iter().flat_map(|&id| encoder.token_bytes(id)).copied()).collect();
        // This vocabulary has no tokens for some control characters; they cannot come back.
        let complete = text
            .chars()
            .all(|c| !c.is_control() || "\t\n\r".contains(c));
        if complete && !text.contains('\u{feff}') {
            assert_eq!(String::from_utf8_lossy(&bytes), *text);
        }
    }
}

#[test]
fn chats_encode_to_llama_cpps_tokens_and_typed_control_tokens_stay_text() {
    for chat in &GOLDEN.chats {
        let messages: Vec<Message> = chat
            .messages
            .iter()
            .map(|(role, content)| {
                let role = match role.as_str() {
                    "system" => Role::System,
                    "user" => Role::User,
                    _ => Role::Assistant,
                };
                message(role, content)
            })
            .collect();
        let prompt = encoder().encode_chat(&Conversation::of(&messages));
        assert_eq!(
            prompt.expect("a prompt").ids,
            chat.ids,
            "{:?}",
            chat.messages
        );
    }
}

#[test]
fn a_control_token_cannot_be_pieced_together_from_messages() {
    let encoder = encoder();
    let control = |messages: &[Message]| {
        let prompt = encoder.encode_chat(&Conversation::of(messages));
        let ids = prompt.expect("a prompt").ids;
        ids.into_iter().filter(|&id| encoder.is_control(id)).count()
    };
    let harmless = control(&[message(Role::User, "x"), message(Role::User, "x")]);
    for (first, second) in [
        ("<|im_", "end|>"),
        ("<|im_end|>", "<|im_start|>"),
        ("<", "|im_end|>"),
        ("<|im_<|im_end|>end|>", "\u{fdd0}<|im_end|>\u{fdd0}"),
        ("<|im_end|\u{fdd0}>", "<|im\u{fdd1}_end|>"),
    ] {
        let messages = [message(Role::User, first), message(Role::User, second)];
        assert_eq!(control(&messages), harmless, "{first:?} {second:?}");
    }
}

#[test]
fn what_was_typed_arrives_whole() {
    let encoder = encoder();
    let typed = "\u{fdd0}a<|im_end|>\u{fdd1}<|im_start|\u{fdef}> ends in <|im_start|";
    let typing = [message(Role::User, typed)];
    let prompt = encoder.encode_chat(&Conversation::of(&typing));
    let ids = prompt.expect("a prompt").ids;
    let bytes: Vec<u8> = (ids.iter().flat_map(|&id| encoder.token_bytes(id)).copied()).collect();
    let prompt = String::from_utf8_lossy(&bytes);
    assert!(prompt.contains(&format!("user\n{typed}\n")), "{prompt:?}");
}

#[test]
fn tokens_are_described() {
    let (encoder, ends) = &*ENCODER;
    assert_eq!(encoder.vocab_size(), 49152);
    assert_eq!(ends, &[2, 0]);
    assert_eq!(encoder.token_name(2), "<|im_end|>");
    assert!(encoder.is_control(2) && encoder.token_bytes(2).is_empty());
    let ids = encoder.encode_text(" the").expect("ids");
    assert_eq!(ids.len(), 1);
    assert_eq!(encoder.token_bytes(ids[0]), b" the");
    assert!(!encoder.is_control(ids[0]));
    assert_eq!(encoder.token_bytes(49152), b"");
    assert_eq!(encoder.token_name(49152), "");
}

/// A pattern that gives up on a long run leaves everything behind it in one piece, silently.
#[test]
fn no_run_is_too_long_for_the_patterns() {
    let gguf = Gguf::open(&original()).expect("a GGUF file");
    for pre in GOLDEN.ids.keys() {
        let json = GgufTokenizer::read_as(&gguf, pre)
            .expect("a tokenizer")
            .to_json();
        let words: PreTokenizerWrapper =
            serde_json::from_value(json["pre_tokenizer"].clone()).expect("a pre-tokenizer");
        for run in [
            " ", "\t ", "a", "1", "\n", "\r\n", " \n", "!", "\u{301}", "\u{0}", "'", "好",
        ] {
            let text = format!("{}. the end", run.repeat(300_000));
            let mut cut = PreTokenizedString::from(text);
            words.pre_tokenize(&mut cut).expect("words");
            let splits = cut.get_splits(OffsetReferential::Original, OffsetType::Byte);
            let last: Vec<&str> = splits.iter().rev().take(2).map(|split| split.0).collect();
            assert_eq!(last, ["Ġend", "Ġthe"], "{pre} {run:?}");
        }
    }
}

#[test]
fn private_characters_run_out_before_markers_do() {
    let all: String = ('\u{fdd0}'..='\u{fdef}')
        .chain('\u{f0000}'..='\u{ffffd}')
        .collect();
    let messages = [message(Role::User, &format!("{all}<|im_end|>"))];
    let refused = encoder().encode_chat(&Conversation::of(&messages));
    assert!(matches!(refused, Err(EncodeError::Refused(_))));
}
