//! Keys of providers of models and of what belongs to them.

use super::super::patterns::Pattern;
use super::{CERTAIN, mixed, rated, secret, token};

pub(super) static PATTERNS: [Pattern; 26] = [
    // The middle is base64 for "OpenAI".
    secret(
        "openai_key",
        r"(?-u:\b)sk-[A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,}",
        |candidate| rated(candidate, CERTAIN),
    ),
    mixed(
        "openai_key",
        r"(?-u:\b)sk-(?:proj|svcacct|admin|None|service)-[A-Za-z0-9_-]{20,}",
    ),
    // OpenAI's old form, which many compatible servers use.
    mixed("openai_key", r"(?-u:\b)sk-[A-Za-z0-9]{24,}"),
    mixed(
        "anthropic_key",
        r"(?-u:\b)sk-ant-[A-Za-z0-9]{2,12}-[A-Za-z0-9_-]{20,}",
    ),
    token("openrouter_key", r"(?-u:\b)sk-or-(?:v[0-9]-)?[a-f0-9]{32,}"),
    mixed(
        "huggingface_token",
        r"(?-u:\b)hf_[A-Za-z]{2}[A-Za-z0-9]{28,}",
    ),
    token("huggingface_token", r"(?-u:\b)hf_[A-Za-z]{34}(?-u:\b)"),
    token("huggingface_token", r"(?-u:\b)api_org_[A-Za-z0-9]{34,}"),
    mixed("groq_key", r"(?-u:\b)gsk_[A-Za-z0-9]{40,}"),
    mixed("replicate_token", r"(?-u:\b)r8_[A-Za-z0-9]{32,}"),
    mixed("perplexity_key", r"(?-u:\b)pplx-[A-Za-z0-9]{32,}"),
    mixed("xai_key", r"(?-u:\b)xai-[A-Za-z0-9_]{60,}"),
    mixed("elevenlabs_key", r"(?-u:\b)sk_[a-f0-9]{40,}"),
    mixed("together_key", r"(?-u:\b)tgp_v1_[A-Za-z0-9_-]{40,}"),
    mixed("fireworks_key", r"(?-u:\b)fw_[A-Za-z0-9]{22,}"),
    token(
        "langsmith_key",
        r"(?-u:\b)lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10,}",
    ),
    token(
        "langfuse_key",
        r"(?-u:\b)sk-lf-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ),
    mixed("pinecone_key", r"(?-u:\b)pcsk_[A-Za-z0-9_]{40,}"),
    mixed("nvidia_key", r"(?-u:\b)nvapi-[A-Za-z0-9_-]{50,}"),
    mixed("voyage_key", r"(?-u:\b)pa-[A-Za-z0-9_-]{40,}"),
    mixed("jina_key", r"(?-u:\b)jina_[A-Za-z0-9_-]{50,}"),
    mixed("cerebras_key", r"(?-u:\b)csk-[a-z0-9]{40,}"),
    mixed(
        "tavily_key",
        r"(?-u:\b)tvly-(?:dev-|prod-)?[A-Za-z0-9]{28,}",
    ),
    mixed("firecrawl_key", r"(?-u:\b)fc-[a-f0-9]{32,}"),
    mixed("apify_token", r"(?-u:\b)apify_api_[A-Za-z0-9]{30,}"),
    mixed("friendli_token", r"(?-u:\b)flp_[A-Za-z0-9]{40,}"),
];
