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
        let mut names = app.models.all().map_err(|error| ApiError::from(&error))?;
        names.retain(|info| key.0.models.allows(&info.id));
        let names = names.iter().map(|info| &info.id);
        let shown = names.chain(app.config.aliases.keys());
        let shown: Result<Vec<_>, _> = shown.map(|name| shown_as(&app, &key, name)).collect();
        Ok(Json(ModelList {
            object: ListObject::List,
            data: shown?.into_iter().flatten().collect(),
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
        let shown = shown_as(&app, &key, &model)?;
        Ok(Json(
            shown.ok_or_else(|| ApiError::model_not_found(&model))?,
        ))
    }
}

/// What there is under a name, if the caller may use it.
fn shown_as(app: &App, key: &ApiKey, name: &str) -> Result<Option<Model>, ApiError> {
    let mut id = name.to_owned();
    app.resolve(&key.0, &mut id);
    let served = app
        .models
        .info(&id)
        .map_err(|error| ApiError::from(&error))?;
    let served = served.filter(|_| key.0.models.allows(&id));
    let model = served.map(|(info, state)| Model::new(info, state));
    Ok(model.map(|model| {
        if id == name {
            model
        } else {
            model.called(name)
        }
    }))
}
