//! What a workload says about itself.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, ContainerPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The model name under which a Deployment's vLLM answers: `--served-model-name`, else `--model`, else the argument of
/// `vllm serve`.
pub fn served_model(deployment: &Deployment) -> Option<String> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.iter().find_map(of_container)
}

/// All names under which a Deployment's vLLM answers; none where its command line leaves them to a variable or a file.
pub fn served_models(deployment: &Deployment) -> Vec<String> {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let containers = pod.iter().flat_map(|pod| &pod.containers);
    let names = containers.map(all_of_container).find(|names| !names.is_empty()).unwrap_or_default();
    if names.iter().any(|name| name.contains('$')) { Vec::new() } else { names }
}

/// The port on which a Deployment's servers listen, as its pods declare it: the one named `vllm` or `http`, else the
/// first.
pub fn port(deployment: &Deployment) -> Option<i32> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let ports = || pod.containers.iter().flat_map(|container| container.ports.iter().flatten());
    let named = |port: &&ContainerPort| matches!(port.name.as_deref(), Some("vllm" | "http"));
    ports().find(named).or_else(|| ports().next()).map(|port| port.container_port)
}

/// Whether pods with this metadata ask by annotation to be scraped, as Prometheus is often set up without the operator.
pub fn announces(template: &ObjectMeta) -> bool {
    let asks = |key: &str, value: &str| key == "prometheus.io/scrape" && value == "true";
    template.annotations.iter().flatten().any(|(key, value)| asks(key, value))
}

fn of_container(container: &Container) -> Option<String> {
    let words: Vec<&str> =
        container.command.iter().chain(&container.args).flatten().flat_map(|text| text.split_whitespace()).collect();
    flag(&words, "--served-model-name").or_else(|| flag(&words, "--model")).or_else(|| {
        let at = words.iter().position(|word| *word == "serve")?;
        words.get(at + 1).filter(|word| !word.starts_with('-')).map(|word| (*word).to_owned())
    })
}

fn all_of_container(container: &Container) -> Vec<String> {
    let words: Vec<&str> =
        container.command.iter().chain(&container.args).flatten().flat_map(|text| text.split_whitespace()).collect();
    // vLLM takes several names after one flag.
    let Some(at) = words.iter().position(|word| *word == "--served-model-name") else {
        return of_container(container).into_iter().collect();
    };
    words[at + 1..].iter().take_while(|word| !word.starts_with('-')).map(|word| (*word).to_owned()).collect()
}

fn flag(words: &[&str], flag: &str) -> Option<String> {
    words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(flag)? {
        "" => words.get(at + 1).map(|next| (*next).to_owned()),
        rest => rest.strip_prefix('=').map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::two_words(json!({"args": ["--model", "meta/llama"]}), Some("meta/llama"))]
    #[case::one_word(json!({"args": ["--model=meta/llama"]}), Some("meta/llama"))]
    #[case::served_name_wins(json!({"args": ["--model", "x", "--served-model-name", "llama"]}), Some("llama"))]
    #[case::serve(json!({"command": ["vllm", "serve", "meta/llama"]}), Some("meta/llama"))]
    #[case::in_a_shell(json!({"command": ["/bin/sh", "-c"], "args": ["vllm serve meta/llama --port 8000"]}), Some("meta/llama"))]
    #[case::nothing(json!({"args": ["--port", "8000"]}), None)]
    fn the_served_model_is_read_from_the_command_line(#[case] mut container: Value, #[case] expect: Option<&str>) {
        container["name"] = json!("vllm");
        let deployment = json!({"spec": {"selector": {}, "template": {"spec": {"containers": [container]}}}});
        assert_eq!(served_model(&serde_json::from_value(deployment).unwrap()).as_deref(), expect);
    }
}
