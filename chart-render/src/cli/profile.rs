//! `chart-render values`: the values of a usual install. `kubectl wva` has the same flags.

use std::io::Write;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::Verdict;
use crate::profile::{Error, Model, Profile};
use crate::{Chart, Options, Release, Values, render};

/// Print the values file of an install.
#[derive(Args)]
pub(super) struct ProfileValues {
    /// What to install.
    #[arg(long, value_enum)]
    profile: Kind,
    #[command(flatten)]
    flags: ProfileFlags,
}

impl ProfileValues {
    pub(super) fn run(self, out: &mut impl Write) -> Result<Verdict> {
        out.write_all(self.flags.checked(self.profile)?.as_bytes())?;
        Ok(Verdict::Fine)
    }
}

/// What an install is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A controller without a model.
    Controller,
    /// A model for a controller that is already there.
    Model,
    /// A controller and a model in one release.
    All,
    /// As all, with short intervals, much log and certificates unchecked.
    Dev,
    /// As all, on OpenShift.
    Openshift,
}

/// Flags that fill in a profile; the program has a flag `--profile` beside them.
#[derive(Args, Clone, Debug, Default)]
pub struct ProfileFlags {
    /// Id of the controller instance; the same for a controller and its models.
    #[arg(long, default_value = "", requires = "profile")]
    pub instance: String,
    /// Address of Prometheus.
    #[arg(long, value_name = "URL", requires = "profile")]
    pub prometheus: Option<String>,
    /// Namespaces to watch; all when left out.
    #[arg(long, value_delimiter = ',', value_name = "NAMESPACES", requires = "profile")]
    pub watch: Vec<String>,
    /// Name of the variant.
    #[arg(long, value_name = "NAME", default_value = "my-model", requires = "profile")]
    pub model_name: String,
    /// Namespace of the model.
    #[arg(long, value_name = "NAMESPACE", default_value = "llm-d-autoscaler", requires = "profile")]
    pub model_namespace: String,
    /// Id that the model's servers report.
    #[arg(long, value_name = "ID", default_value = "unsloth/Meta-Llama-3.1-8B", requires = "profile")]
    pub model_id: String,
    /// Deployment of the model; its name with `-decode` behind it when left out.
    #[arg(long, value_name = "NAME", default_value = "", requires = "profile")]
    pub deployment: String,
    /// What a replica runs on.
    #[arg(long, default_value = "H100", requires = "profile")]
    pub accelerator: String,
    /// Cost of one replica.
    #[arg(long, default_value = "10", requires = "profile")]
    pub cost: String,
    /// Fewest replicas.
    #[arg(long, requires = "profile")]
    pub min: Option<u32>,
    /// Most replicas.
    #[arg(long, default_value_t = 10, requires = "profile")]
    pub max: u32,
}

/// The flags do not make values to install with.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The template of the profile is broken.
    #[error(transparent)]
    Profile(#[from] Error),
    /// The chart takes no such values.
    #[error("the chart would refuse the values that these flags make; nothing is printed")]
    Chart(#[source] Box<crate::Error>),
}

impl ProfileFlags {
    /// The values file of such an install, when the chart renders with it.
    ///
    /// # Errors
    /// When the chart refuses the values, e.g. a cost that is no number, with what it says.
    pub fn checked(&self, kind: Kind) -> Result<String, Refused> {
        let text = self.values(kind)?;
        let refused = |error: crate::Error| Refused::Chart(Box::new(error));
        let mut values = Values::new();
        values.merge_yaml("the profile", &text).map_err(|error| refused(error.into()))?;
        let chart = Chart::embedded().map_err(|error| refused(error.into()))?;
        render(&chart, values, &Release::new("release", "default"), &Options::default()).map_err(refused)?;
        Ok(text)
    }

    /// The values file of such an install.
    ///
    /// # Errors
    /// When its template is broken.
    pub fn values(&self, kind: Kind) -> Result<String, Error> {
        let title = match kind {
            Kind::Controller => "A controller without a model.",
            Kind::Model => "A model; its controller is another release.",
            Kind::All => "A controller and a model.",
            Kind::Dev => "A controller and a model, for development.",
            Kind::Openshift => "A controller and a model on OpenShift.",
        };
        let Self {
            instance,
            prometheus,
            watch,
            model_name,
            model_namespace,
            model_id,
            deployment,
            accelerator,
            cost,
            min,
            max,
        } = self.clone();
        let model = Model {
            name: model_name,
            namespace: model_namespace,
            id: model_id,
            deployment,
            accelerator,
            cost,
            min,
            max,
        };
        let profile = Profile {
            title: title.to_owned(),
            controller: kind != Kind::Model,
            instance,
            prometheus,
            watch,
            development: kind == Kind::Dev,
            openshift: kind == Kind::Openshift,
            model: (kind != Kind::Controller).then_some(model),
        };
        profile.values()
    }
}
