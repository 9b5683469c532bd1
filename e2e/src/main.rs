//! `wva-e2e`: the demo, and environments to try things in.

mod conformance_args;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wva_e2e::bench::fleet::Fleet;
use wva_e2e::demo::screen::Screen;
use wva_e2e::demo::{self, Demo};
use wva_e2e::faults;
use wva_e2e::monitoring::inside;
use wva_e2e::run;
use wva_e2e::session::{Session, Start};
use wva_e2e::{bench, hunt, image, picker};

/// End-to-end environments of the Workload Variant Autoscaler: an embedded Kubernetes cluster with emulated GPUs, a
/// real Prometheus, and an external-metrics adapter. Needs kubectl and prometheus: eval "$(hack/tools.sh env)".
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch two isolated controllers scale emulated vLLM variants; exit 0 only if every promise holds.
    Demo {
        /// Folder for the chart and the logs.
        #[arg(long, default_value = ".wva-e2e/demo")]
        dir: PathBuf,
    },
    /// Start an environment that stays up, with a controller in it, and print how to use it.
    Up {
        /// Folder of the environment.
        #[arg(long, default_value = ".wva-e2e/up")]
        dir: PathBuf,
        #[command(flatten)]
        start: Start,
    },
    /// Stop the environment that `up` started.
    Down {
        /// Folder of the environment.
        #[arg(long, default_value = ".wva-e2e/up")]
        dir: PathBuf,
    },
    /// Measure the embedded cluster and a controller with two variants.
    Bench {
        /// Controller binary to measure, an optimised one for figures that count.
        #[arg(long)]
        controller: PathBuf,
        /// Folder for the environment's files.
        #[arg(long, default_value = ".wva-e2e/bench")]
        dir: PathBuf,
    },
    /// An emulated endpoint picker (EPP), run as a pod: gateway and picker in one. Holds requests while no server of its
    /// pool is ready.
    Epp(picker::Args),
    /// Prometheus, the ServiceMonitors' scrape targets and the external-metrics API in one, run as a pod.
    #[command(hide = true)]
    Monitor(inside::Args),
    /// Measure a controller with fleets of growing size: memory, time per cycle, traffic, reaction.
    BenchScale {
        /// Controller binary to measure, an optimised one for figures that count.
        #[arg(long)]
        controller: PathBuf,
        /// Fleets, each as `VARIANTSxPODS`.
        #[arg(long, value_delimiter = ',', default_value = "1x1,100x1,1000x1,1000x10")]
        fleets: Vec<Fleet>,
        /// Turn the hybrid mode on, with a promise and a profile for each model.
        #[arg(long)]
        hybrid: bool,
        /// Folder for files.
        #[arg(long, default_value = ".wva-e2e/bench-scale")]
        dir: PathBuf,
    },
    /// Measure `kubectl wva`: an answer about 500 variants, and its help.
    BenchPlugin {
        /// Controller binary that decides on the variants.
        #[arg(long)]
        controller: PathBuf,
        /// Folder for the environment's files.
        #[arg(long, default_value = ".wva-e2e/bench-plugin")]
        dir: PathBuf,
    },
    /// Hold an API server to what a real Kubernetes control plane answered; exit 0 only if every difference is a known one.
    Conformance {
        #[command(subcommand)]
        what: Conformance,
    },
    /// Carry out eleven faults on real processes and count what came of them; exit 0 only if all are borne. The logs of
    /// the controllers are kept for each that was not.
    Faults {
        /// Folder for the environment's files, and for logs.
        #[arg(long, default_value = ".wva-e2e/faults")]
        dir: PathBuf,
        /// Only the faults whose name contains this text.
        #[arg(long, value_name = "TEXT", default_value = "")]
        only: String,
    },
    /// Simulate autoscaling policies on a load, hours in seconds, and compare what requests saw with what it cost. Needs no
    /// cluster.
    Simulate(wva_simulator::cli::Simulate),
    /// Run the suites again and again, without retries, and rank what failed by rate and by what it said; exit 0 only if
    /// nothing did.
    Hunt(hunt::Args),
    /// Print the table of the last run of the tests: failed, flaky and slowest ones.
    Summary(hunt::Asked),
    /// Write a container image of a static binary as an archive for `kind load image-archive` or `docker load`; needs no
    /// container engine.
    Image(image::Args),
    /// The background half of `up`.
    #[command(hide = true)]
    Serve {
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        start: Start,
        /// End with this process, and remove the folder.
        #[arg(long)]
        with: Option<i32>,
    },
}

