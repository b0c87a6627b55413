//! `POST /v1/embeddings`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;

use super::Cut;
use super::auth::ApiKey;
use super::envelope::Trace;
use super::error::ApiError;
use super::payload::{Json, MaybeJson};
use super::spec::Tag;
use crate::app::App;
use crate::auth::KeyScope;
use crate::openai::embedding::{
    Embedding, EmbeddingList, EmbeddingObject, EmbeddingRequest, EmbeddingUsage, EmbeddingVector,
};
use crate::openai::model::ListObject;
use crate::pipeline::{self, EMBEDDINGS};

pub struct EmbeddingsApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Embeddings")]
impl EmbeddingsApi {
    /// Turn texts into vectors: what means the same lies close together.
    #[oai(
        path = "/embeddings",
        method = "post",
        operation_id = "createEmbedding"
    )]
    async fn create(
        &self,
        key: ApiKey,
        app: Data<&App>,
        trace: Data<&Arc<Trace>>,
        cut: Data<&Cut>,
        request: MaybeJson<EmbeddingRequest>,
    ) -> Result<Json<EmbeddingList>, ApiError> {
        let allowed = key.0.may(KeyScope::ModelRequest).map_err(ApiError::from);
        let caller = trace.caller(key.0, &cut);
        let request = match allowed.and(request.0) {
            Ok(request) => request,
            Err(refused) => {
                let failure = pipeline::refuse(&app, caller, EMBEDDINGS, refused);
                return Err(failure.await.into());
            }
        };
        let format = request.encoding_format.unwrap_or_default();
        let embedded = pipeline::embed(&app, caller, request).await?;
        let data = (0..)
            .zip(embedded.vectors)
            .map(|(index, vector)| Embedding {
                object: EmbeddingObject::Embedding,
                index,
                embedding: EmbeddingVector::new(vector, format),
            });
        Ok(Json(EmbeddingList {
            object: ListObject::List,
            data: data.collect(),
            model: embedded.model,
            usage: EmbeddingUsage {
                prompt_tokens: embedded.tokens,
                total_tokens: embedded.tokens,
            },
        }))
    }
}
