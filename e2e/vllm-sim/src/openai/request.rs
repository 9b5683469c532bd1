//! Reading a completion request. Fields the emulator has no use for are accepted as vLLM accepts them.

use serde_json::{Map, Value};

use super::ApiError;
use crate::tokens::Prompt;

/// Which of the two endpoints was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/completions`.
    Completions,
    /// `/v1/chat/completions`.
    Chat,
}

/// A request as far as the emulator cares.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// The model asked for; vLLM serves its only model when none is named.
    pub model: Option<String>,
    /// The prompt.
    pub prompt: Prompt,
    /// Longest answer wanted, in tokens.
    pub max_tokens: Option<u32>,
    /// Whether the answer must not end before `max_tokens`.
    pub ignore_eos: bool,
    /// Whether tokens are sent as they come.
    pub stream: bool,
    /// Whether a stream ends with a chunk of usage numbers.
    pub include_usage: bool,
}

/// Numbers that clients send along and the emulator ignores; only their type is checked.
const SAMPLING_NUMBERS: [&str; 7] =
    ["temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"];

impl GenerateRequest {
    /// Reads the body of a request to `endpoint`. The error names the field at fault.
    pub fn parse(endpoint: Endpoint, body: &[u8]) -> Result<Self, ApiError> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| ApiError::bad_request(None, format!("the body is not JSON: {error}")))?;
        let Value::Object(fields) = body else {
            return Err(ApiError::bad_request(None, "the body must be a JSON object"));
        };
        for name in SAMPLING_NUMBERS {
            read(&fields, name, "a number", Value::as_f64)?;
        }
        for name in ["n", "best_of"] {
            if read(&fields, name, "a whole number", Value::as_u64)?.is_some_and(|n| n != 1) {
                return Err(ApiError::bad_request(
                    Some(name),
                    format!("`{name}` must be 1: the emulator gives one answer"),
                ));
            }
        }
        let stream = read(&fields, "stream", "true or false", Value::as_bool)?.unwrap_or(false);
        Ok(Self {
            model: read(&fields, "model", "a string", |v| v.as_str().map(str::to_owned))?,
            prompt: match endpoint {
                Endpoint::Completions => read_prompt(&fields)?,
                Endpoint::Chat => read_messages(&fields)?,
            },
            max_tokens: read_max_tokens(&fields, endpoint)?,
            ignore_eos: read(&fields, "ignore_eos", "true or false", Value::as_bool)?.unwrap_or(false),
            stream,
            include_usage: read_include_usage(&fields, stream)?,
        })
    }
}

/// A field that may be absent or null.
fn read<'v, T>(
    fields: &'v Map<String, Value>,
    name: &'static str,
    expected: &str,
    as_type: impl FnOnce(&'v Value) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => as_type(value).map(Some).ok_or_else(|| wrong_type(name, expected)),
    }
}

fn wrong_type(name: &'static str, expected: &str) -> ApiError {
    ApiError::bad_request(Some(name), format!("`{name}` must be {expected}"))
}

fn read_max_tokens(fields: &Map<String, Value>, endpoint: Endpoint) -> Result<Option<u32>, ApiError> {
    let names: &[&'static str] = match endpoint {
        Endpoint::Completions => &["max_tokens"],
        // The older name is deprecated there; the newer one wins.
        Endpoint::Chat => &["max_completion_tokens", "max_tokens"],
    };
    for name in names {
        let expected = "a whole number, at least 1";
        let as_count = |v: &Value| v.as_u64().filter(|n| *n >= 1).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        if let Some(tokens) = read(fields, name, expected, as_count)? {
            return Ok(Some(tokens));
        }
    }
    Ok(None)
}

fn read_include_usage(fields: &Map<String, Value>, stream: bool) -> Result<bool, ApiError> {
    let Some(options) = read(fields, "stream_options", "an object", Value::as_object)? else { return Ok(false) };
    if !stream {
        return Err(ApiError::bad_request(Some("stream_options"), "`stream_options` needs `stream` to be true"));
    }
    match options.get("include_usage") {
        None | Some(Value::Null) => Ok(false),
        Some(value) => value
            .as_bool()
            .ok_or_else(|| wrong_type("stream_options", "an object whose `include_usage` is true or false")),
    }
}

/// A string, a list with one string, a list of token ids, or a list with one such list.
fn read_prompt(fields: &Map<String, Value>) -> Result<Prompt, ApiError> {
    let fault = || wrong_type("prompt", "a string or a list of token ids (one prompt per request)");
    let prompt = match fields.get("prompt") {
        None | Some(Value::Null) => return Err(ApiError::bad_request(Some("prompt"), "`prompt` is missing")),
        Some(Value::Array(list)) => match list.as_slice() {
            [only @ (Value::String(_) | Value::Array(_))] => one_prompt(only),
            _ => token_ids(list),
        },
        Some(other) => one_prompt(other),
    };
    let prompt = prompt.ok_or_else(fault)?;
    if prompt.is_empty() {
        return Err(ApiError::bad_request(Some("prompt"), "`prompt` must not be empty"));
    }
    Ok(prompt)
}

