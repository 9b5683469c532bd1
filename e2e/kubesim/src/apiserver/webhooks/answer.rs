//! What webhooks answer, and what their answers mean.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::failure::Failure;
use super::client::Question;
use crate::apiserver::body::from_base64;

/// What became of a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Given(Response),
    /// There is no answer, or none that makes sense, and why.
    Failed(String),
}

/// What a webhook says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Response {
    allowed: bool,
    status: Value,
    pub(super) warnings: Vec<String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// A JSON patch, in base64.
    patch: Option<String>,
    patch_type: Option<String>,
}

impl Response {
    /// Reads the review that a webhook sent back to a question with this uid.
    pub(super) fn read(question: &Question, uid: &str, review: &Value) -> Result<Self, String> {
        let invalid = |why: String| Err(format!("received invalid webhook response: {why}"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (given, kind) = (text(&review["apiVersion"]), text(&review["kind"]));
        let gvk = |version: &str, kind: &str| format!("{version}, Kind={kind}");
        let response = &review["response"];
        if !response.is_object() {
            return invalid("webhook response was absent".to_owned());
        }
        let beta = question.api_version.ends_with("/v1beta1");
        if !beta {
            if response["uid"] != uid {
                return invalid(format!("expected response.uid={uid:?}, got {:?}", text(&response["uid"])));
            }
            if given != question.api_version || kind != "AdmissionReview" {
                let expected = gvk(&question.api_version, "AdmissionReview");
                return invalid(format!("expected webhook response of {expected}, got {}", gvk(&given, &kind)));
            }
        }
        let patch = response["patch"].as_str().filter(|patch| !patch.is_empty()).map(ToOwned::to_owned);
        let patch_type = response["patchType"].as_str().map(ToOwned::to_owned);
        let problem = match (question.mutating, &patch, &patch_type) {
            (true, Some(_), None) if !beta => "webhook returned response.patch but not response.patchType",
            (true, None, Some(_)) if !beta => "webhook returned response.patchType but not response.patch",
            (false, Some(_), _) if !beta => "validating webhook may not return response.patch",
            (false, _, Some(_)) if !beta => "validating webhook may not return response.patchType",
            _ => "",
        };
        if !problem.is_empty() {
            return invalid(problem.to_owned());
        }
        let warnings = response["warnings"].as_array().into_iter().flatten();
        let annotations = response["auditAnnotations"].as_object().into_iter().flatten();
        Ok(Self {
            allowed: response["allowed"] == true,
            status: response["status"].clone(),
            warnings: warnings.filter_map(|text| Some(text.as_str()?.to_owned())).collect(),
            annotations: annotations
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
            patch,
            patch_type,
        })
    }

    /// The refusal, when it is one, in the words of the webhook.
    pub(super) fn rejection(&self, webhook: &str) -> Option<Failure> {
        if self.allowed {
            return None;
        }
        let text = |field: &str| self.status[field].as_str().unwrap_or_default();
        let denied = format!("admission webhook {webhook:?} denied the request");
        let message = match (text("message"), text("reason")) {
            ("", "") => format!("{denied} without explanation"),
            ("", why) | (why, _) => format!("{denied}: {why}"),
        };
        // Nothing below 400 can be a refusal.
        let code = self.status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or_default().max(400);
        Some(Failure::worded(code, text("reason").to_owned(), message, self.status["details"].clone()))
    }

    /// The operations of its JSON patch, `None` without any.
    pub(super) fn patch(&self) -> Result<Option<Value>, String> {
        let Some(patch) = &self.patch else { return Ok(None) };
        if let Some(other) = self.patch_type.as_deref().filter(|kind| *kind != "JSONPatch") {
            return Err(format!("unsupported patch type {other:?}"));
        }
        let undecodable = |why: String| format!("received undecodable patch in webhook response: {why}");
        let bytes = from_base64(patch).ok_or_else(|| undecodable("illegal base64 data".to_owned()))?;
        let patch: Value = serde_json::from_slice(&bytes).map_err(|error| undecodable(error.to_string()))?;
        Ok(Some(patch).filter(|patch| *patch != json!([])))
    }
}
