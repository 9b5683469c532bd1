//! Sending a script.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::metrics::Metrics;
use super::normalise::{self, Normaliser};
use super::script::{Poll, Script, Step, written_out};
use super::{Error, path};

/// Headers that are compared.
const HEADERS: &[&str] = &["content-type", "warning", "location", "retry-after", "allow", "www-authenticate"];
/// Those that are compared where a step wants all.
const MORE_HEADERS: &[&str] = &["cache-control", "x-content-type-options", "vary"];
const LONGEST: Duration = Duration::from_secs(40);
const WATCH: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(150);

/// The server that scripts are sent to, as its administrator.
#[derive(Debug, Clone)]
pub struct Server {
    url: String,
    token: Option<String>,
    client: reqwest::Client,
    /// Without the administrator's certificate, for everybody else.
    bare: reqwest::Client,
    metrics: Option<Arc<Metrics>>,
}

impl Server {
    /// A server at `url` whose administrator has this token.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, Error> {
        Self::with(url, token, None)
    }

    fn with(url: &str, token: Option<&str>, identity: Option<reqwest::Identity>) -> Result<Self, Error> {
        let builder = || reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).timeout(LONGEST);
        let bare = builder().build().map_err(Error::Client)?;
        let client = match identity {
            Some(identity) => builder().identity(identity).build().map_err(Error::Client)?,
            None => bare.clone(),
        };
        let (url, token) = (url.trim_end_matches('/').to_owned(), token.map(ToOwned::to_owned));
        Ok(Self { url, token, client, bare, metrics: None })
    }

    /// With an external metrics API, which scripts of autoscalers set.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// A request of the administrator; what is there already is no error.
    pub(super) async fn administer(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<StatusCode, Error> {
        let failed = |source| Error::Request { method: method.to_string(), path: path.to_owned(), source };
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        Ok(request.send().await.map_err(failed)?.status())
    }

    /// The server of a kubeconfig's current context; `url` replaces its address.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_kubeconfig(file: &Path, url: Option<&str>) -> Result<Self, Error> {
        let failed = |why: String| Error::Format { path: file.display().to_string(), why };
        let text = std::fs::read_to_string(file).map_err(|source| Error::File {
            what: "reading",
            path: file.display().to_string(),
            source,
        })?;
        let config: Value = serde_saphyr::from_str(&text).map_err(|error| failed(error.to_string()))?;
        let named = |list: &str, name: &Value| {
            config[list].as_array().into_iter().flatten().find(|entry| entry["name"] == *name).cloned()
        };
        let context = named("contexts", &config["current-context"])
            .ok_or_else(|| failed("it has no current context".to_owned()))?;
        let cluster = named("clusters", &context["context"]["cluster"]).unwrap_or_default();
        let user = named("users", &context["context"]["user"]).unwrap_or_default();
        let address = url.or_else(|| cluster["cluster"]["server"].as_str());
        let address = address.ok_or_else(|| failed("its cluster has no server".to_owned()))?;
        let decoded = |field: &str| {
            let bytes = user["user"][field].as_str()?;
            Some(String::from_utf8_lossy(&wva_base64(bytes)?).into_owned())
        };
        let identity = match (decoded("client-certificate-data"), decoded("client-key-data")) {
            (Some(certificate), Some(key)) => {
                let pem = format!("{certificate}\n{key}");
                Some(reqwest::Identity::from_pem(pem.as_bytes()).map_err(Error::Client)?)
            }
            _ => None,
        };
        Self::with(address, user["user"]["token"].as_str(), identity)
    }
}

fn wva_base64(text: &str) -> Option<Vec<u8>> {
    let k8s: k8s_openapi::ByteString = serde_json::from_value(json!(text)).ok()?;
    Some(k8s.0)
}

/// An answer before it is brought into normal form.
struct Raw {
    code: StatusCode,
    headers: HeaderMap,
    body: Value,
}

/// Sends every step, and cleans up; the answers are in normal form.
pub(super) async fn run(server: &Server, script: &Script) -> Result<Vec<Value>, Error> {
    let mut run = Run::new(server, script);
    run.set_up().await;
    let answers = run.steps().await;
    run.clean_up().await;
    answers
}

struct Run<'a> {
    server: &'a Server,
    script: &'a Script,
    variables: BTreeMap<String, Value>,
    normaliser: Normaliser,
}

impl<'a> Run<'a> {
    fn new(server: &'a Server, script: &'a Script) -> Self {
        let word = random_word();
        let backwards: String = word.chars().rev().collect();
        let mut literals = BTreeMap::from([(word.clone(), "<run>".to_owned())]);
        let mut variables = BTreeMap::from([("run".to_owned(), json!(word))]);
        for (index, namespace) in script.namespaces.iter().enumerate() {
            let name = format!("diff{index}-{backwards}");
            literals.insert(name.clone(), format!("<{namespace}>"));
            variables.insert(namespace.clone(), json!(name));
        }
        Self { server, script, variables, normaliser: Normaliser::new(&literals) }
    }

