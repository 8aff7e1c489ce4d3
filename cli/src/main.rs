//! `peapod`: a Kubernetes cluster for WebAssembly in one process.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use cli::image;
use cli::registries::Registries;
use cli::run::{self, RunOptions, Until};
use cli::serve::{self, AuthorizationMode, ServeOptions};
use cli::span;
use cli::terminal::Terminal;
use cli::{backup, data_dir};
use tracing_subscriber::EnvFilter;

/// Runs WebAssembly workloads as Kubernetes pods: a whole cluster in one process, without Docker or root.
#[derive(Parser)]
#[command(name = "peapod", version, arg_required_else_help = true)]
struct Arguments {
    /// How logs are written to standard error; RUST_LOG says which
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs manifests on a cluster of their own, until Ctrl-C or until they are ready or complete
    Run {
        /// Manifests: files, folders (whose NAME.wasm become images localhost/NAME:latest), or - for standard input
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Stops with success once everything is ready, or has run to its end
        #[arg(long, value_enum)]
        until: Option<Until>,
        /// With --until: gives up after this time, such as 30s, 5m, 1h
        #[arg(long, value_parser = span::parse, default_value = "5m")]
        timeout: Duration,
        /// Applies the manifests again, and imports the programs again, when their files change
        #[arg(long)]
        watch: bool,
        /// The namespace of objects that name none
        #[arg(long, short, default_value = "default")]
        namespace: String,
        #[command(flatten)]
        registries: Registries,
        #[command(flatten)]
        store: ImageDir,
    },
    /// Serves a cluster that stays, for kubectl and every other client of Kubernetes
    Serve {
        /// Where the API listens; port 0 takes a free one
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:6443")]
        listen: SocketAddr,
        /// More names or addresses by which clients reach the API
        #[arg(long = "tls-san", value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        data: Data,
        /// Keeps nothing: the cluster and its CA are gone when the process ends
        #[arg(long)]
        ephemeral: bool,
        /// Where images and their compiled code are kept [default: images in the data directory]
        #[arg(long, value_name = "DIR")]
        image_dir: Option<PathBuf>,
        /// Lets pods mount what is below this directory of the machine, by hostPath or local volumes; may be given again
        #[arg(long = "allow-host-path", value_name = "DIR")]
        host_paths: Vec<PathBuf>,
        #[command(flatten)]
        registries: Registries,
        /// The kubeconfig that learns of the cluster [default: the user's own]
        #[arg(long, value_name = "PATH")]
        kubeconfig: Option<PathBuf>,
        /// The name of the kubeconfig's context
        #[arg(long, value_name = "NAME", default_value = "peapod")]
        context: String,
        /// Who may do what
        #[arg(long, value_enum, value_name = "MODE", default_value = "Standard")]
        authorization_mode: AuthorizationMode,
        /// How little may be left of memory and disk before pods are evicted; empty for never
        #[arg(
            long,
            value_name = "THRESHOLDS",
            default_value = "memory.available<100Mi,nodefs.available<5%,nodefs.inodesFree<5%"
        )]
        eviction_hard: String,
    },
    /// Writes every object of a cluster to a new file; its server may run meanwhile
    Backup {
        /// The file to write
        file: PathBuf,
        #[command(flatten)]
        data: Data,
    },
    /// Makes the store of a data directory that has none from a backup
    Restore {
        /// The backup to read
        file: PathBuf,
        #[command(flatten)]
        data: Data,
    },
    /// Brings, shows and removes the images that pods can run
    Image {
        #[command(subcommand)]
        command: ImageCommand,
        #[command(flatten)]
        store: ImageDir,
    },
}

#[derive(Subcommand)]
enum ImageCommand {
    /// Imports a WebAssembly file as localhost/NAME:TAG
    Import {
        /// The .wasm file: a WASI command or a wasi:http component
        file: PathBuf,
        /// NAME[:TAG]; the tag is `latest` if not given
        #[arg(long = "as", value_name = "NAME[:TAG]")]
        name: String,
    },
    /// Pulls an image from its registry; pods do so by themselves
    Pull {
        /// The image: REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST
        name: String,
        #[command(flatten)]
        registries: Registries,
    },
    /// Shows all that is known of an image, as JSON
    Inspect {
        /// The image
        name: String,
    },
    /// Removes images
    #[command(alias = "remove")]
    Rm {
        /// The images
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Removes all pulled images that no container of a running peapod has; imported ones stay
    Prune,
    /// Lists the images
    #[command(alias = "ls")]
    List {
        /// How to print them
        #[arg(long, short, value_enum, default_value = "table")]
        output: image::Output,
    },
}

#[derive(clap::Args)]
struct Data {
    /// Where a server keeps objects, keys, volumes and logs [default: the user's data directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Data {
    fn folder(self) -> anyhow::Result<PathBuf> {
        self.data_dir.map_or_else(data_dir::of_user, Ok)
    }
}

#[derive(clap::Args)]
struct ImageDir {
    /// Where images and their compiled code are kept [default: the user's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    image_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object on each line
    Json,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(&arguments);
    let terminal = Terminal::standard();
    match carry_out(arguments.command, &terminal) {
        Ok(code) => code,
        Err(error) => {
            terminal.status("");
            eprintln!("{}", terminal.bad(&format!("error: {error:#}")));
            ExitCode::FAILURE
        }
    }
}

/// A server tells what it does; other commands speak up only when something fails.
fn log(arguments: &Arguments) {
    let level = if matches!(arguments.command, Command::Serve { .. }) { "info" } else { "error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}

fn carry_out(command: Command, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run { paths, until, timeout, watch, namespace, registries, store } => {
            let image_dir = image::folder(store.image_dir)?;
            let registries = registries.config()?;
            run::run(RunOptions { paths, until, timeout, watch, namespace, image_dir, registries }, terminal)
        }
        Command::Serve {
            listen,
            names,
            data,
            ephemeral,
            image_dir,
            host_paths,
            registries,
            kubeconfig,
            context,
            authorization_mode: authorization,
            eviction_hard,
        } => {
            let Data { data_dir } = data;
            let options = ServeOptions {
                listen,
                names,
                data_dir,
                ephemeral,
                image_dir,
                host_paths,
                registries: registries.config()?,
                kubeconfig,
                context,
                authorization,
                eviction_hard,
            };
            serve::serve(options, terminal)
        }
        Command::Backup { file, data } => {
            backup::backup(&file, &data.folder()?, terminal)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Restore { file, data } => {
            backup::restore(&file, &data.folder()?, terminal)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Image { command, store } => {
            let folder = image::folder(store.image_dir)?;
            match command {
                ImageCommand::Import { file, name } => image::import(&folder, &file, &name, terminal)?,
                ImageCommand::Pull { name, registries } => {
                    image::pull(&folder, &name, registries.config()?, terminal)?;
                }
                ImageCommand::Inspect { name } => image::inspect(&folder, &name, terminal)?,
                ImageCommand::Rm { names } => image::remove(&folder, &names, terminal)?,
                ImageCommand::Prune => image::prune(&folder, terminal)?,
                ImageCommand::List { output } => image::list(&folder, output, terminal)?,
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
