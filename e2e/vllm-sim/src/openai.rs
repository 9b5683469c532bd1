//! The `OpenAI` API as vLLM serves it: reading requests, writing answers, errors in the shape clients expect.

mod answer;
mod error;
mod request;

pub(crate) use self::answer::unix_seconds;
pub use self::answer::{Answer, Usage};
pub use self::error::ApiError;
pub use self::request::{Endpoint, GenerateRequest};
