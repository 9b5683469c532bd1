//! Reads the cluster as `status`, `history`, `cost` and `doctor` do.

use futures::join;

use super::{DashboardView, Samples};
use crate::Error;
use crate::commands::cost;
use crate::commands::doctor::{self, DoctorView};
use crate::commands::status::Filter;
use crate::readers::variants;
use crate::session::Session;

/// Reads what the page shows, and remembers what it read before.
pub(super) struct Reader<'a> {
    session: &'a Session,
    namespace: Option<String>,
    samples: Samples,
}

impl<'a> Reader<'a> {
    /// A reader of one namespace, or of all.
    pub(super) fn new(session: &'a Session, namespace: Option<String>) -> Self {
        Self { session, namespace, samples: Samples::default() }
    }

    /// Reads once.
    pub(super) async fn read(&mut self) -> Result<DashboardView, Error> {
        let (filter, namespace) = (Filter::default(), self.namespace.as_deref());
        let (gathered, listed) = join!(
            Box::pin(cost::gather(self.session, namespace, &filter, true)),
            variants::list(self.session, namespace),
        );
        let (gathered, listed) = (gathered?, listed?);
        self.samples.note(&gathered.status);
        Ok(DashboardView::build(&gathered, &listed, namespace, &self.samples))
    }

    /// The reader of what is wrong in the same place.
    pub(super) fn doctor(&self) -> Doctor<'a> {
        Doctor { session: self.session, namespace: self.namespace.clone() }
    }
}

/// Reads what is wrong.
pub(super) struct Doctor<'a> {
    session: &'a Session,
    namespace: Option<String>,
}

impl Doctor<'_> {
    /// Looks once.
    pub(super) async fn look(&self) -> Result<DoctorView, Error> {
        Box::pin(doctor::look(self.session, self.namespace.as_deref(), None)).await
    }
}
