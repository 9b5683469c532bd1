//! Shell completion: kubectl runs `kubectl_complete-wva` with the words after `kubectl wva`, the last of which is being
//! typed, and reads candidates, one a line, and a last line `:4` that keeps the shell from offering file names.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Arg, Args as _, Command, CommandFactory as _, FromArgMatches as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::config::Kubeconfig;
use kube::{Api, ResourceExt};
use wva_api::Instance;

use crate::cli::Cli;

use crate::connection::Connection;
use crate::readers::{controllers, lists, variants};
use crate::session::Session;

/// Name under which kubectl looks for the program that completes.
pub const PROGRAM: &str = "kubectl_complete-wva";
/// How completion is set up, for whoever asks.
pub const SETUP: &str =
    "kubectl completes `kubectl wva` by itself once kubectl_complete-wva is on PATH beside kubectl-wva:
    ln -s \"$(command -v kubectl-wva)\" \"$(dirname \"$(command -v kubectl-wva)\")/kubectl_complete-wva\"
and completion of kubectl is set up in the shell: source <(kubectl completion bash)";
/// Cobra's directive "do not offer files".
const NO_FILES: &str = ":4";
/// Cobra's directive "offer files".
const FILES: &str = ":0";
/// A shell waits for this; whoever presses Tab does not wait long.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the word being typed stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A command.
    Command,
    /// A flag of this command.
    Flag(String),
    /// One of these words.
    Words(Vec<String>),
    /// Something that only the cluster knows.
    Live(Live),
    /// A file.
    File,
    /// Nothing that we know.
    Nothing,
}

/// What the cluster or the kubeconfig is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// Namespaces.
    Namespaces,
    /// Contexts of the kubeconfig.
    Contexts,
    /// Clusters of the kubeconfig.
    Clusters,
    /// Users of the kubeconfig.
    Users,
    /// Variants, by the names given to add-model, and their own.
    Variants,
    /// Instance ids.
    Instances,
    /// Models.
    Models,
    /// Deployments.
    Deployments,
}

/// The lines to print for the words after `kubectl wva`. Whatever goes wrong, there is nothing to offer: a shell has no
/// place for errors.
pub async fn lines(words: &[String]) -> Vec<String> {
    let (typed, before) = words.split_last().map_or(("", &[] as &[String]), |(last, before)| (last.as_str(), before));
    // `--flag=value` is completed by its value, which the shell wants with the flag.
    let (prefix, typed, inner) = match typed.split_once('=').filter(|_| typed.starts_with("--")) {
        Some((flag, value)) => (format!("{flag}="), value, Some(flag.to_owned())),
        None => (String::new(), typed, None),
    };
    let context: Vec<String> = before.iter().cloned().chain(inner).collect();
    let root = Cli::command();
    let wanted = wanted(&root, &context, typed);
    let candidates = match &wanted {
        Wanted::Command => root.get_subcommands().filter(|c| c.get_name() != "help").map(described).collect(),
        Wanted::Flag(command) => flags(&root, command),
        Wanted::Words(words) => words.clone(),
        Wanted::Live(live) => {
            tokio::time::timeout(PATIENCE, ask(*live, before)).await.ok().flatten().unwrap_or_default()
        }
        Wanted::File | Wanted::Nothing => Vec::new(),
    };
    let fits = candidates.into_iter().filter(|candidate| candidate.starts_with(typed));
    let directive = if wanted == Wanted::File { FILES } else { NO_FILES };
    fits.map(|candidate| format!("{prefix}{candidate}")).chain([directive.to_owned()]).collect()
}

