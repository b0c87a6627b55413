//! Lists and maps in the query string.

use std::collections::{BTreeMap, HashMap};

use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaParamIn, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromParameter, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::error::ApiError;

/// Entries at most.
const LONGEST: usize = 1000;

/// A list of values, each a parameter of its own. Declared as `name[]`, as OpenAI's SDKs send it;
/// `name` will do.
pub struct List<T>(pub Vec<T>);

impl<T> List<T> {
    /// None when nothing was given.
    pub fn given(self) -> Option<Vec<T>> {
        Some(self.0).filter(|values| !values.is_empty())
    }
}

impl<'a, T: ParseFromParameter> ApiExtractor<'a> for List<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = Vec<T>;
    type ParamRawType = <Vec<T> as Type>::RawValueType;

    fn register(registry: &mut Registry) {
        Vec::<T>::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(Vec::<T>::schema_ref())
    }

    fn param_raw_type(&self) -> Option<&Self::ParamRawType> {
        self.0.as_raw_value()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        options: ExtractParamOptions<Vec<T>>,
    ) -> Result<Self> {
        let bare = options.name.trim_end_matches("[]");
        let query: Vec<(String, String)> = request.params().unwrap_or_default();
        let values = query
            .iter()
            .filter(|(name, _)| name == bare || name == options.name)
            .map(|(_, value)| T::parse_from_parameter(value));
        let values: Vec<T> = values.collect::<Result<_, _>>().map_err(|_| {
            let message = format!("Invalid value for '{bare}' in the query.");
            ApiError::param(bare, Some("invalid_value"), message)
        })?;
        if values.len() > LONGEST {
            let message = format!("Invalid '{bare}': at most {LONGEST} entries.");
            return Err(ApiError::param(bare, Some("array_above_max_length"), message).into());
        }
        Ok(Self(values))
    }
}

/// Pairs of texts, each a parameter of its own: `name[key]=value`, as OpenAI's SDKs send them.
pub struct Pairs(pub BTreeMap<String, String>);

impl<'a> ApiExtractor<'a> for Pairs {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = HashMap<String, String>;
    type ParamRawType = <HashMap<String, String> as Type>::RawValueType;

    fn register(registry: &mut Registry) {
        HashMap::<String, String>::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(HashMap::<String, String>::schema_ref())
    }

    fn param_raw_type(&self) -> Option<&Self::ParamRawType> {
        None
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        options: ExtractParamOptions<HashMap<String, String>>,
    ) -> Result<Self> {
        let name = options.name;
        let query: Vec<(String, String)> = request.params().unwrap_or_default();
        let mut pairs = BTreeMap::new();
        for (given, value) in query {
            let Some(rest) = given.strip_prefix(name) else {
                continue;
            };
            let key = rest.strip_prefix('[').and_then(|key| key.strip_suffix(']'));
            match key {
                Some(key) => {
                    pairs.insert(key.to_owned(), value);
                }
                None if rest.is_empty() => {
                    let message = format!("Invalid '{name}': expected '{name}[key]=value'.");
                    return Err(ApiError::param(name, Some("invalid_value"), message).into());
                }
                // Another parameter, whose name begins alike.
                None => {}
            }
        }
        Ok(Self(pairs))
    }
}