fn one_prompt(value: &Value) -> Option<Prompt> {
    match value {
        Value::String(text) => Some(Prompt::from_text(text)),
        Value::Array(ids) => token_ids(ids),
        _ => None,
    }
}

fn token_ids(list: &[Value]) -> Option<Prompt> {
    let ids: Option<Vec<u64>> = list.iter().map(Value::as_u64).collect();
    ids.map(|ids| Prompt::from_ids(&ids))
}

/// The texts of all messages, one behind the other. The chat template adds no tokens here.
fn read_messages(fields: &Map<String, Value>) -> Result<Prompt, ApiError> {
    let fault = |message: String| ApiError::bad_request(Some("messages"), message);
    let messages = read(fields, "messages", "a list of messages", Value::as_array)?
        .ok_or_else(|| fault("`messages` is missing".to_owned()))?;
    let mut text = String::new();
    for (index, message) in messages.iter().enumerate() {
        if !message.get("role").is_some_and(Value::is_string) {
            return Err(fault(format!("`messages[{index}].role` must be a string")));
        }
        match message.get("content") {
            Some(Value::String(content)) => text.push_str(content),
            Some(Value::Array(parts)) => {
                for part in parts {
                    text.push_str(part.get("text").and_then(Value::as_str).unwrap_or_default());
                    text.push('\n');
                }
            }
            // An assistant message that only calls tools has no content.
            None | Some(Value::Null) => {}
            Some(_) => return Err(fault(format!("`messages[{index}].content` must be a string or a list of parts"))),
        }
        text.push('\n');
    }
    let prompt = Prompt::from_text(&text);
    if prompt.is_empty() {
        return Err(fault("`messages` must contain some text".to_owned()));
    }
    Ok(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::text(r#"{"prompt": "a b c"}"#, 3)]
    #[case::list_of_one_text(r#"{"prompt": ["a b c"]}"#, 3)]
    #[case::token_ids(r#"{"prompt": [5, 6]}"#, 2)]
    #[case::list_of_one_list_of_ids(r#"{"prompt": [[5, 6]]}"#, 2)]
    fn a_prompt_comes_in_four_shapes(#[case] body: &str, #[case] tokens: u32) {
        let request = GenerateRequest::parse(Endpoint::Completions, body.as_bytes()).unwrap();
        assert_eq!(request.prompt.len(), tokens);
    }

    #[rstest]
    #[case::newer_name_wins(
        r#"{"max_completion_tokens": 5, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}"#,
        Some(5)
    )]
    #[case::older_name(r#"{"max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}"#, Some(9))]
    #[case::none(r#"{"max_tokens": null, "messages": [{"role": "user", "content": "x"}]}"#, None)]
    fn chat_takes_both_names_of_the_limit(#[case] body: &str, #[case] expected: Option<u32>) {
        assert_eq!(GenerateRequest::parse(Endpoint::Chat, body.as_bytes()).unwrap().max_tokens, expected);
    }

    #[rstest]
    #[case::no_prompt(Endpoint::Completions, r"{}", Some("prompt"))]
    #[case::two_prompts(Endpoint::Completions, r#"{"prompt": ["a", "b"]}"#, Some("prompt"))]
    #[case::empty_prompt(Endpoint::Completions, r#"{"prompt": ""}"#, Some("prompt"))]
    #[case::zero_tokens(Endpoint::Completions, r#"{"prompt": "a", "max_tokens": 0}"#, Some("max_tokens"))]
    #[case::negative_tokens(Endpoint::Completions, r#"{"prompt": "a", "max_tokens": -1}"#, Some("max_tokens"))]
    #[case::two_answers(Endpoint::Completions, r#"{"prompt": "a", "n": 2}"#, Some("n"))]
    #[case::text_for_temperature(
        Endpoint::Completions,
        r#"{"prompt": "a", "temperature": "hot"}"#,
        Some("temperature")
    )]
    #[case::text_for_stream(Endpoint::Completions, r#"{"prompt": "a", "stream": "yes"}"#, Some("stream"))]
    #[case::options_without_stream(
        Endpoint::Completions,
        r#"{"prompt": "a", "stream_options": {}}"#,
        Some("stream_options")
    )]
    #[case::no_messages(Endpoint::Chat, r#"{"prompt": "a"}"#, Some("messages"))]
    #[case::message_without_role(Endpoint::Chat, r#"{"messages": [{"content": "a"}]}"#, Some("messages"))]
    #[case::number_for_content(Endpoint::Chat, r#"{"messages": [{"role": "user", "content": 5}]}"#, Some("messages"))]
    #[case::not_an_object(Endpoint::Chat, "[]", None)]
    #[case::not_json(Endpoint::Chat, "{", None)]
    fn a_bad_body_names_the_field(#[case] endpoint: Endpoint, #[case] body: &str, #[case] param: Option<&str>) {
        let error = GenerateRequest::parse(endpoint, body.as_bytes()).unwrap_err();
        assert_eq!((error.status.as_u16(), error.param), (400, param), "{error}");
    }
}