/// What the word after `before` stands for; `typed` is its beginning.
pub fn wanted(root: &Command, before: &[String], typed: &str) -> Wanted {
    let mut command: Option<&Command> = None;
    let mut positionals = 0;
    let mut open: Option<Arg> = None;
    for word in before {
        if open.take().is_some() {
            continue;
        }
        if word.starts_with('-') {
            open = flag(root, command, word).filter(|arg| takes_word(arg) && !word.contains('='));
        } else if command.is_none() {
            command = root.find_subcommand(word);
        } else {
            positionals += 1;
        }
    }
    if let Some(arg) = open {
        return of_value(&arg);
    }
    match command {
        _ if typed.starts_with('-') => Wanted::Flag(command.map(|c| c.get_name().to_owned()).unwrap_or_default()),
        None => Wanted::Command,
        Some(command) if positionals > 0 => {
            command.get_positionals().nth(positionals).map_or(Wanted::Nothing, of_value)
        }
        Some(command) => match (command.get_name(), command.get_positionals().next()) {
            ("add-model" | "render", _) | (_, None) => Wanted::Nothing,
            ("replay", _) => Wanted::File,
            ("simulate", _) => Wanted::Live(Live::Models),
            _ => Wanted::Live(Live::Variants),
        },
    }
}

/// Whether the word after a flag is its value.
fn takes_word(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

/// A flag by the word it was given as, of the command or of all.
fn flag(root: &Command, command: Option<&Command>, word: &str) -> Option<Arg> {
    let name = word.split('=').next()?;
    let is = |arg: &&Arg| {
        arg.get_long().is_some_and(|long| name == format!("--{long}"))
            || arg.get_short().is_some_and(|short| name == format!("-{short}"))
    };
    command.into_iter().chain([root]).find_map(|command| command.get_arguments().find(is).cloned())
}

fn of_value(arg: &Arg) -> Wanted {
    let words: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if !words.is_empty() {
        return Wanted::Words(words);
    }
    match arg.get_long().unwrap_or_default() {
        "namespace" => Wanted::Live(Live::Namespaces),
        "context" => Wanted::Live(Live::Contexts),
        "cluster" => Wanted::Live(Live::Clusters),
        "user" => Wanted::Live(Live::Users),
        "instance" | "to" => Wanted::Live(Live::Instances),
        "model" | "model-id" => Wanted::Live(Live::Models),
        "deployment" => Wanted::Live(Live::Deployments),
        "kubeconfig"
        | "values"
        | "file"
        | "save"
        | "prices"
        | "certificate-authority"
        | "client-certificate"
        | "client-key" => Wanted::File,
        _ => Wanted::Nothing,
    }
}

fn described(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    format!("{}\t{about}", command.get_name())
}

fn flags(root: &Command, command: &str) -> Vec<String> {
    let of = |command: &Command| -> Vec<String> {
        let describe = |arg: &Arg| {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            Some(format!("--{}\t{help}", arg.get_long()?))
        };
        command.get_arguments().filter_map(describe).collect()
    };
    root.find_subcommand(command).map(of).into_iter().chain([of(root)]).flatten().collect()
}

/// Asks the cluster that the words before mean.
async fn ask(live: Live, before: &[String]) -> Option<Vec<String>> {
    let connection = connection(before);
    if matches!(live, Live::Contexts | Live::Clusters | Live::Users) {
        let kubeconfig = match &connection.kubeconfig {
            Some(path) => Kubeconfig::read_from(path).ok()?,
            None => Kubeconfig::read().ok()?,
        };
        return Some(match live {
            Live::Clusters => kubeconfig.clusters.into_iter().map(|cluster| cluster.name).collect(),
            Live::Users => kubeconfig.auth_infos.into_iter().map(|user| user.name).collect(),
            _ => kubeconfig.contexts.into_iter().map(|context| context.name).collect(),
        });
    }
    let session = Session::open(&connection).await.ok()?;
    let everywhere = before.iter().any(|word| word == "-A" || word == "--all-namespaces");
    let namespace = (!everywhere).then(|| session.namespace.clone());
    let all = ListParams::default();
    let names: BTreeSet<String> = match live {
        Live::Contexts | Live::Clusters | Live::Users => BTreeSet::new(),
        Live::Namespaces => {
            let api: Api<Namespace> = Api::all(session.client.clone());
            let list = session.ask("list namespaces", api.list(&all)).await.ok()?;
            list.items.iter().map(ResourceExt::name_any).collect()
        }
        Live::Deployments => {
            let list: Vec<Deployment> =
                lists::list(&session, namespace.as_deref(), "list Deployments", &all).await.ok()?;
            list.iter().map(ResourceExt::name_any).collect()
        }
        Live::Instances => {
            let found = controllers::list(&session).await.ok()?;
            found.iter().filter_map(|one| one.scope.instance.id().map(str::to_owned)).collect()
        }
        Live::Variants | Live::Models => {
            let found = variants::list(&session, namespace.as_deref()).await.ok()?;
            let readable = found.into_iter().filter_map(|guarded| guarded.0.ok());
            let name = |variant: &wva_api::VariantAutoscaling| match live {
                Live::Models => variant.spec.model().map(str::to_owned),
                _ => variants::release(&variant.metadata).map(str::to_owned).or_else(|| variant.metadata.name.clone()),
            };
            let of_instance = instance(before);
            readable
                .filter(|variant| of_instance.as_ref().is_none_or(|id| Instance::of_labels(variant.labels()) == *id))
                .filter_map(|variant| name(&variant))
                .collect()
        }
    };
    Some(names.into_iter().collect())
}

fn value_of(before: &[String], names: &[&str]) -> Option<String> {
    before.iter().enumerate().rev().find_map(|(at, word)| {
        let (flag, value) = word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value)));
        names.contains(&flag).then(|| value.map(str::to_owned).or_else(|| before.get(at + 1).cloned()))?
    })
}

