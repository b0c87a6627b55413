//! `GET /v1/models` and `GET /v1/models/{model}`.

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::auth::ApiKey;
use super::error::ApiError;
use super::payload::Json;
use super::spec::Tag;
use crate::app::App;
use crate::auth::KeyScope;
use crate::openai::model::{ListObject, Model, ModelList};

pub struct ModelsApi;

#[OpenApi(prefix_path = "/v1/models", tag = "Tag::Models")]
impl ModelsApi {
    /// List the models that can be asked.
    #[oai(path = "/", method = "get", operation_id = "listModels")]
    async fn list(&self, key: ApiKey, app: Data<&App>) -> Result<Json<ModelList>, ApiError> {
        key.0.may(KeyScope::ModelRead)?;
        let models = app.models.all().map_err(|error| ApiError::from(&error))?;
        Ok(Json(ModelList {
            object: ListObject::List,
            data: models
                .iter()
                .filter(|info| key.0.models.allows(&info.id))
                .map(|info| Model::from(*info))
                .collect(),
        }))
    }

    /// Tell about one model.
    #[oai(path = "/:model", method = "get", operation_id = "retrieveModel")]
    async fn retrieve(
        &self,
        key: ApiKey,
        app: Data<&App>,
        /// Its name.
        model: Path<String>,
    ) -> Result<Json<Model>, ApiError> {
        key.0.may(KeyScope::ModelRead)?;
        let served = app
            .models
            .info(&model)
            .map_err(|error| ApiError::from(&error))?;
        let served = served.filter(|_| key.0.models.allows(&model));
        let served = served.ok_or_else(|| ApiError::model_not_found(&model))?;
        Ok(Json(Model::from(served)))
    }
}
