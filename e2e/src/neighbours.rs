//! Five controllers and five models side by side, named so that they would meet if names could.

use chart_render::check::Installed;
use chart_render::{Chart, Options, Release, Values};

/// A release name and a namespace.
pub type Place = (&'static str, &'static str);

/// Names that users choose.
pub const DEFAULTS: [Place; 5] = [
    ("workload-variant-autoscaler", "team-a"),
    ("workload-variant-autoscaler", "team-b"),
    ("wva", "team-a"),
    ("wva-test", "team-a"),
    ("wva", "team-b"),
];

/// Names that end alike or begin alike, meet when joined with their namespace, or hold what a Service may not.
pub const HOSTILE: [Place; 5] = [
    ("a.b.c-1", "n"),
    ("a-b-c-1", "n"),
    ("workload-variant-autoscaler-n", "team"),
    ("workload-variant-autoscaler", "n-team"),
    ("9-a-release-with-a-name-that-is-as-long-as-they-get.1", "n"),
];

/// One of two releases at a place: a controller that runs no pod, or a model. All have the same values but for the
/// namespace of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    /// Where it is.
    pub place: Place,
    /// Whether it is the model.
    pub model: bool,
}

/// Both releases of every place.
pub fn of(places: [Place; 5]) -> Vec<Neighbour> {
    places.into_iter().flat_map(|place| [false, true].map(|model| Neighbour { place, model })).collect()
}

impl Neighbour {
    /// Name of the release.
    pub fn name(self) -> String {
        // A model beside a controller of the same name and namespace is another release.
        let (name, _) = self.place;
        if self.model { format!("m{}", &name[1..]) } else { name.to_owned() }
    }

    /// Namespace of the release.
    pub fn namespace(self) -> &'static str {
        self.place.1
    }

    /// Its values, as for `--set`.
    pub fn settings(self) -> String {
        // Each model has a Deployment of its own: two autoscalers of one are refused.
        let parts = if self.model {
            format!("controller.enabled=false,llmd.deploymentName={}", self.name())
        } else {
            "wva.replicaCount=0,va.enabled=false,hpa.enabled=false,vllmService.enabled=false".to_owned()
        };
        format!("{parts},llmd.namespace={},wva.metrics.interval=5s", self.namespace())
    }

    /// Its objects, without those that only test it.
    ///
    /// # Errors
    /// When the chart refuses the values.
    pub fn rendered(self) -> Result<Installed, chart_render::Error> {
        let mut values = Values::new();
        values.set(&self.settings())?;
        let release = Release::new(self.name(), self.namespace());
        let mut rendered = chart_render::render(&Chart::embedded()?, values, &release, &Options::default())?;
        rendered.hooks.clear();
        Ok(Installed::rendered(&release, &rendered))
    }
}
