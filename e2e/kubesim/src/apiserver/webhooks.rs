//! Admission webhooks: programs that are asked before something is written, and may deny or change it.
//!
//! They are asked with no lock held, because they may well be clients of this server. A request is carried out up to the
//! point at which an answer is missing; then the webhooks are asked, and the request is carried out again from the start with
//! what the store holds by then ([`carry_out`]). An answer is good for the very question it was given to: when the object
//! has changed meanwhile, the webhook is asked anew, as the real server does when it retries a patch.

mod answer;
mod client;
mod hook;
mod mutation;
mod review;

use std::collections::{BTreeSet, HashMap};
use std::sync::{MutexGuard, PoisonError};

use futures::future::join_all;
use serde_json::Value;

use self::answer::{Answer, Response};
use self::client::Question;
use self::hook::{Hook, Kind};
pub(super) use self::mutation::{NoPlugins, PATCH_ANNOTATION, Plugins};
use super::attributes::{Attributes, GROUP, Operation};
use super::failure::Failure;
use super::state::{Call, Shared, State};

/// So many versions of an object a request may meet before it gives up, as the real server's patches do.
const VERSIONS: usize = 5;

/// What the webhooks have been asked in the course of one request.
#[derive(Debug, Default)]
pub(super) struct Consultation {
    answers: HashMap<String, Answer>,
    /// Questions whose answers are needed to go on.
    pending: Vec<Question>,
    /// Versions of the object that were in question.
    versions: BTreeSet<String>,
}

/// Carries a request out, and asks the webhooks that have a say in it in between.
pub(super) async fn carry_out<T>(
    shared: &Shared,
    call: &Call,
    mut attempt: impl FnMut(&mut State) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let before = call.remarks().clone();
    loop {
        let result = attempt(&mut shared.lock());
        let pending = std::mem::take(&mut call.consultation().pending);
        if pending.is_empty() {
            return result;
        }
        if call.consultation().versions.len() > VERSIONS {
            let resource = &call.resource;
            return Err(Failure::modified(&resource.group, &resource.plural, &call.target.name));
        }
        let answers = join_all(pending.into_iter().map(client::ask)).await;
        call.consultation().answers.extend(answers);
        call.remarks().clone_from(&before);
    }
}

impl Call {
    fn consultation(&self) -> MutexGuard<'_, Consultation> {
        self.consultation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether answers are missing.
    pub(super) fn waits(&self) -> bool {
        !self.consultation().pending.is_empty()
    }

    /// Has the request carried out again when these are answered.
    fn wait_for(&self, questions: Vec<Question>) -> Failure {
        let mut consultation = self.consultation();
        consultation.versions.extend(questions.iter().map(|question| question.version.clone()));
        consultation.pending.extend(questions);
        Failure::unavailable("admission webhooks are being asked")
    }

    /// What a webhook says to a question; `None` when it could not be asked and that is no reason to refuse.
    fn consult(&self, hook: &Hook<'_>, question: Question, place: &str) -> Result<Option<Response>, Failure> {
        let answer = self.consultation().answers.get(&question.key).cloned();
        let response = match answer {
            None => return Err(self.wait_for(vec![question])),
            Some(Answer::Failed(problem)) => return hook.excuse(self, &problem, place).map(|()| None),
            Some(Answer::Given(response)) => response,
        };
        for (key, value) in &response.annotations {
            self.annotate(format!("{}/{key}", hook.name()), value.clone());
        }
        response.warnings.iter().for_each(|warning| self.warn(warning.clone()));
        match response.rejection(hook.name()) {
            Some(rejection) => Err(rejection),
            None => Ok(Some(response)),
        }
    }
}

impl State {
    /// Asks the webhooks that only say yes or no, all at once.
    fn ask_validators(&self, attributes: &Attributes<'_>) -> Result<(), Failure> {
        let call = attributes.call;
        let mut asked = Vec::new();
        for (index, hook) in self.hooks(call, Kind::Validating).into_iter().enumerate() {
            if let Some(resource) = self.invoked(&hook, attributes)? {
                let question = self.question(&hook, attributes, &resource);
                asked.push((index, hook, question));
            }
        }
        let missing: Vec<Question> = {
            let consultation = call.consultation();
            let questions = asked.iter().filter_map(|(_, _, question)| question.as_ref().ok());
            questions.filter(|question| !consultation.answers.contains_key(&question.key)).cloned().collect()
        };
        if !missing.is_empty() {
            return Err(call.wait_for(missing));
        }
        for (index, hook, question) in asked {
            call.consult(&hook, question?, &format!("round_0_index_{index}"))?;
        }
        Ok(())
    }

    /// Policies and webhooks that only say yes or no.
    pub(super) fn judge_request(&self, attributes: &Attributes<'_>) -> Result<(), Failure> {
        self.consult_policies(attributes)?;
        self.ask_validators(attributes)
    }

    /// Admission of what is asked of an object by way of a subresource, and not stored.
    pub(super) fn admit_subresource(
        &self,
        call: &Call,
        operation: Operation,
        old: Option<&Value>,
        object: &mut Value,
    ) -> Result<(), Failure> {
        self.mutate(call, operation, old, object, &NoPlugins)?;
        self.judge_request(&Attributes::of_subresource(call, operation, old, object))
    }

    /// The webhooks of a kind, in the order of their configurations' names; none for their configurations themselves.
    fn hooks(&self, call: &Call, kind: Kind) -> Vec<Hook<'_>> {
        if call.resource.group == GROUP { Vec::new() } else { hook::all(&self.store, kind) }
    }
}