    fn namespaces(&self) -> Vec<String> {
        self.script.namespaces.iter().map(|name| self.fill(&format!("${{{name}}}"))).collect()
    }

    /// Makes the namespaces, and waits for what every namespace has.
    async fn set_up(&self) {
        for name in self.namespaces() {
            let mut metadata = json!({"name": name});
            if self.script.nslabels.is_object() {
                metadata["labels"] = self.script.nslabels.clone();
            }
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
            self.administer(Method::POST, "/api/v1/namespaces", Some(namespace)).await;
            let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
            let end = Instant::now() + Duration::from_secs(20);
            while self.administer(Method::GET, &account, None).await != Some(StatusCode::OK) && Instant::now() < end {
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn clean_up(&self) {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
        for path in &self.script.cleanup {
            self.administer(Method::DELETE, &self.fill(path), Some(options.clone())).await;
        }
        for name in self.namespaces() {
            self.administer(Method::DELETE, &format!("/api/v1/namespaces/{name}"), Some(json!({}))).await;
        }
    }

    /// A request of the set-up, whose failure shows in the steps.
    async fn administer(&self, method: Method, path: &str, body: Option<Value>) -> Option<StatusCode> {
        self.server.administer(method, path, body).await.ok()
    }

    async fn steps(&mut self) -> Result<Vec<Value>, Error> {
        let mut answers = Vec::new();
        for step in &self.script.steps {
            if let Some(seconds) = step.pause {
                sleep(Duration::from_secs_f64(seconds)).await;
            }
            let raw = match &step.poll {
                Some(poll) => self.poll(step, poll).await?,
                None => self.send(step).await?,
            };
            for (name, place) in &step.capture {
                self.variables.insert(name.clone(), path::dig(&raw.body, place));
            }
            self.normaliser.learn(&raw.body);
            answers.push((step, raw));
        }
        Ok(answers.into_iter().map(|(step, raw)| self.normal(step, &raw)).collect())
    }

    async fn poll(&self, step: &Step, poll: &Poll) -> Result<Raw, Error> {
        let end = Instant::now() + Duration::from_secs_f64(poll.timeout.unwrap_or(15.0));
        let mut last = (Value::Null, Instant::now());
        loop {
            let raw = self.send(step).await?;
            let mut done = poll.until.iter().all(|condition| self.holds(condition, &raw));
            if let Some(seconds) = poll.stable {
                let mut seen = raw.body.clone();
                // The version of a list changes with everything else in the cluster.
                if seen.get("items").is_some()
                    && let Some(fields) = seen.as_object_mut()
                {
                    fields.remove("metadata");
                }
                if seen != last.0 {
                    last = (seen, Instant::now());
                }
                done = done && last.1.elapsed().as_secs_f64() >= seconds;
            }
            if done || Instant::now() > end {
                return Ok(raw);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    fn holds(&self, (place, operator, wanted): &(String, String, Value), raw: &Raw) -> bool {
        let found = if place == "@code" { json!(raw.code.as_u16()) } else { path::dig(&raw.body, place) };
        let wanted = self.fill_value(wanted);
        match operator.as_str() {
            "==" => found == wanted || found.as_f64().is_some() && found.as_f64() == wanted.as_f64(),
            "!=" => found != wanted,
            ">=" => found.as_f64().is_some_and(|found| found >= wanted.as_f64().unwrap_or_default()),
            "len" => {
                let length = found.as_array().map(Vec::len).or_else(|| found.as_object().map(serde_json::Map::len));
                wanted.as_u64() == Some(length.unwrap_or_default() as u64)
            }
            "exists" => found.is_null() != (wanted == true),
            "contains" => found.to_string().contains(wanted.as_str().unwrap_or_default()),
            _ => true,
        }
    }

    async fn send(&self, step: &Step) -> Result<Raw, Error> {
        let place = self.fill(&step.path);
        let failed = |source| Error::Request { method: step.method.clone(), path: place.clone(), source };
        let mut headers = BTreeMap::from([
            ("user-agent".to_owned(), "difftest/1.0".to_owned()),
            ("accept".to_owned(), "application/json".to_owned()),
            ("accept-encoding".to_owned(), "identity".to_owned()),
        ]);
        let body = step.body.as_ref().map(|body| written_out(&self.fill_value(body)).to_string());
        if body.is_some() {
            headers.insert("content-type".to_owned(), "application/json".to_owned());
        }
        for (name, value) in &step.headers {
            match value {
                Some(value) => drop(headers.insert(name.to_lowercase(), self.fill(value))),
                None => drop(headers.remove(&name.to_lowercase())),
            }
        }
        if let (Some(namespace), Some(metrics)) = (place.strip_prefix("@metrics/"), &self.server.metrics) {
            metrics.set(namespace, &step.body.as_ref().map(|body| self.fill_value(body)).unwrap_or_default());
            return Ok(Raw { code: StatusCode::OK, headers: HeaderMap::new(), body: Value::Null });
        }
        let method = Method::from_bytes(step.method.as_bytes()).unwrap_or(Method::GET);
        let client = if step.token.is_some() || step.anonymous { &self.server.bare } else { &self.server.client };
        let mut request = client.request(method, format!("{}{place}", self.server.url));
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                request = request.header(name, value);
            }
        }
        match (&step.token, &self.server.token) {
            (Some(token), _) => request = request.bearer_auth(self.fill(token)),
            (None, Some(token)) if !step.anonymous => request = request.bearer_auth(token),
            _ => {}
        }
        if let Some(body) = body.or_else(|| step.raw.as_ref().map(|raw| self.fill(raw))) {
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(failed)?;
        let (code, headers) = (response.status(), response.headers().clone());
        let mut bytes = Vec::new();
        if step.watch {
            let end = Instant::now() + step.timeout.map_or(WATCH, Duration::from_secs_f64);
            // A watch that is cut off says what it has said so far.
            while let Ok(Ok(Some(chunk))) = tokio::time::timeout_at(end, response.chunk()).await {
                bytes.extend_from_slice(&chunk);
            }
        } else {
            bytes.extend_from_slice(&response.bytes().await.map_err(failed)?);
        }
        let body = read(step, code, &headers, &bytes);
        Ok(Raw { code, headers, body })
    }

    /// An answer in normal form.
    fn normal(&mut self, step: &Step, raw: &Raw) -> Value {
        if step.hidden {
            return json!({"hidden": true});
        }
        let mut body = raw.body.clone();
        for place in step.strip.iter().chain(&self.script.strip) {
            path::strip(&mut body, &path::parts(place));
        }
        let mut body = self.normaliser.value(&body);
        if self.script.group == "crd" {
            normalise::sort_causes(&mut body);
        }
        for (place, key) in &step.sort {
            if let Some(list) = path::list_mut(&mut body, place) {
                list.sort_by_key(|item| path::dig(item, key).to_string());
            }
        }
        if let Some(paths) = &step.only {
            body = path::only(&body, paths);
        }
        let mut headers = serde_json::Map::new();
        let more = if step.allheaders { MORE_HEADERS } else { &[] };
        for name in HEADERS.iter().chain(more) {
            let values: Vec<&str> = raw.headers.get_all(*name).iter().filter_map(|value| value.to_str().ok()).collect();
            if !values.is_empty() {
                headers.insert((*name).to_owned(), json!(self.normaliser.text(&values.join(", "))));
            }
        }
        let code = raw.code.as_u16();
        if step.codeonly { json!({ "code": code }) } else { json!({"code": code, "headers": headers, "body": body}) }
    }

    /// A text with its variables filled in.
    fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                rest = after;
                continue;
            };
            match self.variables.get(name) {
                Some(Value::String(text)) => out.push_str(text),
                Some(Value::Null) => out.push_str("None"),
                Some(other) => out.push_str(&other.to_string()),
                None => out.extend(["UNSET-", name]),
            }
            rest = after;
        }
        out + rest
    }

    fn fill_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                // The value itself, not its text.
                let whole = text.strip_prefix("${").and_then(|rest| rest.strip_suffix(":raw}"));
                match whole {
                    Some(name) => self.variables.get(name).cloned().unwrap_or_default(),
                    None => json!(self.fill(text)),
                }
            }
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (self.fill(key), self.fill_value(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(|item| self.fill_value(item)).collect()),
            other => other.clone(),
        }
    }
}

fn read(step: &Step, code: StatusCode, headers: &HeaderMap, bytes: &[u8]) -> Value {
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !step.watch && content_type.contains("protobuf") {
        return json!(if bytes.starts_with(b"k8s\0") { "<protobuf>" } else { "<not protobuf>" });
    }
    let text = String::from_utf8_lossy(bytes);
    if step.watch && code == StatusCode::OK {
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| json!(line)));
        return Value::Array(lines.collect());
    }
    if content_type.contains("json") {
        serde_json::from_str(&text).unwrap_or_else(|_| json!(text))
    } else if content_type.contains("yaml") {
        serde_saphyr::from_str::<Value>(&text).map_or_else(|_| json!(text), |value| as_texts(&value))
    } else {
        json!(text)
    }
}

/// YAML as it is read without types.
fn as_texts(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), as_texts(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(as_texts).collect()),
        Value::String(text) => json!(text),
        other => json!(other.to_string()),
    }
}

/// Seven letters and digits without vowels, so that no words appear.
fn random_word() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..7u64)
        .map(|index| {
            let drawn = usize::try_from(RandomState::new().hash_one(index) % ALPHABET.len() as u64).unwrap_or_default();
            char::from(ALPHABET[drawn])
        })
        .collect()
}
