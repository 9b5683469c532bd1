//! Errors of the API server, in words for a person.

use crate::config::masked::without_user_info;

/// What went wrong: the API server's own message, or why it could not be reached.
pub fn words(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        let message = if status.message.is_empty() { &status.reason } else { &status.message };
        return format!("{message} (HTTP {})", status.code);
    }
    with_causes(error)
}

/// An error of any kind with its causes, in one line, without the user info of addresses in it, such as a proxy's.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some layers repeat the text of the cause they carry.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    without_user_info(&text)
}

/// HTTP status of the API server's answer; `None` when it gave none.
pub fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("asking {0} failed")]
        struct Silent(&'static str, #[source] std::io::Error);
        #[derive(Debug, thiserror::Error)]
        #[error("asking failed: {0}; look at the network")]
        struct Telling(#[source] std::io::Error);
        let cause = || std::io::Error::other("refused");
        assert_eq!(with_causes(&Silent("a", cause())), "asking a failed: refused");
        assert_eq!(with_causes(&Telling(cause())), "asking failed: refused; look at the network");
    }

    #[test]
    fn a_refusal_is_told_by_its_message_and_code() {
        let refused = |message, reason| kube::Error::Api(Box::new(Status::failure(message, reason).with_code(404)));
        assert_eq!(words(&refused("namespaces \"x\" not found", "NotFound")), "namespaces \"x\" not found (HTTP 404)");
        assert_eq!(words(&refused("", "NotFound")), "NotFound (HTTP 404)");
    }
}
