//! OpenAI's wire types.
