//! The wire: routes, errors in OpenAI's shape, the OpenAPI document.
