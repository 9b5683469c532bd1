//! The endpoints under `/v1`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::state::AppState;
use super::stream::Streaming;
use crate::config::OutputLength;
use crate::engine::{FinishReason, NewRequest};
use crate::openai::{Answer, ApiError, Endpoint, GenerateRequest, Usage};

/// What `/v1/completions` generates when the request does not say; the `OpenAI` default.
const DEFAULT_COMPLETION_TOKENS: u32 = 16;

pub(super) async fn models(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    state.require_loaded()?;
    state.require_key(&headers)?;
    let config = state.config();
    let created = crate::openai::unix_seconds();
    let models: Vec<Value> = config
        .served_model_names
        .iter()
        .map(|name| {
            json!({
                "id": name, "object": "model", "created": created, "owned_by": "vllm", "root": config.model,
                "parent": null, "max_model_len": config.engine.max_model_len,
            })
        })
        .collect();
    Ok(Json(json!({"object": "list", "data": models})))
}

pub(super) async fn completions(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    generate(&state, Endpoint::Completions, &headers, &body).await
}

pub(super) async fn chat_completions(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    generate(&state, Endpoint::Chat, &headers, &body).await
}

async fn generate(
    state: &AppState,
    endpoint: Endpoint,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, ApiError> {
    state.require_loaded()?;
    state.require_key(headers)?;
    let request = GenerateRequest::parse(endpoint, body)?;
    let model = served_model(state, request.model.as_deref())?;
    fail_at_the_rate_asked_for(state)?;
    let (new_request, seed) = to_engine(state, endpoint, &request);
    let prompt_tokens = new_request.prompt_tokens;
    let reason = new_request.finish_reason;
    let ticket = state.driver().submit(new_request, request.stream)?;
    tracing::debug!(id = ?ticket.id(), prompt_tokens, stream = request.stream, "Accepted request");
    let answer = Answer::new(endpoint, &model, seed);
    if request.stream {
        let streaming = Streaming { ticket, answer, prompt_tokens, reason, include_usage: request.include_usage };
        return Ok(Sse::new(streaming.into_events()).into_response());
    }
    let finished = ticket
        .finished()
        .await
        .ok_or_else(|| ApiError::unavailable("the server stopped before the answer was complete"))?;
    let usage = Usage { prompt_tokens, completion_tokens: finished.generated_tokens };
    Ok(Json(answer.whole(usage, finished.reason)).into_response())
}

fn served_model(state: &AppState, asked: Option<&str>) -> Result<String, ApiError> {
    let config = state.config();
    match asked {
        None => Ok(config.served_model_name().to_owned()),
        Some(name) if config.served_model_names.iter().any(|served| served == name) => Ok(name.to_owned()),
        Some(name) => Err(ApiError::unknown_model(name)),
    }
}

fn fail_at_the_rate_asked_for(state: &AppState) -> Result<(), ApiError> {
    let mut control = state.control();
    let rate = control.overrides.request_failure_rate;
    if rate > 0.0 && control.rng.next_fraction() < rate {
        return Err(ApiError::injected(control.overrides.request_failure_status));
    }
    Ok(())
}

/// Settles how long the answer will be and why it will end; also draws the seed of its words.
fn to_engine(state: &AppState, endpoint: Endpoint, request: &GenerateRequest) -> (NewRequest, u64) {
    let config = state.config();
    let prompt_tokens = request.prompt.len();
    let room = config.engine.max_model_len.saturating_sub(prompt_tokens).max(1);
    let mut control = state.control();
    let (output_tokens, finish_reason) = match (request.max_tokens, endpoint) {
        (Some(max), _) => (max, FinishReason::Length),
        (None, Endpoint::Completions) => (DEFAULT_COMPLETION_TOKENS.min(room), FinishReason::Length),
        // Without a limit the model speaks until it has said everything.
        (None, Endpoint::Chat) => (config.default_output_tokens.min(room), FinishReason::Stop),
    };
    let (output_tokens, finish_reason) = match config.output_length {
        // A limit beyond the context stays as it is, to be refused.
        OutputLength::Random if !request.ignore_eos && output_tokens <= room => {
            let drawn = control.rng.between_one_and(output_tokens);
            (drawn, if drawn < output_tokens { FinishReason::Stop } else { finish_reason })
        }
        _ => (output_tokens, finish_reason),
    };
    let block_hashes =
        if config.engine.prefix_caching { request.prompt.block_hashes(config.engine.block_size) } else { Vec::new() };
    (NewRequest { prompt_tokens, block_hashes, output_tokens, finish_reason }, control.rng.next_u64())
}
