//! Errors in the shape that `OpenAI` clients parse.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::engine::Refused;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// The `type` that vLLM gives such an error.
    pub kind: &'static str,
    /// The request field at fault, if one is.
    pub param: Option<&'static str>,
    /// What is wrong, for a person.
    pub message: String,
}

impl ApiError {
    /// The body is not what the endpoint takes; `param` names the field.
    pub fn bad_request(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "BadRequestError", param, message: message.into() }
    }

    /// No such model here.
    pub fn unknown_model(model: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            kind: "NotFoundError",
            param: Some("model"),
            message: format!("The model `{model}` does not exist."),
        }
    }

    /// The bearer token is missing or wrong.
    pub fn unauthorized() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            kind: "AuthenticationError",
            param: None,
            message: "Unauthorized: this server was started with --api-key; send it as a bearer token".to_owned(),
        }
    }

    /// The server is not up yet, or going down.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind: "ServiceUnavailableError",
            param: None,
            message: message.into(),
        }
    }

    /// A failure asked for by `POST /admin/config`.
    pub fn injected(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            kind: "InjectedFailure",
            param: None,
            message: "failure injected by request_failure_rate of /admin/config".to_owned(),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::QueueFull { .. } => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                kind: "RateLimitError",
                param: None,
                message: format!("{refused}; retry later"),
            },
            Refused::TooLong { prompt_tokens, output_tokens, limit } => Self::bad_request(
                Some("max_tokens"),
                format!(
                    "This model's maximum context length is {limit} tokens. However, you requested {} tokens \
                     ({prompt_tokens} in the prompt, {output_tokens} in the completion). Please reduce the length of \
                     the prompt or the completion.",
                    u64::from(prompt_tokens) + u64::from(output_tokens)
                ),
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, kind, param, message } = self;
        let body = json!({"error": {"message": message, "type": kind, "param": param, "code": status.as_u16()}});
        (status, Json(body)).into_response()
    }
}
