//! `peapod`: a Kubernetes cluster for WebAssembly in one process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use cli::image;
use cli::run::{self, RunOptions, Until};
use cli::span;
use cli::terminal::Terminal;
use tracing_subscriber::EnvFilter;

/// Runs WebAssembly workloads as Kubernetes pods: a whole cluster in one process, without Docker or root.
#[derive(Parser)]
#[command(name = "peapod", version, arg_required_else_help = true)]
struct Arguments {
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
        store: ImageDir,
    },
    /// Imports and lists the images that pods can run
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
    /// Lists the images
    List {
        /// How to print them
        #[arg(long, short, value_enum, default_value = "table")]
        output: image::Output,
    },
}

#[derive(clap::Args)]
struct ImageDir {
    /// Where images and their compiled code are kept [default: the user's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    image_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let terminal = Terminal::standard();
    match carry_out(Arguments::parse().command, &terminal) {
        Ok(code) => code,
        Err(error) => {
            terminal.status("");
            eprintln!("{}", terminal.bad(&format!("error: {error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: Command, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run { paths, until, timeout, watch, namespace, store } => {
            let image_dir = image::folder(store.image_dir)?;
            run::run(RunOptions { paths, until, timeout, watch, namespace, image_dir }, terminal)
        }
        Command::Image { command, store } => {
            let folder = image::folder(store.image_dir)?;
            match command {
                ImageCommand::Import { file, name } => image::import(&folder, &file, &name, terminal)?,
                ImageCommand::List { output } => image::list(&folder, output, terminal)?,
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
