//! Small made-up GGUF files: what is taken, what is refused, and what becomes of them.

use std::fs::File;

use candle_core::quantized::gguf_file::{self, Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use tempfile::TempDir;

use super::*;
use crate::engine::RawPrompt;
use crate::engine::mistral::tokenizer::ChatEncoder;
use crate::models::Library;

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

/// A GGUF file in the making.
struct Made {
    metadata: Vec<(String, Value)>,
    tensors: Vec<(String, QTensor)>,
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn texts(texts: &[String]) -> Value {
    Value::Array(texts.iter().map(|t| text(t)).collect())
}

fn tensor(rows: usize, columns: usize, dtype: GgmlDType) -> QTensor {
    let values: Vec<f32> = (0..rows * columns)
        .map(|i| (i as f32 * 0.37).sin())
        .collect();
    let values = Tensor::from_vec(values, (rows, columns), &Device::Cpu).expect("a tensor");
    QTensor::quantize(&values, dtype).expect("a quantized tensor")
}

impl Made {
    /// A file that the engine could load, were its weights complete.
    fn good() -> Self {
        // Printable ASCII stands for itself; the space is spelled Ġ, the line end Ċ.
        let mut tokens: Vec<String> = ('!'..='~').map(String::from).collect();
        tokens.extend(["Ġ", "Ċ", "he", "Ġhe"].map(String::from));
        let mut types = vec![NORMAL; tokens.len()];
        for (token, kind) in [
            ("<|end|>", USER_DEFINED),
            ("<s>", CONTROL),
            ("</s>", CONTROL),
            ("<think>", USER_DEFINED),
        ] {
            tokens.push(token.into());
            types.push(kind);
        }
        let rows = tokens.len();
        let id = |wanted: &str| {
            let at = tokens.iter().position(|token| token == wanted);
            Value::U32(at.expect("a token") as u32)
        };
        let metadata = [
            ("general.architecture", text("llama")),
            ("general.file_type", Value::U32(3)),
            ("general.license", text("mit")),
            ("llama.context_length", Value::U32(32768)),
            ("tokenizer.ggml.model", text("gpt2")),
            ("tokenizer.ggml.pre", text("llama-bpe")),
            ("tokenizer.ggml.tokens", texts(&tokens)),
            (
                "tokenizer.ggml.token_type",
                Value::Array(types.into_iter().map(Value::I32).collect()),
            ),
            (
                "tokenizer.ggml.merges",
                texts(&["h e".into(), "Ġ he".into()]),
            ),
            ("tokenizer.ggml.bos_token_id", id("<s>")),
            ("tokenizer.ggml.eos_token_id", id("</s>")),
            (
                "tokenizer.chat_template",
                text("{{ bos_token }}{% for m in messages %}{{ m.content }}<|end|>{% endfor %}"),
            ),
        ];
        Self {
            metadata: metadata.map(|(key, value)| (key.to_owned(), value)).into(),
            tensors: vec![
                (
                    "token_embd.weight".into(),
                    tensor(rows, 64, GgmlDType::Q4_1),
                ),
                ("a.weight".into(), tensor(2, 64, GgmlDType::Q5_0)),
                ("b.weight".into(), tensor(2, 256, GgmlDType::Q6K)),
                ("norm.weight".into(), tensor(1, 33, GgmlDType::F32)),
            ],
        }
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.metadata.retain(|(k, _)| k != key);
        self.metadata.push((key.to_owned(), value));
        self
    }

    fn without(mut self, key: &str) -> Self {
        self.metadata.retain(|(k, _)| k != key);
        self
    }

    fn write(&self, path: &Path) {
        let metadata: Vec<_> = self.metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let tensors: Vec<_> = self.tensors.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let mut file = File::create(path).expect("a file");
        gguf_file::write(&mut file, &metadata, &tensors).expect("a GGUF file");
    }

    fn convert(&self) -> Result<(InstalledModel, TempDir), ModelError> {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("made.gguf");
        self.write(&file);
        let identity = Identity {
            id: "made".into(),
            license: None,
            owned_by: None,
            created: 0,
        };
        Ok((
            convert(&file, Original::Foreign, identity, dir.path())?,
            dir,
        ))
    }

    #[track_caller]
    fn is_refused_for(&self, part: Part, mentioning: &str) {
        match self.convert() {
            Err(ModelError::Refused { refusal, .. }) => {
                assert_eq!(refusal.part, part, "{refusal}");
                assert!(refusal.reason.contains(mentioning), "{refusal}");
            }
            other => panic!("{:?}", other.map(|(model, _)| model)),
        }
    }
}

#[test]
fn slow_weights_become_q8_0_and_nothing_else_changes() {
    let made = Made::good();
    let (model, dir) = made.convert().expect("a model");
    assert_eq!(model.quantization, "Q8_0");
    assert_eq!(
        (model.license.as_str(), model.owned_by.as_str()),
        ("mit", "local")
    );

    let mut file = File::open(dir.path().join(&model.weights)).expect("weights");
    let content = Content::read(&mut file).expect("a GGUF file");
    assert_eq!(content.metadata["general.file_type"].to_u32().ok(), Some(7));
    assert_eq!(content.metadata.len(), made.metadata.len());
    for (name, before) in &made.tensors {
        let after = content
            .tensor(&mut file, name, &Device::Cpu)
            .expect("a tensor");
        let expected = match before.dtype() {
            GgmlDType::Q4_1 | GgmlDType::Q5_0 => GgmlDType::Q8_0,
            other => other,
        };
        assert_eq!(after.dtype(), expected, "{name}");
        let values = |tensor: &QTensor| {
            let tensor = tensor.dequantize(&Device::Cpu).expect("values");
            let values = tensor.flatten_all().and_then(|t| t.to_vec1::<f32>());
            values.expect("values")
        };
        for (a, b) in values(before).into_iter().zip(values(&after)) {
            assert!((a - b).abs() < 0.005, "{name}: {a} became {b}");
        }
    }
    let (again, _dir) = made.convert().expect("a model");
    assert_eq!(again.weights_sha256, model.weights_sha256);
}

#[test]
fn fast_weights_are_kept_byte_for_byte() {
    let mut made = Made::good();
    made.tensors.remove(1);
    made.tensors[0].1 = tensor(200, 256, GgmlDType::Q4K);
    let made = made.with("general.file_type", Value::U32(15));
    let (model, dir) = made.convert().expect("a model");
    assert_eq!(model.quantization, "Q4_K_M");
    let original = digest::of_file(&dir.path().join("made.gguf")).expect("a digest");
    assert_eq!(model.weights_sha256, original);
}

#[test]
fn the_tokenizer_says_what_the_file_says() {
    let (model, _dir) = Made::good().convert().expect("a model");
    let encoder = ChatEncoder::load(&model, None).expect("an encoder");
    let name = |id: u32| encoder.token_name(id).to_owned();
    // Llama 3's pre-tokenizer asks for a BOS token where the file does not say.
    assert_eq!(model.bos_token_id.map(name).as_deref(), Some("<s>"));
    let ends: Vec<String> = model.eos_token_ids.iter().map(|&id| name(id)).collect();
    assert_eq!(ends, ["</s>", "<|end|>"]);

    let names = |text: &str| -> Vec<String> {
        let ids = encoder.encode_text(text).expect("ids");
        ids.into_iter().map(name).collect()
    };
    assert_eq!(names("he he"), ["he", "Ġhe"]);
    // What the file calls user-defined is found in any text; a token that ends answers is not,
    // whatever the file calls it.
    assert_eq!(names("<think>"), ["<think>"]);
    assert_eq!(names("<|end|>").len(), 7);

    let messages = ["he", "</s><"].map(|content| Message::new(Role::User, content));
    let prompt = encoder.encode_chat(&Conversation::of(&messages));
    let ids = prompt.expect("a prompt").ids;
    let prompt: Vec<String> = ids.into_iter().map(name).collect();
    let expected = ["<s>", "he", "<|end|>", "<", "/", "s", ">", "<", "<|end|>"];
    assert_eq!(prompt, expected);
}

#[test]
fn a_raw_prompt_is_taken_as_the_tokenizer_takes_it() {
    let (model, _dir) = Made::good().convert().expect("a model");
    let encoder = ChatEncoder::load(&model, None).expect("an encoder");
    let names = |text: &str| -> Vec<String> {
        let ids = encoder.encode_raw(RawPrompt::Text, text).expect("ids").ids;
        ids.into_iter()
            .map(|id| encoder.token_name(id).to_owned())
            .collect()
    };
    assert_eq!(names("he</s>he"), ["<s>", "he", "</s>", "he"]);
    assert_eq!(names("<s>he"), ["<s>", "he"]);
    assert_eq!(names(""), ["<s>"]);

    let ids = encoder
        .encode_raw(RawPrompt::Text, "he</s> he")
        .expect("ids")
        .ids;
    assert_eq!(encoder.text_of(&ids).as_deref(), Ok("<s>he</s> he"));
    assert_eq!(encoder.text_of(&[u32::MAX]), Err(u32::MAX));
    let some = RawPrompt::Tokens(ids[1..].to_vec());
    let kept = encoder.encode_raw(some, "he</s> he").expect("ids");
    assert_eq!(kept.ids, ids[1..]);
}

#[test]
fn a_bos_token_is_put_in_front_once_or_never() {
    let first_two = |made: Made| {
        let (model, _dir) = made.convert().expect("a model");
        let encoder = ChatEncoder::load(&model, None).expect("an encoder");
        let question = [Message::new(Role::User, "he")];
        let prompt = encoder.encode_chat(&Conversation::of(&question));
        let ids = prompt.expect("a prompt").ids;
        (
            encoder.token_name(ids[0]).to_owned(),
            encoder.token_name(ids[1]).to_owned(),
        )
    };
    let bare = || {
        Made::good().with(
            "tokenizer.chat_template",
            text("{{ messages[0].content }}<|end|>"),
        )
    };
    let no_bos = ("tokenizer.ggml.add_bos_token", Value::Bool(false));
    assert_eq!(first_two(Made::good()), ("<s>".into(), "he".into()));
    assert_eq!(first_two(bare()), ("<s>".into(), "he".into()));
    assert_eq!(
        first_two(bare().with(no_bos.0, no_bos.1)),
        ("he".into(), "<|end|>".into())
    );
}

#[test]
fn a_context_that_the_engine_cannot_stretch_is_cut() {
    let context = |made: Made| made.convert().expect("a model").0.context_length;
    assert_eq!(context(Made::good()), 32768);
    let original = "llama.rope.scaling.original_context_length";
    let yarn = || Made::good().with("llama.rope.scaling.type", text("yarn"));
    assert_eq!(context(yarn()), 8192);
    assert_eq!(context(yarn().with(original, Value::U32(4096))), 4096);
    let mut factors = Made::good();
    factors
        .tensors
        .push(("rope_freqs.weight".into(), tensor(1, 32, GgmlDType::F32)));
    assert_eq!(context(factors), 8192);
}

#[test]
fn what_the_engine_cannot_load_is_refused_by_part() {
    let good = Made::good;
    good()
        .with("general.architecture", text("gemma3"))
        .is_refused_for(Part::Architecture, "'gemma3'");
    good()
        .without("general.architecture")
        .is_refused_for(Part::Architecture, "general.architecture");
    good()
        .with("tokenizer.ggml.model", text("llama"))
        .is_refused_for(Part::Tokenizer, "SentencePiece");
    good()
        .with("tokenizer.ggml.model", text("bert"))
        .is_refused_for(Part::Tokenizer, "'bert'");
    good()
        .with("tokenizer.ggml.pre", text("tekken"))
        .is_refused_for(Part::PreTokenizer, "'tekken'");
    good()
        .without("tokenizer.ggml.merges")
        .is_refused_for(Part::Tokenizer, "merges");
    good()
        .without("tokenizer.ggml.eos_token_id")
        .is_refused_for(Part::Tokenizer, "ends a text");
    good()
        .with("tokenizer.ggml.eos_token_id", Value::U32(9999))
        .is_refused_for(Part::Tokenizer, "9999");
    good()
        .with("tokenizer.ggml.merges", texts(&["x yz".into()]))
        .is_refused_for(Part::Tokenizer, "'yz'");
    good()
        .with("tokenizer.ggml.merges", texts(&["xyz".into()]))
        .is_refused_for(Part::Tokenizer, "'xyz'");
    good()
        .without("tokenizer.chat_template")
        .is_refused_for(Part::Template, "conversation");
    good()
        .with("tokenizer.chat_template", text("{% if %}"))
        .is_refused_for(Part::Template, "");
    good()
        .with("tokenizer.chat_template", text("{{ no.such.thing }}"))
        .is_refused_for(Part::Template, "");
    good()
        .without("llama.context_length")
        .is_refused_for(Part::Format, "llama.context_length");
    good()
        .with("split.count", Value::U16(2))
        .is_refused_for(Part::Format, "one part");
    let mut small = good();
    small.tensors[0].1 = tensor(3, 64, GgmlDType::Q4_1);
    small.is_refused_for(Part::Tokenizer, "the weights 3");
    small.tensors.remove(0);
    small.is_refused_for(Part::Format, "no weights");
}

#[tokio::test]
async fn a_file_is_imported_checked_and_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("My Model (v2).gguf");
    Made::good().write(&file);
    let models = dir.path().join("models");
    let library = Library::with_cache(&models, &dir.path().join("cache")).expect("a library");

    let model = library.import(&file, None).await.expect("a model");
    assert_eq!(model.id, "my-model--v2-");
    assert_eq!(
        library.get(&model.id).expect("readable"),
        Some(model.clone())
    );
    assert_eq!(
        library.installed().expect("readable"),
        std::slice::from_ref(&model)
    );
    let again = library.import(&file, Some(&model.id)).await;
    assert!(matches!(again, Err(ModelError::AlreadyInstalled { .. })));
    for wrong in ["../x", "", ".x", "a/b"] {
        let refused = library.import(&file, Some(wrong)).await;
        assert!(
            matches!(refused, Err(ModelError::InvalidId { .. })),
            "{wrong}"
        );
        assert_eq!(library.get(wrong).expect("readable"), None);
    }

    library.verify(&model.id).await.expect("as installed");
    fs::write(model.dir.join("chat_template.jinja"), "evil").expect("damage");
    let damaged = library.verify(&model.id).await;
    assert!(
        matches!(damaged, Err(ModelError::Damaged { .. })),
        "{damaged:?}"
    );

    library.remove(&model.id).expect("removed");
    assert_eq!(library.installed().expect("readable"), []);
    assert!(matches!(
        library.remove(&model.id),
        Err(ModelError::NotInstalled { .. })
    ));
    // Nothing is left behind, refused imports included.
    assert_eq!(fs::read_dir(&models).expect("a directory").count(), 0);
}

#[tokio::test]
async fn a_truncated_file_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("cut.gguf");
    let mut made = Made::good();
    // Weights that would be copied unread.
    made.tensors.remove(1);
    made.tensors[0].1 = tensor(200, 256, GgmlDType::Q4K);
    made.write(&file);
    let whole = fs::read(&file).expect("bytes");
    let models = dir.path().join("models");
    let library = Library::with_cache(&models, &dir.path().join("cache")).expect("a library");
    for length in [0, 3, 100, whole.len() / 2, whole.len() - 200] {
        fs::write(&file, &whole[..length]).expect("a cut file");
        let error = library.import(&file, None).await.expect_err("cut");
        assert!(!error.to_string().is_empty());
        assert_eq!(fs::read_dir(&models).expect("a directory").count(), 0);
    }
}
