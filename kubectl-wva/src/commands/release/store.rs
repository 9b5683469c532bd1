//! Where helm keeps its records: a Secret for each revision, in the namespace of the release.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};

use super::record::Record;
use crate::Error;
use crate::session::Session;

/// Revisions that helm keeps by default.
const KEPT: usize = 10;

/// The records of one release.
pub(super) struct Store<'a> {
    session: &'a Session,
    api: Api<Secret>,
    release: &'a str,
}

impl<'a> Store<'a> {
    pub(super) fn new(session: &'a Session, release: &'a str) -> Self {
        let api = Api::namespaced(session.client.clone(), &session.namespace);
        Self { session, api, release }
    }

    /// All revisions, the oldest first.
    ///
    /// # Errors
    /// When they cannot be listed or read.
    pub(super) async fn history(&self) -> Result<Vec<Record>, Error> {
        let selector = format!("owner=helm,name={}", self.release);
        let doing = format!("look for helm's record of release {}", self.release);
        let found = self.session.ask(doing.clone(), self.api.list(&ListParams::default().labels(&selector))).await?;
        let contents = found.items.iter().filter_map(|secret| secret.data.as_ref()?.get("release"));
        let records: Result<Vec<Record>, String> = contents.map(|data| Record::read(&data.0)).collect();
        let mut records = records.map_err(|why| crate::session::Error::Other {
            doing,
            message: format!("a Secret of type helm.sh/release.v1 cannot be read: {why}"),
        })?;
        records.sort_by_key(Record::revision);
        Ok(records)
    }

    /// Writes a new revision, and forgets the oldest beyond those that helm keeps.
    ///
    /// # Errors
    /// When it exists already, or the request fails.
    pub(super) async fn create(&self, record: &Record, history: &[Record], now: Timestamp) -> Result<(), Error> {
        for old in history.iter().take((history.len() + 1).saturating_sub(KEPT)) {
            self.delete(old).await?;
        }
        let secret = self.secret(record, ("createdAt", now));
        let doing = format!("write helm's record of release {}", self.release);
        self.session.ask(doing, self.api.create(&PostParams::default(), &secret)).await?;
        Ok(())
    }

    /// Writes a revision anew.
    ///
    /// # Errors
    /// When the request fails.
    pub(super) async fn update(&self, record: &Record, now: Timestamp) -> Result<(), Error> {
        let secret = self.secret(record, ("modifiedAt", now));
        let doing = format!("write helm's record of release {}", self.release);
        let name = secret.metadata.name.clone().unwrap_or_default();
        self.session.ask(doing, self.api.replace(&name, &PostParams::default(), &secret)).await?;
        Ok(())
    }

    /// Forgets a revision.
    ///
    /// # Errors
    /// When the request fails.
    pub(super) async fn delete(&self, record: &Record) -> Result<(), Error> {
        let doing = format!("delete helm's record of release {}", self.release);
        let name = self.key(record);
        match self.session.ask(doing, self.api.delete(&name, &DeleteParams::default())).await {
            Ok(_) | Err(crate::session::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn key(&self, record: &Record) -> String {
        format!("sh.helm.release.v1.{}.v{}", self.release, record.revision())
    }

    fn secret(&self, record: &Record, (stamp, now): (&str, Timestamp)) -> Secret {
        let labels = [
            ("name", record.name().to_owned()),
            ("owner", "helm".to_owned()),
            ("status", record.status().to_owned()),
            ("version", record.revision().to_string()),
            (stamp, now.as_second().to_string()),
        ];
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Secret {
            metadata: ObjectMeta { name: Some(self.key(record)), labels: Some(labels), ..ObjectMeta::default() },
            type_: Some("helm.sh/release.v1".to_owned()),
            data: Some(BTreeMap::from([("release".to_owned(), ByteString(record.pack()))])),
            ..Secret::default()
        }
    }
}