fn instance(before: &[String]) -> Option<Instance> {
    Instance::parse(&value_of(before, &["--instance"])?).ok()
}

/// The connection flags among the words; the rest of the line may be as incomplete as it likes.
fn connection(before: &[String]) -> Connection {
    let known = Connection::augment_args(Command::new("connection").no_binary_name(true));
    let mut line = Vec::new();
    let mut words = before.iter().peekable();
    while let Some(word) = words.next() {
        let Some(arg) = flag(&known, None, word).filter(|_| word.starts_with('-')) else { continue };
        line.push(word.clone());
        if takes_word(&arg) && !word.contains('=') {
            line.extend(words.next().cloned());
        }
    }
    let matches = known.try_get_matches_from(line);
    matches.and_then(|matches| Connection::from_arg_matches(&matches)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::first(&[], "", Wanted::Command)]
    #[case::begun(&[], "sta", Wanted::Command)]
    #[case::after_flags(&["-n", "models"], "", Wanted::Command)]
    #[case::variant(&["explain"], "", Wanted::Live(Live::Variants))]
    #[case::new_name(&["add-model"], "", Wanted::Nothing)]
    #[case::namespace(&["status", "-n"], "", Wanted::Live(Live::Namespaces))]
    #[case::context(&["--context"], "", Wanted::Live(Live::Contexts))]
    #[case::instance(&["status", "--instance"], "", Wanted::Live(Live::Instances))]
    #[case::model(&["status", "--model"], "", Wanted::Live(Live::Models))]
    #[case::flag_of_a_command(&["status"], "--", Wanted::Flag("status".to_owned()))]
    #[case::file(&["replay"], "", Wanted::File)]
    fn the_word_being_typed_is_known_by_what_stands_before_it(
        #[case] before: &[&str],
        #[case] typed: &str,
        #[case] expect: Wanted,
    ) {
        let before: Vec<String> = before.iter().map(ToString::to_string).collect();
        assert_eq!(wanted(&Cli::command(), &before, typed), expect);
    }

    #[test]
    fn the_cluster_asked_is_the_one_the_words_mean() {
        let words =
            ["explain", "--context", "there", "-n=models", "--as-group", "x", "--insecure-skip-tls-verify", "l"];
        let found = connection(&words.map(str::to_owned));
        assert_eq!((found.context.as_deref(), found.namespace.as_deref()), (Some("there"), Some("models")));
        assert_eq!((found.as_group, found.insecure_skip_tls_verify), (vec!["x".to_owned()], Some(true)));
    }

    #[tokio::test]
    async fn values_of_a_flag_are_offered_and_files_are_not() {
        let words = ["status", "-o", "w"].map(str::to_owned);
        assert_eq!(lines(&words).await, ["wide", ":4"]);
        let words = ["status", "--output=js"].map(str::to_owned);
        assert_eq!(lines(&words).await, ["--output=json", ":4"]);
    }
}
