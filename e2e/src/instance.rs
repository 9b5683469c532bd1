//! What a user installs: one isolated controller by the chart, models by the plugin.

use chart_render::check::{Installed, Report, check};
use chart_render::{Chart, Options, Release, Rendered, Values};

use crate::helm::Helm;
use crate::kubectl::{self, Kubectl};
use crate::workload::Vllm;

/// An install failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chart could not be rendered.
    #[error("rendering release {release}: {source}")]
    Render {
        /// The release.
        release: String,
        /// Why.
        source: Box<chart_render::Error>,
    },
    /// Controllers that are to be installed together would get into each other's way.
    #[error("the releases must not be installed side by side:\n{0}")]
    Collision(Report),
    /// The cluster did not take it.
    #[error(transparent)]
    Kubectl(#[from] kubectl::Error),
}

/// A controller-only install.
#[derive(Clone, Debug)]
pub struct Controller {
    /// Release name.
    pub release: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Instance id; empty for the controller without one.
    pub instance: String,
    /// Where Prometheus answers.
    pub prometheus_url: String,
    /// Further values, as for `--set`.
    pub set: Vec<String>,
}

impl Controller {
    /// The controller of one instance, deciding every two seconds on the last ten.
    pub fn quick(release: &str, namespace: &str, instance: &str, prometheus_url: &str) -> Self {
        let set = [
            "wva.reconcileInterval=2s",
            "wva.prometheus.metricsWindow=10s",
            "wva.metrics.interval=1s",
            "wva.imagePullPolicy=IfNotPresent",
            "wva.prometheus.monitoringNamespace=monitoring",
            "wva.prometheus.serviceAccountName=kube-prometheus-stack-prometheus",
            // A second replica would only wait for the Lease; start-up is what a demo and a test wait for.
            "wva.replicaCount=1",
        ];
        Self {
            release: release.to_owned(),
            namespace: namespace.to_owned(),
            instance: instance.to_owned(),
            prometheus_url: prometheus_url.to_owned(),
            set: set.map(str::to_owned).to_vec(),
        }
    }

    /// The manifests of the install, CRDs first.
    ///
    /// # Errors
    /// When the chart refuses the values.
    pub fn manifests(&self) -> Result<String, Error> {
        let rendered = self.rendered()?;
        let documents = rendered.crds.iter().map(|crd| crd.text.as_str());
        let documents = documents.chain(rendered.manifests.iter().map(|manifest| manifest.text.as_str()));
        Ok(documents.collect::<Vec<_>>().join("\n---\n"))
    }

    /// Installs it with helm, which keeps the release, and does not wait for the controller. The definitions, which all
    /// releases of a cluster share, are applied by kubectl, as the chart's README has it.
    ///
    /// # Errors
    /// When helm or the cluster refuses it.
    pub async fn install_with(&self, helm: &Helm, kubectl: &Kubectl) -> Result<(), Error> {
        kubectl.run(&["apply", "--server-side", "-f", &format!("{}/crds/", Helm::chart())]).await?;
        self.helm(helm, &["install"], Helm::chart()).await.map(drop)
    }

    /// Runs `helm VERB RELEASE CHART` with the settings of this install, e.g. to upgrade it, from the chart of this folder or
    /// archive.
    ///
    /// # Errors
    /// When helm fails.
    pub async fn helm(&self, helm: &Helm, verb: &[&str], chart: &str) -> Result<String, Error> {
        let settings = self.settings();
        let mut line = verb.to_vec();
        line.extend([self.release.as_str(), chart, "--namespace", &self.namespace, "--skip-crds"]);
        line.extend(settings.iter().flat_map(|set| ["--set", set]));
        Ok(helm.run(&line).await?)
    }

    fn settings(&self) -> Vec<String> {
        let own = [
            "controller.enabled=true".to_owned(),
            "va.enabled=false".to_owned(),
            "hpa.enabled=false".to_owned(),
            "vllmService.enabled=false".to_owned(),
            format!("wva.controllerInstance={}", self.instance),
            format!("wva.prometheus.baseURL={}", self.prometheus_url),
        ];
        own.into_iter().chain(self.set.iter().cloned()).collect()
    }