#[derive(Subcommand)]
enum Conformance {
    /// Send the scripts and compare the answers with those recorded.
    Check {
        #[command(flatten)]
        server: conformance_args::Args,
        /// Tell every difference, the accepted ones as well.
        #[arg(long)]
        all: bool,
    },
    /// Send the scripts and record the answers in their files: for a real control plane, which becomes the truth.
    Record {
        #[command(flatten)]
        server: conformance_args::Args,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { command } = Args::parse();
    match run(command).await {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    // The only TLS provider in the tree; without this, reqwest has none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command {
        Command::Demo { dir } => run_demo(absolute(&dir)?).await,
        Command::Up { dir, start } => {
            let begun = Instant::now();
            anstream::eprintln!("Starting an environment in {}; `wva-e2e down` stops it", dir.display());
            let facts = Session::new(&absolute(&dir)?).up(&start, None).await?;
            anstream::eprintln!("{}", up_after(begun.elapsed()));
            anstream::println!("export KUBECONFIG={}", facts.kubeconfig.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Down { dir } => {
            Session::new(&absolute(&dir)?).down().await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Bench { controller, dir } => {
            log_to_stderr("error");
            let controller = controller.canonicalize().with_context(|| format!("finding {}", controller.display()))?;
            let figures = bench::measure(absolute(&dir)?, controller).await?;
            anstream::println!("{figures}");
            Ok(ExitCode::SUCCESS)
        }
        Command::Epp(args) => {
            log_to_stderr("info");
            picker::run(args, interrupted()).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Monitor(args) => {
            log_to_stderr("info");
            inside::run(args, interrupted()).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::BenchScale { controller, fleets, hybrid, dir } => {
            log_to_stderr("error");
            let controller = controller.canonicalize().with_context(|| format!("finding {}", controller.display()))?;
            let dir = absolute(&dir)?;
            for fleet in fleets {
                let figures = bench::scale::measure(&dir.join(fleet.to_string()), &controller, fleet, hybrid).await?;
                anstream::println!("{figures}");
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::BenchPlugin { controller, dir } => {
            log_to_stderr("error");
            let controller = controller.canonicalize().with_context(|| format!("finding {}", controller.display()))?;
            let figures = bench::plugin::measure(absolute(&dir)?, controller).await?;
            anstream::println!("{figures}");
            Ok(ExitCode::SUCCESS)
        }
        Command::Conformance { what: Conformance::Check { server, all } } => {
            log_to_stderr("error");
            Ok(if conformance_args::check(&server, all).await? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Conformance { what: Conformance::Record { server } } => {
            conformance_args::record(&server).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Faults { dir, only } => {
            // Errors are what it is about; the report tells which of them matter.
            log_to_stderr("off");
            let dir = absolute(&dir)?;
            let _ = std::fs::remove_dir_all(&dir);
            let report = faults::run(&dir, &only, |step| anstream::println!("{step}")).await?;
            anstream::println!("\n{report}");
            Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Simulate(args) => {
            anstream::print!("{}", args.run()?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Hunt(args) => {
            let passed = hunt::run(&args, |step| anstream::println!("{step}"))?;
            Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Summary(asked) => {
            let (text, proven) = hunt::summary(&asked)?;
            anstream::print!("{text}");
            Ok(if proven { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Image(args) => {
            image::run(&args)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve { dir, start, with } => {
            serve(dir, &start, with).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Keeps an environment up until it is told to stop, the process `with` ends, or a task of its cluster fails.
async fn serve(dir: PathBuf, start: &Start, with: Option<i32>) -> anyhow::Result<()> {
    log_to_stderr("info");
    let session = Session::new(&dir);
    let failure = kubesim::supervision::failure();
    let mut failed = None;
    let stop = async {
        tokio::select! {
            () = interrupted() => {}
            what = failure => failed = Some(what),
        }
    };
    match with {
        Some(pid) => Box::pin(run::serve(&session, start, pid, stop)).await?,
        None => Box::pin(session.serve(start, stop)).await?,
    }
    match failed {
        None => Ok(()),
        Some(what) => bail!("serving the environment in {}: {what}; it ended with it", dir.display()),
    }
}

async fn run_demo(dir: PathBuf) -> anyhow::Result<ExitCode> {
    log_to_stderr("error");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let outcome = demo::run(&Demo { dir }, &mut Screen::stdout(), interrupted()).await?;
    Ok(match outcome {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => ExitCode::from(130),
    })
}

/// What is said when an environment is up; the line behind it, on standard output, is for the shell.
fn up_after(took: Duration) -> String {
    format!(
        "Up after {:.1} s. With the line below in your shell, next:\n  kubectl wva instances       # the controllers, and who leads\n  \
         kubectl wva add-model --help\n  kubectl wva status -A -w    # what is decided, live",
        took.as_secs_f64()
    )
}

/// Child processes run elsewhere, so relative folders must not depend on where.
fn absolute(dir: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(dir).with_context(|| format!("finding the folder {}", dir.display()))
}

fn log_to_stderr(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Completes at SIGINT or SIGTERM.
async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