    fn rendered(&self) -> Result<Rendered, Error> {
        let failed =
            |source: chart_render::Error| Error::Render { release: self.release.clone(), source: Box::new(source) };
        let mut values = Values::new();
        for set in &self.settings() {
            values.set(set).map_err(|error| failed(error.into()))?;
        }
        let chart = Chart::embedded().map_err(|error| failed(error.into()))?;
        let release = Release::new(&self.release, &self.namespace);
        chart_render::render(&chart, values, &release, &Options::default()).map_err(failed)
    }

    /// Makes the namespace and applies the manifests; does not wait for the controller.
    ///
    /// # Errors
    /// When the chart refuses the values or the cluster the manifests.
    pub async fn install(&self, kubectl: &Kubectl) -> Result<(), Error> {
        make_namespace(kubectl, &self.namespace).await?;
        kubectl.apply(&self.manifests()?).await?;
        Ok(())
    }
}

/// Installs several controllers, once `chart-render check` has found nothing that they would do to one another.
///
/// # Errors
/// When they collide, when the chart refuses values or the cluster manifests.
pub async fn install_all(controllers: &[Controller], kubectl: &Kubectl) -> Result<(), Error> {
    let installed = |controller: &Controller| {
        let release = Release::new(&controller.release, &controller.namespace);
        Ok(Installed::rendered(&release, &controller.rendered()?))
    };
    let report = check(&controllers.iter().map(installed).collect::<Result<Vec<_>, Error>>()?);
    if !report.is_clean() {
        return Err(Error::Collision(report));
    }
    for controller in controllers {
        controller.install(kubectl).await?;
    }
    Ok(())
}

/// Makes a namespace, or finds it.
///
/// # Errors
/// When the cluster refuses it.
pub async fn make_namespace(kubectl: &Kubectl, name: &str) -> Result<(), kubectl::Error> {
    let namespace = serde_json::json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    kubectl.apply(&namespace.to_string()).await.map(drop)
}

/// One variant of a model, added by `kubectl wva add-model`.
#[derive(Clone, Debug)]
pub struct Model<'a> {
    /// Release name.
    pub release: &'a str,
    /// Its Deployment.
    pub server: &'a Vllm,
    /// Accelerator name.
    pub accelerator: &'a str,
    /// Cost of one replica.
    pub cost: &'a str,
    /// Most replicas.
    pub max: u32,
    /// Instance that is to manage it.
    pub instance: &'a str,
}

impl Model<'_> {
    /// Adds it and waits until its controller has taken it.
    ///
    /// # Errors
    /// When the plugin fails.
    pub async fn add(&self, kubectl: &Kubectl) -> Result<String, kubectl::Error> {
        let Self { release, server, accelerator, cost, max, instance } = self;
        let max = max.to_string();
        let mut args = vec![
            "add-model",
            release,
            "--namespace",
            &server.namespace,
            "--model-id",
            &server.model_id,
            "--deployment",
            &server.name,
            "--accelerator",
            accelerator,
            "--cost",
            cost,
            "--min",
            "1",
            "--max",
            &max,
        ];
        if !instance.is_empty() {
            args.extend(["--instance", instance]);
        }
        let quick = [
            "vllmService.port=8000",
            "vllmService.targetPort=8000",
            "vllmService.interval=1s",
            "hpa.behavior.scaleUp.stabilizationWindowSeconds=0",
            "hpa.behavior.scaleDown.stabilizationWindowSeconds=0",
            "hpa.behavior.scaleUp.policies[0].periodSeconds=1",
            "hpa.behavior.scaleDown.policies[0].periodSeconds=1",
            "hpa.behavior.scaleUp.policies[0].type=Pods",
            "hpa.behavior.scaleDown.policies[0].type=Pods",
            "hpa.behavior.scaleUp.policies[0].value=10",
            "hpa.behavior.scaleDown.policies[0].value=10",
        ];
        for value in quick {
            args.extend(["--set", value]);
        }
        let added = kubectl.wva(&args).await?;
        // Its controller has taken it; the first decision is for whoever waits for one.
        let (variant, timeout) = (format!("va/{release}-va"), "--timeout=60s");
        kubectl.run(&["wait", "--for=condition=Ready", &variant, "-n", &server.namespace, timeout]).await?;
        Ok(added)
    }
}
